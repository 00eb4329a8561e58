import Supervisor

/// A line of the control socket. What is understood is understood likewise in our own words.
func fuzzControl(_ input: Span<UInt8>) throws {
    let line: [UInt8] = input.bytes
    guard let request = try? ControlRequest(line) else { return }
    let again = try ControlRequest(Array(request.text.utf8))
    precondition(again == request)
}
