"""Starts the real binary for a test, watches it, and looks at what it leaves behind.

A test writes a configuration with `@name@` where a free port goes, starts it, talks over `Wire`s, and ends. Afterwards
the harness checks what no test may leave: the same workers are alive, none ended on a signal, no line of level crit or
above that the test did not announce, and no password of the test in any log.

    APUS_BINARY         the program under test (default .build/release/apus). /usr/sbin/nginx makes the suite run against
                        the reference for everything both must do; tests of what only Apus does are skipped then.
    APUS_TEST_DEADLINE  seconds any wait may take (default 10)
    APUS_TEST_KEEP      keep the temporary directories
"""

import base64
import contextlib
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("APUS_BINARY") or str(ROOT / ".build/release/apus")
REFERENCE = os.path.basename(BINARY).startswith("nginx")
NAME = "nginx" if REFERENCE else "apus"
DEADLINE = float(os.environ.get("APUS_TEST_DEADLINE", "10"))
ORDINARY_USER = "nobody"
NGINX_MAIL_MODULE = "/usr/lib/nginx/modules/ngx_mail_module.so"

apus_only = unittest.skipIf(REFERENCE, "Apus differs from nginx here, on purpose")
as_root = unittest.skipIf(os.geteuid() != 0, "needs root")


def wait_until(condition, what, timeout=None, interval=0.005):
    """Returns the first true value of `condition()`; fails when the deadline passes."""
    end = time.monotonic() + (timeout or DEADLINE)
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain: {what() if callable(what) else what}")
        time.sleep(interval)


# --- ports ------------------------------------------------------------------------------------------------------------

_given = set()


