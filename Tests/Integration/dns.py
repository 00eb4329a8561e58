"""A scripted DNS server on UDP and TCP: it says exactly what a test wants, and keeps the questions it heard."""

import socket
import struct
import threading
import traceback

from harness import as_bytes, wait_until

A, CNAME, PTR, AAAA, DNAME = 1, 5, 12, 28, 39
NXDOMAIN = 3


def reverse(address):
    """The name under which an address's own name is written down."""
    if ":" in address:
        nibbles = socket.inet_pton(socket.AF_INET6, address).hex()[::-1]
        return ".".join(nibbles) + ".ip6.arpa"
    return ".".join(reversed(address.split("."))) + ".in-addr.arpa"


def name(text):
    """A name on the wire. Labels may be given as a list, for those with dots or of any bytes."""
    labels = [as_bytes(label) for label in (text if isinstance(text, list) else text.split(".")) if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def pointer(offset):
    """A compressed name: the one that stands there."""
    return bytes([0xC0 | offset >> 8, offset & 255])


def record(kind, data, ttl=60, owner=b"\xc0\x0c", klass=1):
    return owner + struct.pack(">HHIH", kind, klass, ttl, len(data)) + data


def a(address, **more):
    return record(A, socket.inet_pton(socket.AF_INET, address), **more)


def aaaa(address, **more):
    return record(AAAA, socket.inet_pton(socket.AF_INET6, address), **more)


def ptr(text, **more):
    return record(PTR, name(text), **more)


def cname(text, **more):
    return record(CNAME, name(text), **more)


class Question:
    """One question as it came; `over` is "udp" or "tcp"."""

    def __init__(self, data, over):
        self.data, self.over = data, over
        self.id, self.flags, self.count = struct.unpack(">HHH", data[:6])
        labels, offset = [], 12
        while data[offset]:
            labels.append(data[offset + 1:offset + 1 + data[offset]].decode("latin-1"))
            offset += 1 + data[offset]
        self.name = ".".join(labels)
        self.type = struct.unpack(">H", data[offset + 1:offset + 3])[0]
        self.section = data[12:offset + 5]
        self.end = data[offset + 5:]

    def answer(self, *records, code=0, flags=0x8180, ident=None):
        return struct.pack(">HHHHHH", self.id if ident is None else ident, flags | code, 1, len(records), 0, 0) \
            + self.section + b"".join(records)


class DNSServer:
    """Answers by `table`: (name, type) -> records, or a response code, or None for silence, or a function of the
    question that returns the bytes to send (or a list of messages, or None). What is not there is NXDOMAIN; where only the
    name is, with another type, nothing is the answer."""

    def __init__(self, table=None):
        self.table = {(key.lower(), kind): value for (key, kind), value in (table or {}).items()}
        self.questions = []
        self.failures = []
        self.lock = threading.Lock()
        while True:
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.udp.bind(("127.0.0.1", 0))
            self.port = self.udp.getsockname()[1]
            self.tcp = socket.socket()
            self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                self.tcp.bind(("127.0.0.1", self.port))
                break
            except OSError:
                self.udp.close()
                self.tcp.close()
        self.tcp.listen(16)
        self.ending = threading.Event()
        self.streams = []
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._datagrams, self._accept)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def _datagrams(self):
        while True:
            try:
                data, peer = self.udp.recvfrom(4096)
            except OSError:
                return
            if self.ending.is_set():
                return
            for answer in self._answers(data, "udp"):
                self.udp.sendto(answer, peer)

    def _accept(self):
        while True:
            try:
                stream, _ = self.tcp.accept()
            except OSError:
                return
            self.streams.append(stream)
            thread = threading.Thread(target=self._stream, args=(stream,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def _stream(self, stream):
        try:
            with stream, stream.makefile("rb") as reader:
                while len(head := reader.read(2)) == 2:
                    for answer in self._answers(reader.read(struct.unpack(">H", head)[0]), "tcp"):
                        stream.sendall(struct.pack(">H", len(answer)) + answer)
        except (OSError, ValueError):
            pass

    def _answers(self, data, over):
        try:
            question = Question(data, over)
            with self.lock:
                self.questions.append(question)
            return self.respond(question)
        except Exception:  # noqa: BLE001: reported by the test
            self.failures.append(traceback.format_exc())
            return []

    def respond(self, question):
        key = question.name.lower()
        if (key, question.type) in self.table:
            told = self.table[key, question.type]
        else:
            told = [] if any(known == key for known, _ in self.table) else NXDOMAIN
        if callable(told):
            told = told(question)
        elif isinstance(told, int):
            told = question.answer(code=told)
        elif told is not None:
            told = question.answer(*told)
        return [] if told is None else told if isinstance(told, list) else [told]

    # what it heard

    def asked(self, kind=None, over=None):
        """The names asked for, in their order."""
        with self.lock:
            return [question.name for question in self.questions
                    if (kind is None or question.type == kind) and (over is None or question.over == over)]

    def wait_asked(self, count, kind=None, timeout=None):
        return wait_until(lambda: (lambda found: found if len(found) >= count else None)(self.asked(kind)),
                          lambda: f"{count} questions at the DNS server, heard {self.asked()}", timeout)

    def stop(self):
        self.ending.set()
        for stream in self.streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        try:
            self.tcp.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.tcp.close()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        for thread in self.threads:
            if thread.is_alive():
                thread.join(5)
        self.udp.close()
        if self.failures:
            raise AssertionError("DNS server: " + "\n".join(self.failures))
