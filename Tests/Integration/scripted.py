"""Scripted servers: an auth_http service and a mail server that say exactly what a test wants, and keep what they heard.

A script is a function of one `Wire`, or a list of such functions, or of bytes (said as they are). A server has one script
for all connections or a list `[first, second, ...]` through `scripts=`, whose last one serves all that follow.
"""

import contextlib
import socket
import threading
import traceback

from harness import DEADLINE, ConnectionEnded, Wire, as_bytes, wait_until


class Server:
    """Listens on a port the kernel picks; each connection runs its script in a thread."""

    def __init__(self, script=None, scripts=None, name="server", backlog=512, host="127.0.0.1", path=None):
        self.scripts = scripts or [script]
        self.name = name
        self.failures = []
        self.connections = []
        self.lock = threading.Lock()
        self.ending = threading.Event()
        self.test_is_over = False
        if path:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.bind(str(path))
            import os
            os.chmod(path, 0o777)
            self.port = str(path)
        else:
            self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((host, 0))
            self.port = self.socket.getsockname()[1]
        self.socket.listen(backlog)
        self.thread = None

    def start(self):
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()
        return self

    def _accept(self):
        while not self.ending.is_set():
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            if isinstance(self.port, int):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                wire = Wire(sock, f"{self.name} #{len(self.connections) + 1}")
                script = self.scripts[min(len(self.connections), len(self.scripts) - 1)]
                wire.done = threading.Event()
                self.connections.append(wire)
            threading.Thread(target=self._serve, args=(wire, script), daemon=True).start()

    def _serve(self, wire, script):
        try:
            self.serve(wire, script)
        except OSError:
            pass  # the proxy closed: whatever the test wanted to see, it sees elsewhere
        except Exception as error:  # noqa: BLE001: reported by the test
            cut_short = self.test_is_over and isinstance(error, ConnectionEnded)
            if not self.ending.is_set() and not cut_short:
                self.failures.append(f"{error}" if isinstance(error, AssertionError) else traceback.format_exc())
        finally:
            wire.closes()
            wire.done.set()

    def serve(self, wire, script):
        for step in script if isinstance(script, (list, tuple)) else [script]:
            if step is None:
                continue
            if isinstance(step, (bytes, str)):
                wire.sends(step)
            else:
                step(wire)

    def wait_connection(self, number=1):
        wait_until(lambda: len(self.connections) >= number, lambda: f"connection {number} at the {self.name}")
        return self.connections[number - 1]

    def stop(self):
        self.ending.set()
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for wire in self.connections:
            with contextlib.suppress(OSError):
                wire.sock.shutdown(socket.SHUT_RDWR)
        for wire in self.connections:
            wire.done.wait(DEADLINE)
        if self.thread:
            self.thread.join(DEADLINE)
        if self.failures:
            raise AssertionError(f"{self.name}: " + "\n".join(self.failures))

    def vanish(self):
        """Stops listening, so that the port refuses connections."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


# --- steps that scripts are made of -----------------------------------------------------------------------------------


def hold(wire):
    """Says nothing and waits for the peer to close."""
    wire.sock.settimeout(DEADLINE * 3)
    wire.hears_rest()


def reset(wire):
    wire.resets()


def drain(wire):
    wire.hears_rest()


# --- the auth service -------------------------------------------------------------------------------------------------


class Request:
    """One request as its bytes; `header` gives a value, `headers` the names and values in order."""

    def __init__(self, data, connection):
        self.data = data
        self.connection = connection
        head = data.decode("latin-1").split("\r\n")
        self.line = head[0]
        self.headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in head[1:-2]]

    def header(self, name):
        found = [value for key, value in self.headers if key == name]
        return found[0] if found else None


def http(status="200 OK", version="1.0", body=b"", **headers):
    """An HTTP answer; header names are written with `_` for `-`."""
    lines = [f"HTTP/{version} {status}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items() if value is not None]
    return as_bytes("\r\n".join(lines) + "\r\n\r\n") + body


def accept(port, address="127.0.0.1", **more):
    """The answer that lets a user in."""
    return http(Auth_Status="OK", Auth_Server=address, Auth_Port=port, **more)


def refuse(text="Invalid login or password", **more):
    return http(Auth_Status=text, **more)


class AuthService(Server):
    """Answers each request with `answer`: bytes, or a function of the request that returns bytes, or a list of those in
    turn (the last one stays). The answer `None` closes without one. Connections are closed after an answer unless
    `keep=True`."""

    def __init__(self, answer=None, keep=False, **options):
        super().__init__(None, name="auth service", **options)
        self.answers = answer if isinstance(answer, list) else [answer]
        self.keep = keep
        self.requests = []

    def serve(self, wire, script):
        while True:
            while b"\r\n\r\n" not in wire.buffer:
                if not wire._fill():
                    if wire.buffer:
                        wire.fail("half a request")
                    return
            head, _, rest = bytes(wire.buffer).partition(b"\r\n\r\n")
            wire.buffer = bytearray(rest)
            with self.lock:
                request = Request(head + b"\r\n\r\n", wire)
                answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
                self.requests.append(request)
            if callable(answer) and answer is not hold:
                answer = answer(request)
            if answer is None:
                return
            if answer is hold:
                hold(wire)
                return
            wire.sends(answer)
            if not self.keep:
                wire.ends_sending()
                wire.hears_rest()
                return

    def wait_request(self, number=1):
        wait_until(lambda: len(self.requests) >= number, lambda: f"request {number} at the auth service")
        return self.requests[number - 1]


# --- the mail server behind -------------------------------------------------------------------------------------------


class Backend(Server):
    """An IMAP server that greets, takes any login, and afterwards answers each line `TAG ...` with `TAG OK done`, unless
    a script of its own is given."""

    def __init__(self, script=None, greeting="* OK backend ready", success="OK Logged in", before=(), patient=False,
                 **options):
        super().__init__(script or self.usual, name="backend", **options)
        self.patient = patient  # with logins that are broken off
        self.greeting = greeting
        self.success = success
        self.before = before
        self.logins = []

    def greets_and_takes_login(self, wire):
        wire.says(self.greeting)
        tag, user, password = wire.hears_login()
        with self.lock:
            self.logins.append((user.decode("latin-1"), password.decode("latin-1")))
        for line in self.before:
            wire.says(line)
        wire.says(f"{tag} {self.success}")
        return tag

    def usual(self, wire):
        self.greets_and_takes_login(wire)
        while True:
            while b"\n" not in wire.buffer:
                if not wire._fill():
                    return
            line = wire.hears_line()
            tag = line.split(" ", 1)[0]
            if line.upper().endswith("LOGOUT"):
                wire.says("* BYE backend", f"{tag} OK bye")
                return
            wire.says(f"{tag} OK done")

    def echo(self, wire):
        """After the login every byte comes back."""
        self.greets_and_takes_login(wire)
        if wire.buffer:
            wire.sends(wire.buffer)
        while True:
            data = wire.sock.recv(1 << 18)
            if not data:
                return
            wire.sock.sendall(data)

    def serve(self, wire, script):
        try:
            super().serve(wire, script)
        except AssertionError:
            if not self.patient:
                raise

    def wait_login(self, number=1):
        wait_until(lambda: len(self.logins) >= number, lambda: f"login {number} at the backend")
        return self.logins[number - 1]