def free_port(address="127.0.0.1"):
    """A port below the range the kernel gives to outgoing connections, so that nobody takes it before the proxy binds."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        port = random.SystemRandom().randrange(12000, 32000)
        if port in _given:
            continue
        with contextlib.closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
            try:
                probe.bind((address, port))
            except OSError:
                continue
        _given.add(port)
        return port


def listening_ports():
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError), open(table) as lines:
            for line in lines:
                # Most of many lines are connections that linger.
                if " 0A " not in line:
                    continue
                fields = line.split()
                if fields[3] == "0A":
                    found.add(int(fields[1].rsplit(":", 1)[1], 16))
    return found


# --- processes --------------------------------------------------------------------------------------------------------


def stat_fields(pid):
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rsplit(")", 1)[1].split()


def alive(pid):
    fields = stat_fields(pid)
    return fields is not None and fields[0] not in "ZX"


def parent(pid):
    fields = stat_fields(pid)
    return int(fields[1]) if fields else None


def children(pid):
    return sorted(
        int(entry) for entry in os.listdir("/proc") if entry.isdigit() and alive(entry) and parent(entry) == pid)


def title(pid):
    try:
        raw = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return raw.rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")


def status_field(pid, field):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return line.split(":", 1)[1].split()
    return None


def resident_kib(pid):
    return int(status_field(pid, "VmRSS")[0])


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


# --- the two ends of a connection -------------------------------------------------------------------------------------


def as_bytes(text):
    return text.encode("latin-1") if isinstance(text, str) else bytes(text)


class ConnectionEnded(AssertionError):
    """The peer went away where more was awaited of it."""


class Wire:
    """One connection, read like a transcript: `says` a line, `hears` a line, `hears_end`."""

    def __init__(self, sock, who="client"):
        self.sock = sock
        self.who = who
        self.buffer = bytearray()
        self.received = bytearray()
        self.transcript = []
        self.ended = False
        sock.settimeout(DEADLINE)

    def fail(self, why):
        told = "\n".join("    " + line for line in self.transcript[-40:])
        rest = f"\n    unread: {bytes(self.buffer[:400])!r}" if self.buffer else ""
        raise (ConnectionEnded if self.ended else AssertionError)(f"{self.who}: {why}\n{told}{rest}")

    # sending

    def sends(self, data):
        data = as_bytes(data)
        self.transcript.append(f"> {data[:300]!r}" + (f" ... {len(data)} bytes" if len(data) > 300 else ""))
        self.sock.sendall(data)

    def says(self, *lines):
        """All lines at once: a peer may close after any of them, and the next write would fail."""
        self.sends(b"".join(as_bytes(line) + b"\r\n" for line in lines))

    def tries_to_send(self, data):
        """Sends to a peer that may have gone away."""
        with contextlib.suppress(OSError):
            self.sends(data)

    # receiving

    def _fill(self):
        """Reads what is there; False at the end of the stream."""
        if self.ended:
            return False
        try:
            data = self.sock.recv(1 << 18)
        except (TimeoutError, socket.timeout):
            self.fail("waited in vain")
        except ssl.SSLEOFError:
            data = b""
        except ConnectionResetError:
            self.transcript.append("< reset")
            data = b""
        if not data:
            self.ended = True
            self.transcript.append("< end")
            return False
        self.transcript.append(f"< {data[:300]!r}" + (f" ... {len(data)} bytes" if len(data) > 300 else ""))
        self.buffer += data
        self.received += data
        return True

    def hears_line(self):
        """The next line, without its CRLF."""
        while b"\n" not in self.buffer:
            if not self._fill():
                self.fail("the connection ended where a line was awaited")
        line, _, rest = bytes(self.buffer).partition(b"\n")
        self.buffer = bytearray(rest)
        if not line.endswith(b"\r"):
            self.fail(f"line without CR: {line!r}")
        return line[:-1].decode("latin-1")

    def hears(self, *expected):
        for line in expected:
            want = line if isinstance(line, str) else line.decode("latin-1")
            got = self.hears_line()
            if got != want:
                self.fail(f"awaited {want!r}, heard {got!r}")

    def hears_match(self, pattern):
        got = self.hears_line()
        match = re.fullmatch(pattern, got)
        if not match:
            self.fail(f"awaited a line like {pattern!r}, heard {got!r}")
        return match

    def hears_bytes(self, count):
        while len(self.buffer) < count:
            if not self._fill():
                self.fail(f"the connection ended after {len(self.buffer)} of {count} bytes")
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def hears_exactly(self, data):
        data = as_bytes(data)
        got = self.hears_bytes(len(data))
        if got != data:
            self.fail(f"awaited {data[:200]!r}, heard {got[:200]!r}")

    def hears_end(self):
        """The peer closes (orderly or by reset) and has sent nothing more."""
        while self._fill():
            pass
        if self.buffer:
            self.fail(f"awaited the end, heard {bytes(self.buffer[:200])!r}")

    def hears_rest(self):
        while self._fill():
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data

    def hears_nothing(self, seconds=0.15):
        """Nothing arrives for a while. For what must *not* happen there is no event to wait for."""
        if self.buffer:
            self.fail("awaited silence")
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(1 << 16)
        except (TimeoutError, socket.timeout):
            return
        finally:
            self.sock.settimeout(DEADLINE)
        self.buffer += data
        self.fail(f"awaited silence, heard {data[:200]!r}" if data else "awaited silence, heard the end")

    # TLS and ends

    def starts_tls(self, context, name=None, session=None):
        if self.buffer:
            self.fail("bytes before the TLS handshake")
        self.sock = context.wrap_socket(self.sock, server_hostname=name, session=session)
        return self.sock

    def ends_sending(self):
        self.sock.shutdown(socket.SHUT_WR)

    def resets(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()
        self.ended = True

    def closes(self):
        with contextlib.suppress(OSError):
            self.sock.close()
        self.ended = True

    # what an IMAP server hears of a login, in whatever form its capabilities allow

    def hears_login(self, hurry=False):
        """(tag, user, password) of a LOGIN or AUTHENTICATE PLAIN; answers the continuations, not the login itself."""
        line = self.hears_line()
        while re.fullmatch(r"\S+ CAPABILITY", line):
            self.says(line.split()[0] + " BAD unknown command")
            line = self.hears_line()
        sasl = re.fullmatch(r"(\S+) AUTHENTICATE PLAIN(?: (\S+))?", line)
        if sasl:
            encoded = sasl[2]
            if encoded is None:
                self.says("+ ")
                encoded = self.hears_line()
            _, user, password = base64.b64decode(encoded).split(b"\0", 2)
            return sasl[1], user, password
        head = re.fullmatch(r"(\S+) LOGIN \{(\d+)(\+?)\}", line)
        if not head:
            self.fail(f"awaited a login, heard {line!r}")
        if not head[3]:
            self.says("+ OK")
        user = self.hears_bytes(int(head[2]))
        line = self.hears_line()
        tail = re.fullmatch(r" \{(\d+)(\+?)\}", line)
        if not tail:
            self.fail(f"awaited the password's literal, heard {line!r}")
        if not tail[2]:
            self.says("+ OK")
        password = self.hears_bytes(int(tail[1]))
        self.hears_exactly(b"\r\n")
        return head[1], user, password


def b64(text):
    return base64.b64encode(as_bytes(text)).decode()


def plain(user, password):
    """The initial response of AUTHENTICATE PLAIN."""
    return b64(b"\0" + as_bytes(user) + b"\0" + as_bytes(password))


# --- the proxy --------------------------------------------------------------------------------------------------------

_reachable = {}


def binary_for(user):
    """The program's path, copied to where that user can reach it if need be."""
    if user is None:
        return BINARY
    if user not in _reachable:
        path = os.path.realpath(BINARY)
        probe = subprocess.run(["test", "-x", path], user=user, extra_groups=[])
        if probe.returncode != 0:
            place = tempfile.mkdtemp(prefix="apus-binary-")
            os.chmod(place, 0o755)
            path = shutil.copy2(path, place)
            import atexit
            atexit.register(shutil.rmtree, place, True)
        _reachable[user] = path
    return _reachable[user]


