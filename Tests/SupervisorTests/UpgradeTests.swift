import Config
import Testing

@testable import Supervisor

@Suite struct `What one master hands to the next` {
    private var state: HandedState {
        var state = HandedState()
        state.link = 7
        state.control = (8, "/run/a b.control")
        state.zones = [HandedZone(descriptor: 9, name: "a zone: SSL", size: 65536, use: "tls-sessions", version: 3)]
        state.counter = 9
        state.activated = [3: "", 4: "imaps of the manager"]
        return state
    }

    @Test func `comes back from its text`() throws {
        #expect(HandedState(parsing: state.text) == state)
        #expect(HandedState(parsing: HandedState().text) == HandedState())
    }

    @Test func `of another version is not read`() {
        #expect(HandedState(parsing: "apus-state 2\nlink 7\n") == nil)
        #expect(HandedState(parsing: "") == nil)
    }

    @Test(arguments: [
        "link", "link x", "link -1", "link 2", "link 99999999999999999999", "zone 9 65536 3 use", "zone 9 x 3 use name",
        "zone 9 65536 -1 use name", "control 9", "future 9", " ",
    ])
    func `lines that cannot be read are left out`(line: String) {
        #expect(HandedState(parsing: "apus-state 1\n\(line)\nactivated 5\n")?.text == "apus-state 1\nactivated 5\n")
    }
}

@Suite struct `The report of a rehearsal` {
    @Test(arguments: [
        Rehearsal.Outcome.passed(names: [:]),
        .passed(names: ["mail.example.com": ["192.0.2.1", "2001:db8::1"], "gone.example.com": []]),
        .failed(ConfigError("unknown directive \"x\" in /etc/apus.conf:3")),
        .failed(ConfigError("a", level: .critical, hint: "did you mean \"y\"?")),
    ])
    func `comes back from its text`(outcome: Rehearsal.Outcome) {
        #expect(Rehearsal.outcome(Rehearsal.text(of: outcome)) == outcome)
    }

    @Test func `that is cut or missing is a failure`() {
        for report in ["", "passed", "failed\0emerg\0", "passed\0name\0", "other\0"] {
            guard case .failed = Rehearsal.outcome(Array(report.utf8)) else {
                Issue.record("\(report) passed")
                continue
            }
        }
    }
}
