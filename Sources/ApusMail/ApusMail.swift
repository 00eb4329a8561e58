// ApusMail is what a protocol is made of: its declaration, the dialog with the client, the dialog with the server
// behind, credentials and verdicts. IMAP, POP3, SMTP and ManageSieve import this and nothing else; so does a protocol of
// yours.
// It lends out what `Bytes` and `Config` offer a protocol: reading bytes, secrets, declaring directives.

@_exported public import Bytes
@_exported public import Config