class Proxy:
    """A running Apus with its own directory."""

    def __init__(self, directory, text, ports=None, run_as=None, args=(), env=None, raw=False, level="info",
                 workers=1, extra_files=(), stderr="stderr.txt", pass_fds=(), binary=None, configuration="apus.conf"):
        self.dir = pathlib.Path(directory)
        self.ports = dict(ports or {})
        self.run_as = run_as
        self.args = list(args)
        self.env = env
        self.level = level
        self.raw = raw
        self.pass_fds = pass_fds
        self.binary = binary or binary_for(run_as)
        self.conf = self.dir / configuration
        self.stderr = self.dir / stderr
        self.secrets = set()
        self.allowed = []
        self.same_workers = True
        self.ended = False
        self.process = None
        self.master = None
        self.expected_workers = workers
        self.first_workers = []
        self.write(text)

    # configuration

    def expand(self, text):
        def one(match):
            name = match[1]
            if name == "dir":
                return str(self.dir)
            if name not in self.ports:
                self.ports[name] = free_port()
            return str(self.ports[name])

        return re.sub(r"@([a-z][a-z0-9_]*)@", one, text)

    def compose(self, text):
        if self.raw:
            return self.expand(text)
        head = ""
        if REFERENCE:
            head += f"load_module {NGINX_MAIL_MODULE}; "
        for directive, value in (
            ("daemon", "off"),
            ("pid", "@dir@/apus.pid"),
            ("error_log", f"@dir@/error.log {self.level}"),
            ("worker_processes", str(self.expected_workers)),
        ):
            if not re.search(rf"(?m)^\s*{directive}\s", text):
                head += f"{directive} {value}; "
        if not re.search(r"(?m)^\s*events\b", text):
            head += "events { worker_connections 512; } "
        # On one line, so that the line numbers of the test's own text are easy to count: its first line is line 1.
        return self.expand(head + text.lstrip("\n") if text.startswith("\n") else head + text)

    def write(self, text):
        self.rewrite(self.compose(text))

    def rewrite(self, whole):
        """Replaces the configuration by this text as it is, in one step: a reload never sees half a file."""
        self.text = whole
        fresh = self.conf.with_suffix(".new")
        fresh.write_text(self.text, encoding="latin-1")
        fresh.replace(self.conf)

    # life

    def command(self, *more):
        extra = [] if "-e" in self.args or "-e" in more else ["-e", str(self.dir / "builtin.log")]
        return [self.binary, "-p", str(self.dir) + "/", "-c", str(self.conf), *extra, *self.args, *more]

    def run(self, *more, timeout=None, **options):
        """Runs the program once more on the same configuration (`-t`, `-s reload`) and returns what came out."""
        return subprocess.run(
            self.command(*more), capture_output=True, text=True, errors="replace", timeout=timeout or DEADLINE,
            env=self.environment(), **self.identity(), **options)

    def identity(self):
        return {"user": self.run_as, "group": pwd.getpwnam(self.run_as).pw_gid, "extra_groups": []} \
            if self.run_as else {}

    def environment(self):
        environment = dict(os.environ)
        for name in ("APUS", "NGINX", "APUS_STATE", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID"):
            environment.pop(name, None)
        environment.update(self.env or {})
        return environment

    def launch(self):
        with open(self.stderr, "ab") as errors:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors,
                env=self.environment(), pass_fds=self.pass_fds, **self.identity())
        self.master = self.process.pid
        return self

    def start(self):
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self):
        wanted = {int(port) for port in re.findall(r"listen\s+(?:[0-9.*]+:|\[[0-9a-f:]*\]:)?(\d+)[\s;]", self.text)}

        def ready():
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"{NAME} ended with status {self.process.returncode} at start:\n{self.told()}")
            return wanted <= listening_ports() and len(self.workers()) >= self.expected_workers

        wait_until(ready, lambda: f"{NAME} to listen on {sorted(wanted)}:\n{self.told()}")
        self.first_workers = self.workers()

    def workers(self):
        """The workers that serve (not those of an older generation that are ending)."""
        return [pid for pid in children(self.master) if re.search(r"worker process$", title(pid).strip())]

    def send_signal(self, number, pid=None):
        os.kill(pid or self.master, number)

    def wait_end(self, timeout=None):
        """Waits for the master's end and returns its exit status."""
        self.ended = True
        return self.process.wait(timeout or DEADLINE)

    def stop(self, number=signal.SIGTERM):
        if self.process is None:
            return
        if not self.ended:
            if self.process.poll() is not None:
                raise AssertionError(f"{NAME} is gone, status {self.process.returncode}:\n{self.told()}")
            if self.same_workers:
                now = self.workers()
                if now != self.first_workers:
                    raise AssertionError(f"workers were {self.first_workers}, are {now}:\n{self.told()}")
            self.process.send_signal(number)
            try:
                status = self.wait_end()
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{NAME} does not end:\n{self.told()}") from None
            if status != 0:
                raise AssertionError(f"{NAME} ended with status {status}:\n{self.told()}")

    def kill_rest(self):
        """Whatever happened, nothing this test started stays."""
        if self.process is None:
            return
        family = []
        if self.process.poll() is None:
            family = [self.process.pid] + children(self.process.pid)
        else:
            family = [pid for pid in self.first_workers if alive(pid) and NAME in title(pid)]
        for pid in family:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()

    # what it wrote

    def log(self, name="error.log"):
        try:
            return (self.dir / name).read_text(encoding="latin-1")
        except OSError:
            return ""

    def lines(self, pattern=None, name="error.log"):
        # Not splitlines(): that also ends a line at bytes like 0x85, which a client may have sent.
        written = self.log(name).removesuffix("\n").split("\n")
        return [line for line in written if line and (pattern is None or re.search(pattern, line))]

    def wait_log(self, pattern, count=1, name="error.log", timeout=None):
        """The lines that match, once there are `count` of them."""
        return wait_until(
            lambda: (lambda found: found if len(found) >= count else None)(self.lines(pattern, name)),
            lambda: f"{count} x {pattern!r} in {name}:\n{self.told()}", timeout)

    def told(self):
        text = ""
        for path in sorted(self.dir.glob("*")):
            if path.suffix in (".log", ".txt") and path.is_file() and path.stat().st_size:
                text += f"--- {path.name}\n" + path.read_text(encoding="latin-1")[-4000:]
        return text or "(nothing written)"

    # what the test says about it

    def keep_secret(self, *passwords):
        for password in passwords:
            raw = as_bytes(password)
            if len(raw) >= 4:
                self.secrets.add(raw)
                self.secrets.add(base64.b64encode(raw))

    def allow(self, *patterns):
        """Lines of level crit or above that belong to the test."""
        self.allowed += patterns

    def check(self):
        for path in self.dir.glob("*"):
            if not path.is_file() or path.suffix not in (".log", ".txt"):
                continue
            data = path.read_bytes()
            for secret in self.secrets:
                if secret in data:
                    where = data.index(secret)
                    raise AssertionError(
                        f"the password {secret!r} is in {path.name}: {data[max(0, where - 200):where + 100]!r}")
            for line in data.decode("latin-1").split("\n"):
                if re.search(r"exited on signal|Fatal error:|core dumped", line) or re.search(
                        r"\[(emerg|alert|crit)\]", line):
                    if not any(re.search(pattern, line) for pattern in self.allowed):
                        raise AssertionError(f"unexpected in {path.name}: {line}")


