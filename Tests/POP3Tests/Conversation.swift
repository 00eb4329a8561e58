import POP3
import ProtocolTesting

extension POP3: ProtocolUnderTest {}

typealias Service = TestService<POP3>
typealias Conversation = TestConversation<POP3>
typealias Exchange = TestExchange<POP3>
