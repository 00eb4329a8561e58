import IMAP
import ProtocolTesting

extension IMAP: ProtocolUnderTest {}

typealias Service = TestService<IMAP>
typealias Conversation = TestConversation<IMAP>
typealias Exchange = TestExchange<IMAP>