# --- tests ------------------------------------------------------------------------------------------------------------


class ProxyTest(unittest.TestCase):
    """A test that starts proxies; its directory and everything in it go away afterwards."""

    run_as = None
    maxDiff = None

    def setUp(self):
        self.proxies = []
        self.servers = []
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="apus-test-"))
        os.chmod(self.dir, 0o755)
        if self.run_as:
            shutil.chown(self.dir, self.run_as)
        if not os.environ.get("APUS_TEST_KEEP"):
            self.addCleanup(shutil.rmtree, self.dir, True)

    def prepare(self, text, **options):
        """A proxy that is configured, but not started."""
        options.setdefault("run_as", self.run_as)
        place = self.dir
        if self.proxies:  # every further proxy of a test has a directory of its own
            place = self.dir / f"proxy{len(self.proxies) + 1}"
            place.mkdir()
            if self.run_as:
                shutil.chown(place, self.run_as)
        proxy = Proxy(options.pop("directory", place), text, **options)
        self.proxies.append(proxy)
        self.addCleanup(proxy.kill_rest)
        return proxy

    def start(self, text, **options):
        proxy = self.prepare(text, **options)
        self.addCleanup(proxy.check)
        self.addCleanup(proxy.stop)
        return proxy.start()

    def file(self, name, data, mode=0o644):
        path = self.dir / name
        path.write_bytes(as_bytes(data))
        os.chmod(path, mode)
        if self.run_as:
            shutil.chown(path, self.run_as)
        return str(path)

    def connect(self, port, tls=None, host="127.0.0.1", name=None, session=None, who="client", buffer=None,
                source=None):
        """A client; `port` is a number or a path. With `tls` the handshake is made at once."""
        if isinstance(port, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(DEADLINE)
            sock.connect(port)
        else:
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            if buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.settimeout(DEADLINE)
            if source:
                sock.bind((source, 0))
            sock.connect((host, port))
        wire = Wire(sock, who)
        self.addCleanup(wire.closes)
        if tls:
            wire.starts_tls(tls, name, session)
        return wire

    def serve(self, server):
        """Starts a scripted server and checks at the end that no script of it failed."""
        self.servers.append(server)
        self.addCleanup(server.stop)
        return server.start()

    def tearDown(self):
        # The connections close now, in whatever state the servers' scripts are.
        for server in self.servers:
            server.test_is_over = True


def both_users(cls):
    """The tests of a class once more with the program started as an ordinary user, when the suite runs as root."""
    if os.geteuid() == 0:
        twin = type(cls.__name__ + "AsOrdinaryUser", (cls,), {"run_as": ORDINARY_USER, "__module__": cls.__module__})
        setattr(sys.modules[cls.__module__], twin.__name__, twin)
    return cls
