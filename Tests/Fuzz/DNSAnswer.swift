import DNS

/// An answer to each kind of question. What is found comes from the answer, and names hold nothing but printable text.
func fuzzDNSAnswer(_ input: Span<UInt8>) {
    for type in [RecordType.a, .ptr, .aaaa] {
        for isStream in [false, true] {
            guard case .answer(let answer) = AnswerReader.read(input, for: type, isStream: isStream) else { continue }
            precondition(answer.addresses.count <= input.count / 4, "more addresses than there is room for")
            precondition(answer.addresses.isEmpty || type != .ptr)
            precondition(answer.name == nil || type == .ptr)
            for name in [answer.name, answer.alias] {
                guard let name else { continue }
                precondition(name.allSatisfy { (0x20...0x7E).contains($0) && !(0x41...0x5A).contains($0) })
            }
        }
    }
}
