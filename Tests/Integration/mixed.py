"""Sessions of all protocols and of every outcome, in a process of its own, with the servers behind them.

Says `{"auth": PORT, ...}`; is told a line of JSON with the proxy's ports, the number of sessions and how many at a
time; then says a line at each tenth of them and waits for one before it goes on. At the end it says what failed.
"""

import asyncio
import base64
import json
import random
import re
import socket
import ssl
import struct
import sys

PROXY_LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 143\r\n"


def plain(user):
    return base64.b64encode(b"\0" + user + b"\0wonderland")


# --- servers ----------------------------------------------------------------------------------------------------------


def quiet(handler):
    async def served(reader, writer):
        try:
            await handler(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass
        writer.close()

    return served


async def imap(reader, writer):
    writer.write(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
    while line := await reader.readuntil(b"\r\n"):
        while literal := re.search(rb"\{(\d+)(\+?)\}\r\n$", line):
            if not literal[2]:
                writer.write(b"+ go on\r\n")
            line += await reader.readexactly(int(literal[1])) + await reader.readuntil(b"\r\n")
        writer.write(line.split()[0] + b" OK done\r\n")
        if b"LOGOUT" in line:
            return


async def pop3(reader, writer):
    writer.write(b"+OK ready\r\n")
    while line := await reader.readuntil(b"\r\n"):
        writer.write(b"+OK\r\n")
        if line.startswith(b"QUIT"):
            return


async def smtp(reader, writer):
    writer.write(b"220 mx ESMTP\r\n")
    while line := await reader.readuntil(b"\r\n"):
        if line.startswith(b"EHLO"):
            writer.write(b"250-mx\r\n250-XCLIENT NAME ADDR LOGIN\r\n250 AUTH PLAIN\r\n")
        elif line.startswith(b"XCLIENT"):
            writer.write(b"220 mx ESMTP\r\n")
        else:
            writer.write(b"250 OK\r\n")
        if line.startswith(b"QUIT"):
            return


async def bad_backend(reader, writer):
    writer.write(random.choice([b"* BYE no\r\n", b"-ERR no\r\n", b"554 no\r\n", b"x" * 9000, b"\0\xff\r\n", b""]))


def auth_service(ports):
    async def auth(reader, writer):
        while True:
            request = await reader.readuntil(b"\r\n\r\n")
            user = re.search(rb"Auth-User: (\S*)", request)
            user = user[1] if user else b""
            protocol = re.search(rb"Auth-Protocol: (\S+)", request)[1].decode()
            if user == b"drop":
                return
            if user == b"fail":
                writer.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")
                continue
            if user == b"junk":
                writer.write(b"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: somewhere\r\nAuth-Port: x\r\n\r\n")
                return
            if user == b"no":
                writer.write(b"HTTP/1.1 200 OK\r\nAuth-Status: Invalid login\r\nContent-Length: 0\r\n\r\n")
                continue
            port = {b"dead": ports["dead"], b"bad": ports["bad"]}.get(user, ports[protocol])
            writer.write(b"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: %d\r\n"
                         b"Content-Length: 0\r\n\r\n" % port)

    return quiet(auth)


# --- clients ----------------------------------------------------------------------------------------------------------


class Client:
    """One session with the proxy; `failed` is set where something that had to go well did not."""

    def __init__(self, ports, kind, context):
        self.ports, self.kind, self.context = ports, kind, context

    async def open(self, suffix="", tls=None):
        self.reader, self.writer = await asyncio.open_connection(
            "127.0.0.1", self.ports[self.kind + suffix], ssl=tls, limit=1 << 20)

    async def line(self):
        return await self.reader.readuntil(b"\r\n")

    async def reply(self, start):
        """Reads up to the line that begins so."""
        while True:
            line = await self.line()
            if line.startswith(start) and not (self.kind == "smtp" and line[3:4] == b"-"):
                return line

    def says(self, *lines):
        self.writer.write(b"".join(line + b"\r\n" for line in lines))

    async def rest(self):
        while await self.reader.read(1 << 16):
            pass

    async def greeting(self):
        await self.reply({"imap": b"* OK", "pop3": b"+OK", "smtp": b"220"}[self.kind])

    async def log_in(self, user=b"bob", method=0):
        kind = self.kind
        if kind == "smtp":
            self.says(b"EHLO client.example.com")
            await self.reply(b"250 ")
            self.says(b"AUTH PLAIN " + plain(user))
            return await self.reply(b"235" if user == b"bob" else b"")
        if kind == "pop3":
            if method == 0:
                self.says(b"USER " + user)
                await self.line()
                self.says(b"PASS wonderland")
            else:
                self.says(b"AUTH PLAIN")
                await self.line()
                self.says(plain(user))
            return await self.reply(b"+OK" if user == b"bob" else b"")
        if method == 0:
            self.says(b"a LOGIN " + user + b" wonderland")
        else:
            self.says(b"a AUTHENTICATE PLAIN")
            await self.line()
            self.says(plain(user))
        return await self.reply(b"a OK" if user == b"bob" else b"")

    async def log_out(self):
        self.says({"imap": b"b LOGOUT", "pop3": b"QUIT", "smtp": b"QUIT"}[self.kind])
        await self.rest()

    async def start_tls(self):
        self.says({"imap": b"t STARTTLS", "pop3": b"STLS", "smtp": b"STARTTLS"}[self.kind])
        await self.reply({"imap": b"t OK", "pop3": b"+OK", "smtp": b"220"}[self.kind])
        await self.writer.start_tls(self.context)

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


async def relayed(client):
    await client.open()
    await client.greeting()
    await client.log_in(method=random.randrange(2))
    await client.log_out()


async def relayed_over_tls(client):
    await client.open("s", client.context)
    await client.greeting()
    await client.log_in()
    await client.log_out()


async def relayed_over_starttls(client):
    await client.open()
    await client.greeting()
    await client.start_tls()
    await client.log_in()
    await client.log_out()


async def relayed_behind_a_balancer(client):
    await client.open("p")
    client.writer.write(PROXY_LINE)
    await client.greeting()
    await client.log_in()
    await client.log_out()


async def reset_in_the_relay(client):
    await client.open()
    await client.greeting()
    await client.log_in()
    client.says(b"x NOOP")
    client.reset()


async def refused(client):
    await client.open()
    await client.greeting()
    await client.log_in(random.choice([b"no", b"fail", b"drop", b"junk", b"dead", b"bad"]))


async def garbage(client):
    await client.open()
    await client.greeting()
    client.writer.write(random.randbytes(random.choice([1, 30, 500, 20000])) + b"\r\n" * 9)
    await client.writer.drain()


async def reset_in_mid_command(client):
    await client.open()
    await client.greeting()
    client.writer.write(random.choice([b"a LOG", b"USER bob\r\nPA", b"a LOGIN {3}\r\nbo", b"AUTH PLAIN\r\nAG"]))
    await client.writer.drain()
    client.reset()


async def left_in_mid_login(client):
    await client.open()
    await client.greeting()
    client.says(b"a LOGIN bob wonderland", b"USER bob", b"PASS wonderland", b"AUTH PLAIN " + plain(b"bob"))


async def too_long(client):
    await client.open()
    await client.greeting()
    client.writer.write(b"a LOGIN " + b"x" * 100_000)
    await client.rest()


async def silence(client):
    await client.open("t")
    await client.rest()


async def no_tls_at_all(client):
    await client.open("s")
    client.writer.write(random.randbytes(200))
    await client.rest()


async def no_proxy_header(client):
    await client.open("p")
    client.writer.write(random.choice([b"GET / HTTP/1.0\r\n\r\n", b"PROXY " + b"x" * 5000, random.randbytes(100) + b"\n"]))
    await client.rest()


MUST_SUCCEED = [relayed, relayed, relayed_over_tls, relayed_over_starttls, relayed_behind_a_balancer]
MAY_END_ANYHOW = [reset_in_the_relay, refused, refused, garbage, reset_in_mid_command, left_in_mid_login, too_long, silence,
                  no_tls_at_all, no_proxy_header]


async def main():
    servers = {}
    for name, handler in (("imap", imap), ("pop3", pop3), ("smtp", smtp), ("bad", bad_backend)):
        server = await asyncio.start_server(quiet(handler), "127.0.0.1", 0, backlog=1024)
        servers[name] = server.sockets[0].getsockname()[1]
    closed = socket.socket()
    closed.bind(("127.0.0.1", 0))  # bound, and never listening
    servers["dead"] = closed.getsockname()[1]
    auth = await asyncio.start_server(auth_service(servers), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"auth": auth.sockets[0].getsockname()[1]}), flush=True)
    loop = asyncio.get_running_loop()
    told = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    failures, outcomes = [], {}

    async def session(number):
        kind = ("imap", "pop3", "smtp")[number % 3]
        what = random.choice(MUST_SUCCEED if number % 2 else MAY_END_ANYHOW)
        client = Client(told["ports"], kind, context)
        client.writer = None
        try:
            await asyncio.wait_for(what(client), 30)
            outcomes[what.__name__] = outcomes.get(what.__name__, 0) + 1
        except Exception as error:  # noqa: BLE001: judged here
            if what in MUST_SUCCEED or isinstance(error, asyncio.TimeoutError):
                failures.append(f"{kind} {what.__name__}: {error!r}")
            else:
                outcomes[what.__name__] = outcomes.get(what.__name__, 0) + 1
        finally:
            if client.writer:
                client.writer.transport.abort()

    random.seed(told["sessions"])
    tenth = told["sessions"] // 10
    for part in range(10):
        numbers = iter(range(part * tenth, (part + 1) * tenth))

        async def one_after_the_other():
            for number in numbers:
                await session(number)

        await asyncio.gather(*(one_after_the_other() for _ in range(told["atOnce"])))
        print(json.dumps({"done": (part + 1) * tenth, "failures": failures, "outcomes": outcomes}), flush=True)
        await loop.run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    asyncio.run(main())
