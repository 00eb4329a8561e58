"""The usual arrangement of an SMTP test: auth service, server behind, and the proxy between them."""

from harness import ProxyTest
from scripted import AuthService, Server, accept

GREETING = "220 mail.example.com ESMTP ready"
INVALID = "500 5.5.1 Invalid command"
SUCCESS = "250 2.0.0 OK"


class SMTPBackend(Server):
    """An SMTP server that says yes to everything, keeps the commands it heard, and fails when it hears one too early.

    `replies` gives other answers, by the command's first word, `@line@` being the whole; after DATA it takes a message."""

    REPLIES = {"AUTH": "235 2.7.0 in", "XCLIENT": "220 backend again", "DATA": "354 go on", "QUIT": "221 bye"}

    def __init__(self, replies=None, greeting="220 backend ready"):
        super().__init__(self.talk, name="backend")
        self.greeting = greeting
        self.replies = {**self.REPLIES, **(replies or {})}
        self.heard = []  # one list for each connection
        self.messages = []

    def talk(self, wire):
        wire.says(self.greeting)
        heard = []
        self.heard.append(heard)
        while True:
            while b"\n" not in wire.buffer:
                if not wire._fill():
                    return
            line = wire.hears_line()
            heard.append(line)
            word = line.split(" ")[0].upper()
            wire.sends(self.replies.get(word, "250 ok").replace("@line@", line) + "\r\n")
            if word == "DATA":
                message = b""
                while not message.endswith(b"\r\n.\r\n"):
                    message += wire.hears_bytes(1)
                self.messages.append(message)
                wire.says("250 taken")
            if word == "QUIT":
                return


class SMTPTest(ProxyTest):
    """`arrange()` starts all three; `client()` connects and has heard the greeting."""

    def arrange(self, mail="", server="", answer=None, backend=None, listen="127.0.0.1:@smtp@", **options):
        self.backend = self.serve(backend or SMTPBackend())
        self.auth = self.serve(AuthService(accept(self.backend.port) if answer is None else answer))
        self.proxy = self.start(
            f"""
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:@auth@/auth;
                {mail}
                server {{
                    listen {listen};
                    protocol smtp;
                    {server}
                }}
            }}
            """, ports={"auth": self.auth.port}, **options)
        return self.proxy

    def client(self, greeting=GREETING, **options):
        wire = self.connect(self.proxy.ports["smtp"], **options)
        if greeting:
            wire.hears(greeting)
        return wire
