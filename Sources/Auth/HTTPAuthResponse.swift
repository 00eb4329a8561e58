import ApusMail

/// Reads the answer of an authentication service as it arrives (auth-http.md 2).
///
/// It is done at the empty line after the headers; what follows them has no meaning. Knows no socket.
package struct HTTPAuthResponse {
    /// The most bytes of status line and headers together.
    package static let longestHead = 16_384

    package enum Progress: Equatable {
        case needMoreInput
        /// The headers are complete; `consumed` bytes of this input belong to them.
        case complete(HTTPAuthAnswer, consumed: Int)
        case failed(Problem)
    }

    package enum Problem: Error, Equatable {
        case invalidStatusLine, invalidHeader, tooLong
    }

    private enum State: Equatable {
        /// So many bytes of `HTTP/` were seen.
        case start(Int)
        case statusLine, statusLineEnd
        case lineStart, headEnd
        case name, spaceBeforeValue, value, lineEnd
        case over
    }

    private var state = State.start(0)
    private var length = 0
    private var statusLine: [UInt8] = []
    private var name: [UInt8] = []
    private let value = SecretBuffer(capacity: 256)
    private var spacesAfterValue = 0
    private var answer = HTTPAuthAnswer()
    private var framing = HTTPFraming()

    package init() {
        statusLine.reserveCapacity(64)
        name.reserveCapacity(32)
    }

    /// Goes on with what has arrived since the last call.
    package mutating func receive(_ input: Span<UInt8>) -> Progress {
        var index = 0
        while index < input.count {
            let run = runLength(in: input, from: index)
            length += max(run, 1)
            guard length <= Self.longestHead else { return fail(.tooLong) }
            if run > 0 {
                take(run: input.extracting(index..<index + run))
                index += run
                continue
            }
            do throws(Problem) {
                try take(input[index])
            } catch {
                return fail(error)
            }
            index += 1
            if state == .over {
                answer.bodyLength = framing.bodyLength(after: answer.status)
                return .complete(answer, consumed: index)
            }
        }
        return .needMoreInput
    }

    /// How many bytes from `start` on just lengthen the name or the value being read.
    private func runLength(in input: Span<UInt8>, from start: Int) -> Int {
        var end = start
        switch state {
        case .name:
            while end < input.count, input[end].isASCIILetter || input[end].isASCIIDigit || input[end] == 0x2D {
                end += 1
            }
        case .value where spacesAfterValue == 0:
            while end < input.count, input[end] != 0x0A, input[end] != 0x0D, input[end] != 0x20 { end += 1 }
        default: break
        }
        return end - start
    }

    private mutating func take(run: Span<UInt8>) {
        if state == .name {
            for index in 0..<run.count { name.append(run[index]) }
        } else {
            value.append(run)
        }
    }

    private mutating func fail(_ problem: Problem) -> Progress {
        state = .over
        value.removeAll()
        return .failed(problem)
    }

    private mutating func take(_ byte: UInt8) throws(Problem) {
        switch state {
        case .start(let matched): try takeStart(byte, matched: matched)
        case .statusLine:
            if byte == 0x0A {
                endStatusLine()
            } else if byte == 0x0D {
                state = .statusLineEnd
            } else if statusLine.count < 64 {
                statusLine.append(byte)
            }
        case .statusLineEnd:
            guard byte == 0x0A else { throw .invalidStatusLine }
            endStatusLine()
        case .lineStart: try takeLineStart(byte)
        case .headEnd:
            guard byte == 0x0A else { throw .invalidHeader }
            state = .over
        case .name: try takeName(byte)
        case .spaceBeforeValue, .value: takeValue(byte)
        case .lineEnd:
            guard byte == 0x0A else { throw .invalidHeader }
            endHeader()
        case .over: throw .invalidHeader
        }
    }

    /// An answer that does not begin with `HTTP/` has no status line: its first bytes are a header's.
    private mutating func takeStart(_ byte: UInt8, matched: Int) throws(Problem) {
        let word: StaticString = "HTTP/"
        if byte == word.utf8Start[matched] {
            state = matched + 1 == word.utf8CodeUnitCount ? .statusLine : .start(matched + 1)
            if state == .statusLine { answer.status = .code(nil) }
            return
        }
        state = .lineStart
        for index in 0..<matched { try take(word.utf8Start[index]) }
        try take(byte)
    }

    /// `VERSION CODE ...`, what stood behind `HTTP/`.
    private mutating func endStatusLine() {
        let words = statusLine.split(separator: 0x20, maxSplits: 2, omittingEmptySubsequences: true)
        if words.count >= 2, words[1].count == 3 {
            answer.status = .code(Array(words[1]).span.decimal())
            framing.isPersistent = words[0].elementsEqual("1.1".utf8)
        }
        state = .lineStart
    }

    private mutating func takeLineStart(_ byte: UInt8) throws(Problem) {
        switch byte {
        case 0x0A: state = .over
        case 0x0D: state = .headEnd
        case _ where byte.isASCIILetter || byte.isASCIIDigit:
            name.removeAll(keepingCapacity: true)
            name.append(byte)
            state = .name
        default: throw .invalidHeader
        }
    }

    private mutating func takeName(_ byte: UInt8) throws(Problem) {
        switch byte {
        case 0x3A: state = .spaceBeforeValue
        case 0x0D: state = .lineEnd
        case 0x0A: endHeader()
        case _ where byte.isASCIILetter || byte.isASCIIDigit || byte == 0x2D: name.append(byte)
        default: throw .invalidHeader
        }
    }

    /// Spaces inside a value count when something other than a space follows.
    private mutating func takeValue(_ byte: UInt8) {
        switch byte {
        case 0x0D: state = .lineEnd
        case 0x0A: endHeader()
        case 0x20: if state == .value { spacesAfterValue += 1 }
        default:
            for _ in 0..<spacesAfterValue { value.append(0x20) }
            spacesAfterValue = 0
            value.append(byte)
            state = .value
        }
    }

    private mutating func endHeader() {
        let ended = name
        if ended.span.spells("AUTH-PASS") {
            answer.password = value.secret
        } else {
            let buffer = value
            buffer.withBytes { store($0, as: ended.span) }
        }
        value.removeAll()
        spacesAfterValue = 0
        state = .lineStart
    }

    private mutating func store(_ value: Span<UInt8>, as name: Span<UInt8>) {
        if name.spells("AUTH-STATUS") {
            if value.equals("OK") {
                answer.saysOK = true
            } else if value.equals("WAIT") {
                answer.saysWait = true
            } else {
                answer.refusal = value.bytes
            }
        } else if name.spells("AUTH-SERVER") {
            answer.server = value.bytes
        } else if name.spells("AUTH-PORT") {
            answer.port = value.bytes
        } else if name.spells("AUTH-USER") {
            answer.user = value.bytes
        } else if name.spells("AUTH-WAIT") {
            answer.wait = value.decimal() ?? answer.wait
        } else if name.spells("AUTH-ERROR-CODE") {
            answer.errorCode = value.bytes
        } else if name.spells("AUTH-ERROR-SASL") {
            answer.errorData = value.bytes
        } else if name.spells("CONTENT-LENGTH") {
            framing.contentLength(value)
        } else if name.spells("TRANSFER-ENCODING") {
            framing.transferEncoding()
        } else if name.spells("CONNECTION") {
            framing.connection(value)
        }
    }
}
