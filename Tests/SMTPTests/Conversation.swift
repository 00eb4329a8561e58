import SMTP
import ProtocolTesting

extension SMTP: ProtocolUnderTest {}

typealias Service = TestService<SMTP>
typealias Conversation = TestConversation<SMTP>
typealias Exchange = TestExchange<SMTP>
