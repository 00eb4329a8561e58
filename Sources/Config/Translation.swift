/// A configuration of nginx made over: what Apus has a use for as it was written, the rest and all that becomes different as
/// comments.
package struct Translation {
    private typealias Statement = WrittenConfiguration.Statement

    private let written: WrittenConfiguration
    private let environment: LoadingEnvironment
    private let isPrefixKnown: Bool
    /// The differences that matter to it, by what they matter to, in the order in which that comes.
    private var differences: [(heading: String, rows: [Difference])] = []
    /// Blocks of the top level that Apus leaves to nginx.
    private var foreign: [String] = []
    private var unknown: [String] = []
    private let formerFlags: [FormerFlag]
    /// The parameters that statements get in place of former flags.
    private var parameters: [Int: [String]] = [:]
    private var output = CommentedText()
    /// Directives of the top level whose files nginx keeps.
    private var replaced: Set<String> = []
    /// How deep the text of each open file is to begin.
    private var indentations: [[UInt8]] = [[]]

    /// - Parameters:
    ///   - environment: Its prefixes are those of nginx, absolute; that of the process may not be known.
    ///   - formerFlags: What older versions of nginx had.
    ///   - protocolOf: The name of the protocol of a `server` block, by its directives.
    /// - Throws: When there is nothing about mail in it.
    package init(
        _ written: WrittenConfiguration, environment: LoadingEnvironment, isPrefixKnown: Bool,
        differences: [Difference], formerFlags: [FormerFlag] = [],
        protocolOf: ([WrittenConfiguration.Statement]) -> String?
    ) throws(ConfigError) {
        self.written = written
        (self.environment, self.isPrefixKnown) = (environment, isPrefixKnown)
        self.formerFlags = formerFlags
        guard
            written.pieces.contains(where: {
                if case .opening(_, let block) = $0 { block.body == .mail } else { false }
            })
        else { throw ConfigError("no \"mail\" section in configuration \(written.file)") }
        for piece in written.pieces {
            guard case .unknown(let statement, _) = piece, formerFlag(statement) == nil else { continue }
            let place = "\"\(statement.name)\" (\(statement.position.description))"
            if statement.isBlock, statement.context == .main { foreign.append(place) } else { unknown.append(place) }
        }
        for flag in formerFlags {
            for index in written.pieces(thatNeed: flag) { parameters[index, default: []].append(flag.parameter) }
        }
        choose(from: differences, protocolOf)
    }

    private func formerFlag(_ statement: Statement) -> FormerFlag? {
        statement.context == .main ? nil : formerFlags.first { $0.name == statement.name }
    }

    private var nginxGoesOn: Bool { !foreign.isEmpty }

    // MARK: Which differences matter

    private mutating func choose(from all: [Difference], _ protocolOf: ([Statement]) -> String?) {
        var open = all
        choose(from: &open, for: .any)
        let concerns = all.flatMap(\.concerns)
        for index in written.pieces.indices {
            let name = protocolOf(statements(inServerAt: index))
            for concern in concerns where matters(concern, at: index, protocol: name) {
                choose(from: &open, for: concern)
            }
        }
    }

    private mutating func choose(from open: inout [Difference], for concern: Difference.Concern) {
        let chosen = open.filter { $0.concerns.contains(concern) }
        guard !chosen.isEmpty else { return }
        open.removeAll { $0.concerns.contains(concern) }
        differences.append((concern.heading, chosen))
    }

    private func matters(_ concern: Difference.Concern, at index: Int, protocol protocolName: String?) -> Bool {
        switch (concern, written.pieces[index]) {
        case (.serving(let name), .opening): name == protocolName
        case (.using(let name, let argument), .simple(let statement, _)),
            (.using(let name, let argument), .unknown(let statement, _)):
            statement.name == name && (argument.isEmpty || statement.arguments.contains { $0.text.hasPrefix(argument) })
        default: false
        }
    }

    /// The directives of the `server` block that begins there; empty for any other piece.
    private func statements(inServerAt index: Int) -> [Statement] {
        written.pieces[written.serverBlock(at: index)].compactMap {
            if case .simple(let statement, _) = $0 { statement } else { nil }
        }
    }

    // MARK: The text

    /// The new configuration.
    package mutating func text() -> [UInt8] {
        output = CommentedText()
        writeHead()
        for index in written.pieces.indices { write(at: index) }
        output.endLine()
        return output.bytes
    }

    private mutating func writeHead() {
        output.comment("The mail part of \(written.file), made over for Apus by `apus --from-nginx`.")
        if nginxGoesOn {
            output.comment([[]])
            output.comment(
                """
                nginx has to go on serving what is left out: \(foreign.joined(separator: ", ")). Take the block "mail" out \
                of its configuration, and have nginx reload it, before Apus starts: two cannot listen at one address.
                """)
        } else {
            output.comment([[]])
            output.comment(
                "Nothing is left for nginx to do: it has to end before Apus starts, or give its place to Apus.")
        }
        if !unknown.isEmpty {
            output.comment([[]])
            output.comment("Unknown to Apus, and left out: \(unknown.joined(separator: ", ")).")
        }
        output.comment([[]])
        output.comment("What becomes different with Apus (apus.conf(5) has all differences from nginx).")
        for (heading, rows) in differences {
            output.comment([[]])
            output.comment(heading)
            for row in rows {
                output.comment("nginx: \(row.nginx)", bullet: "* ")
                output.comment("Apus: \(row.apus)", bullet: "  ")
            }
        }
        output.endLine()
        output.append("\n".utf8)
    }

    private mutating func write(at index: Int) {
        switch written.pieces[index] {
        case .between(let text): output.append(text, indentedBy: indentations.last ?? [])
        case .opening(let statement, _): output.append(statement.source)
        case .closing: output.append([.closingBrace])
        case .simple(let statement, _) where parameters[index] != nil:
            let added = (parameters[index] ?? []).map { " \($0)" }.joined()
            output.append(statement.source.dropLast() + Array("\(added);".utf8))
        case .simple(let statement, let directive): write(statement, directive)
        case .unknown(let statement, _) where statement.isBlock && statement.context == .main:
            output.comment("Left out, for nginx to serve: \(statement.name) {...} (\(statement.position.description))")
        case .unknown(let statement, let hint):
            if let flag = formerFlag(statement) {
                let reason = "\"\(flag.directive)\" has the parameter \"\(flag.parameter)\" for it"
                return leaveOut(statement, because: reason)
            }
            leaveOut(statement, because: "unknown to Apus" + (hint.map { ", \($0)" } ?? ""))
        case .nothing(let statement): leaveOut(statement, because: "there is no such file")
        case .file(let name, let statement):
            output.comment([Array("From \(name): ".utf8) + statement.source])
            let indentation = output.indentation
            indentations.append(indentation)
            output.endLine()
            output.append(indentation)
        case .endOfFile(let name):
            output.comment("End of \(name).")
            indentations.removeLast()
        }
    }

    private mutating func write(_ statement: Statement, _ directive: AnyDirective) {
        if statement.arguments.contains(where: { $0.isRelativeSocket }) {
            output.comment("A relative path starts where Apus is started.")
        }
        switch directive.transfer {
        case .asWritten: output.append(statement.source)
        case .leftOut(let reason): leaveOut(statement, because: reason)
        case .readsFile: write(statement, prefix: Array(environment.configurationPrefix.utf8))
        case .writesFile:
            guard let file = statement.arguments.first, file.isFileName else { return output.append(statement.source) }
            if nginxGoesOn, statement.context == .main, let own = directive.defaultText?.split(separator: " ").first {
                guard replaced.insert(statement.name).inserted else {
                    return leaveOut(statement, because: "nginx goes on with this file")
                }
                output.comment("nginx goes on with \(file.text).")
                return output.append(statement.source(withFile: Word(String(own))))
            }
            if file.isRelative, !isPrefixKnown {
                return leaveOut(statement, because: "the name starts at nginx's prefix, which `-p` has to tell")
            }
            write(statement, prefix: Array(environment.prefix.utf8))
        }
    }

    /// With the name of its file made absolute.
    private mutating func write(_ statement: Statement, prefix: [UInt8]) {
        guard let file = statement.arguments.first, file.isFileName, file.isRelative else {
            return output.append(statement.source)
        }
        output.append(statement.source(withFile: Word(prefix + file.bytes)))
    }

    private mutating func leaveOut(_ statement: Statement, because reason: String) {
        let lines = statement.source.split(separator: .lineFeed, omittingEmptySubsequences: false).map { Array($0) }
        let head = "Left out (\(reason)):"
        guard lines.count > 1 else { return output.comment([Array("\(head) ".utf8) + lines[0]]) }
        let indentation = output.indentation
        let shifted = lines.map { $0.starts(with: indentation) ? Array($0.dropFirst(indentation.count)) : $0 }
        output.comment([Array(head.utf8)] + shifted)
    }
}

extension WrittenConfiguration.Statement {
    /// As it is written, with another first argument.
    fileprivate func source(withFile file: Word) -> [UInt8] {
        guard let range = ranges.first else { return Array(source) }
        return source[..<range.lowerBound] + file.writtenBytes + source[range.upperBound...]
    }
}

extension Difference.Concern {
    fileprivate var heading: String {
        switch self {
        case .any: "In general:"
        case .serving(let name): "With \"protocol \(name)\":"
        case .using(let name, let argument): "With \"\(name)\(argument.isEmpty ? "" : " ... \(argument)")\":"
        }
    }
}

extension Word {
    fileprivate var isRelative: Bool { bytes.first != UInt8(ascii: "/") }

    /// Not one of the other things that may stand in the place of a file's name.
    fileprivate var isFileName: Bool {
        !bytes.isEmpty && text != "stderr"
            && !["data:", "engine:", "store:", "memory:", "syslog:"].contains { text.hasPrefix($0) }
    }

    fileprivate var isRelativeSocket: Bool {
        text.hasPrefix("unix:") && !text.hasPrefix("unix:/") && text != "unix:"
    }
}
