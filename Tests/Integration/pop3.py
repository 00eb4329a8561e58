"""The usual arrangement of a POP3 test: auth service, server behind, and the proxy between them."""

from imap import IMAPTest
from scripted import Backend

GREETING = "+OK POP3 ready"
BAD = "-ERR invalid command"


class POP3Backend(Backend):
    """A POP3 server that greets, takes any login, and answers each line with `+OK done` afterwards."""

    def __init__(self, script=None, greeting="+OK backend ready", success="+OK Logged in.", **options):
        super().__init__(script, greeting=greeting, success=success, **options)

    def greets_and_takes_login(self, wire):
        wire.says(self.greeting)
        user = wire.hears_match(r"USER (.*)")[1]
        wire.says("+OK")
        password = wire.hears_match(r"PASS (.*)")[1]
        with self.lock:
            self.logins.append((user, password))
        wire.says(self.success)

    def usual(self, wire):
        self.greets_and_takes_login(wire)
        while True:
            while b"\n" not in wire.buffer:
                if not wire._fill():
                    return
            if wire.hears_line().upper() == "QUIT":
                wire.says("+OK bye")
                return
            wire.says("+OK done")


class POP3Test(IMAPTest):
    """`arrange()` starts all three; `client()` connects and has heard the greeting."""

    def arrange(self, mail="", server="", main="", answer=None, backend=None, **options):
        return super().arrange(
            mail, server, main, answer, backend if backend is not None else POP3Backend(), **options)

    def run_proxy(self, mail="", server="", main="", listen="", **options):
        ports = {"auth": self.auth.port, "backend": self.backend.port, **options.pop("ports", {})}
        self.proxy = self.start(
            f"""
            {main}
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:@auth@/auth;
                {mail}
                server {{
                    listen 127.0.0.1:@pop3@ {listen};
                    protocol pop3;
                    {server}
                }}
            }}
            """, ports=ports, **options)
        return self.proxy

    def client(self, port="pop3", greeting=GREETING, **options):
        return super().client(port, greeting, **options)

    def log_in(self, wire, user="bob", password="wonderland"):
        self.proxy.keep_secret(password)
        wire.says(f"USER {user}")
        wire.hears("+OK")
        wire.says(f"PASS {password}")
        wire.hears("+OK Logged in.")
        return wire
