import Testing

@testable import Supervisor

@Suite struct `JSON of the control socket` {
    @Test(arguments: [
        "{}", "{\"a\":1}", "{\"a\":-7,\"b\":\"x\",\"c\":true,\"d\":false,\"e\":null}", "{\"a\":[1,[2],{\"b\":[]}]}",
        "{\"\":\"\"}", "{\"a\":\"\\\"\\\\\\n\\u0000\\u007fäö\"}",
    ])
    func `is written as it was read`(text: String) {
        #expect(JSONText(object: Array(text.utf8))?.text == text)
    }

    @Test(arguments: [
        "", " ", "{", "}", "[]", "1", "\"a\"", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":1}x",
        "{\"a\":1.5}",
        "{\"a\":99999999999999999999}", "{\"a\":nul}", "{\"a\":\"x}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}", "{\"a\":[1}", "{\"a\":{\"b\":{\"c\":{\"d\":{}}}}}", "{\"a\":\"\n\"}",
    ])
    func `that is none is refused`(text: String) {
        #expect(JSONText(object: Array(text.utf8)) == nil)
    }

    @Test func `takes spaces and escapes`() {
        let text = " { \"a\\u0062\" : \"\\t\\r\\/\" , \"c\":[ 1 , 2 ] } "
        #expect(JSONText(object: Array(text.utf8))?.text == "{\"ab\":\"\\u0009\\u000d/\",\"c\":[1,2]}")
    }

    @Test func `has the last of equal names`() {
        #expect(JSONText(object: Array("{\"a\":1,\"a\":2}".utf8))?.members?["a"] == .number(2))
    }
}
