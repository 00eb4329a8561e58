import ManageSieve
import ProtocolTesting

extension ManageSieve: ProtocolUnderTest {}

typealias Service = TestService<ManageSieve>
typealias Conversation = TestConversation<ManageSieve>
typealias Exchange = TestExchange<ManageSieve>

/// The capability list of a `server` block that says nothing of it; as minutes have it.
let sieve = """
    "SIEVE" "fileinto reject envelope encoded-character vacation subaddress comparator-i;ascii-numeric relational regex \
    imap4flags copy include variables body enotify environment mailbox date index ihave duplicate mime foreverypart \
    extracttext"
    """
let listed = #""IMPLEMENTATION" "Apus" / "# + sieve + #" / "NOTIFY" "mailto""#
let capabilities = listed + #" / "SASL" "PLAIN" / "VERSION" "1.0""#
