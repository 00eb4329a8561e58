"""The usual arrangement of a ManageSieve test: auth service, server behind, and the proxy between them."""

import base64
import re

from harness import apus_only
from imap import IMAPTest
from scripted import Backend

EXTENSIONS = ("fileinto reject envelope encoded-character vacation subaddress comparator-i;ascii-numeric relational regex "
              "imap4flags copy include variables body enotify environment mailbox date index ihave duplicate mime "
              "foreverypart extracttext")


def capabilities(sasl="PLAIN", starttls=False):
    """The list of a `server` that says nothing of it."""
    return ['"IMPLEMENTATION" "Apus"', f'"SIEVE" "{EXTENSIONS}"', '"NOTIFY" "mailto"', f'"SASL" "{sasl}"',
            *(['"STARTTLS"'] if starttls else []), '"VERSION" "1.0"']


READY = 'OK "ManageSieve ready"'
UNKNOWN = 'NO "Unknown command"'
SYNTAX = 'NO "Syntax error"'
ARGUMENTS = 'NO "Wrong number of arguments"'
INVALID = 'NO "Invalid response"'
UNAVAILABLE = 'NO "Mechanism not available"'
LITERAL = 'BYE "Invalid or too long literal"'
ERROR = 'BYE (TRYLATER) "Internal server error"'


class SieveBackend(Backend):
    """A ManageSieve server that greets, takes any login, and answers each line with `OK "done"` afterwards."""

    def __init__(self, script=None, greeting='"IMPLEMENTATION" "backend"\r\n"SASL" "PLAIN"\r\nOK "ready"',
                 success='OK "Logged in."', **options):
        super().__init__(script, greeting=greeting, success=success, **options)

    @staticmethod
    def hears_authenticate(wire):
        """(user, password) of AUTHENTICATE PLAIN."""
        response = wire.hears_match(r'AUTHENTICATE "PLAIN" (?:"([A-Za-z0-9+/=]{0,1024})"|\{(\d+)\+\})')
        encoded = response[1]
        if response[2]:
            encoded = wire.hears_bytes(int(response[2]))
            wire.hears_exactly(b"\r\n")
        identity, user, password = base64.b64decode(encoded).decode("latin-1").split("\0")
        if identity:
            wire.fail("an authorisation identity")
        return user, password

    def greets_and_takes_login(self, wire):
        wire.says(self.greeting)
        login = self.hears_authenticate(wire)
        with self.lock:
            self.logins.append(login)
        wire.says(self.success)

    def usual(self, wire):
        self.greets_and_takes_login(wire)
        while True:
            while b"\n" not in wire.buffer:
                if not wire._fill():
                    return
            if wire.hears_line().upper() == "LOGOUT":
                wire.says('OK "bye"')
                return
            wire.says('OK "done"')


@apus_only
class SieveTest(IMAPTest):
    """`arrange()` starts all three; `client()` connects and has heard the greeting."""

    def arrange(self, mail="", server="", main="", answer=None, backend=None, **options):
        return super().arrange(
            mail, server, main, answer, backend if backend is not None else SieveBackend(), **options)

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
                    listen 127.0.0.1:@sieve@ {listen};
                    protocol sieve;
                    {server}
                }}
            }}
            """, ports=ports, **options)
        return self.proxy

    def client(self, port="sieve", greeting=READY, **options):
        """A client that has heard the whole greeting, which ends with this line."""
        wire = self.connect(self.proxy.ports[port], **options)
        if greeting:
            self.hears_list(wire, greeting)
        return wire

    @staticmethod
    def hears_list(wire, last):
        """The capabilities, and the line behind them."""
        names = []
        while True:
            line = wire.hears_line()
            capability = re.fullmatch(r'"([A-Z]+)"( "(\\.|[^"\\])*")?', line)
            if not capability:
                break
            names.append(capability[1])
        if line != last:
            wire.fail(f"awaited {last!r}, heard {line!r}")
        for name in ("IMPLEMENTATION", "SIEVE", "SASL", "VERSION"):
            if name not in names:
                wire.fail(f"no {name} among the capabilities")
        return names

    def log_in(self, wire, user="bob", password="wonderland"):
        self.proxy.keep_secret(password)
        response = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        wire.says(f'AUTHENTICATE "PLAIN" "{response}"')
        wire.hears('OK "Logged in."')
        return wire
