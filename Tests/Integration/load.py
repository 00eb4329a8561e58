"""Steady traffic for the soak, in a process of its own: logins one after the other, plain and TLS, each timed from
connect to greeting; and the servers behind, whose data can be checked.

The mail server takes any login. `x DATA COUNT SEED` is answered with COUNT bytes that SEED determines, then a line.
"""

import asyncio
import json
import os
import random
import re
import signal
import ssl
import sys
import time

CHUNK = 16384


def data(count, seed):
    return random.Random(seed).randbytes(count)


# --- servers ----------------------------------------------------------------------------------------------------------


async def auth(reader, writer, port):
    try:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nAuth-Status: OK\r\nAuth-Server: 127.0.0.1\r\nAuth-Port: %d\r\n"
                         b"Content-Length: 0\r\n\r\n" % port)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def mail(reader, writer):
    try:
        writer.write(b"* OK [CAPABILITY IMAP4rev1 LITERAL+] ready\r\n")
        while True:
            line = await reader.readuntil(b"\r\n")
            while literal := re.search(rb"\{(\d+)(\+?)\}\r\n$", line):
                if not literal[2]:
                    writer.write(b"+ go on\r\n")
                line += await reader.readexactly(int(literal[1])) + await reader.readuntil(b"\r\n")
            tag, command, *rest = line.split()
            if command == b"DATA":
                writer.write(data(int(rest[0]), int(rest[1])))
                await writer.drain()
            writer.write(tag + b" OK done\r\n")
            if command == b"LOGOUT":
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


# --- logins -----------------------------------------------------------------------------------------------------------


async def log_in(port, context):
    """Seconds from connect to greeting."""
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        greeting = await reader.readline()
        took = time.perf_counter() - begin
        if not greeting.startswith(b"* OK"):
            raise ConnectionError(f"greeting {greeting!r}")
        writer.write(b"a LOGIN bob wonderland\r\nb LOGOUT\r\n")
        for tag in (b"a ", b"b "):
            if not (answer := await reader.readline()).startswith(tag + b"OK"):
                raise ConnectionError(f"answer {answer!r}")
        return took
    finally:
        writer.close()


async def main():
    """Says `{"mail": PORT, "auth": PORT}`; is then told `PORT TLSPORT PACE`, and for each line more says what happened
    since the line before."""
    loop = asyncio.get_running_loop()
    mail_server = await asyncio.start_server(mail, "127.0.0.1", 0, backlog=512)
    mail_port = mail_server.sockets[0].getsockname()[1]
    auth_server = await asyncio.start_server(lambda r, w: auth(r, w, mail_port), "127.0.0.1", 0, backlog=512)
    print(json.dumps({"mail": mail_port, "auth": auth_server.sockets[0].getsockname()[1]}), flush=True)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    took, failures, running = [], [], set()

    async def one(port, tls):
        try:
            took.append(await asyncio.wait_for(log_in(port, tls), 20))
        except Exception as error:  # noqa: BLE001: all of them are counted
            failures.append(f"{'TLS' if tls else 'plain'}: {error!r}")

    async def clients(plain, secure, pace):
        number = 0
        while True:
            task = loop.create_task(one(secure, context) if number % 4 == 3 else one(plain, None))
            running.add(task)
            task.add_done_callback(running.discard)
            number += 1
            await asyncio.sleep(1 / pace)

    steady = None
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        if steady is None:
            steady = loop.create_task(clients(*map(int, line.split())))
            continue
        print(json.dumps({"took": sorted(took), "failures": failures}), flush=True)
        took, failures[:] = [], []
    steady and steady.cancel()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    asyncio.run(main())
