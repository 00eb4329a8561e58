"""Counts the instructions of a relayed round trip: a lost specialisation costs thousands and shows nowhere else."""

import pathlib
import re
import shutil
import signal
import subprocess
import unittest

from harness import BINARY, REFERENCE
from imap import IMAPTest
from scripted import Backend, accept

# User-space instructions of one request of 64 bytes and its reply of 256, from epoll_wait to epoll_wait: about what a
# relay in C needs (swift-on-linux: 413), and room for what a C relay does not do: generations, timeouts, two-way ends.
BUDGET = 1200


@unittest.skipIf(REFERENCE, "the budget is for Apus")
@unittest.skipUnless(shutil.which("valgrind"), "valgrind is not installed")
class RelayedRoundTrip(IMAPTest):
    def instructions(self, round_trips):
        """Instructions of a whole run of the program with one session that makes so many round trips."""
        count = self.dir / f"callgrind.{round_trips}"
        wrapper = pathlib.Path(self.file(
            f"valgrind-{round_trips}",
            f"#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file=/dev/null --log-file={count} "
            f"{self.program()} \"$@\"\n", mode=0o755))
        reply = b"r" * 254 + b"\r\n"

        def script(wire):
            backend.greets_and_takes_login(wire)
            for _ in range(round_trips):
                wire.hears_bytes(64)
                wire.sends(reply)
            wire.hears_end()

        backend = Backend(script)
        self.arrange(
            main="master_process off;", backend=backend, answer=lambda _: accept(backend.port), workers=0,
            binary=str(wrapper), level="error")
        wire = self.log_in(self.client())
        for _ in range(round_trips):
            wire.sends(b"q" * 62 + b"\r\n")
            wire.hears_exactly(reply)
        wire.closes()
        self.proxy.stop(signal.SIGTERM)
        return int(re.search(r"Collected : (\d+)", count.read_text())[1])

    def program(self):
        """The program without its debug information, which valgrind's reader does not understand."""
        stripped = self.dir / "apus.stripped"
        if not stripped.exists():
            subprocess.run(["strip", "-o", str(stripped), BINARY], check=True)
        return stripped

    def test_stays_within_its_budget(self):
        few, many = 200, 2200
        each = (self.instructions(many) - self.instructions(few)) / (many - few)
        print(f"instructions per relayed round trip: {each:.0f} (budget {BUDGET})")
        self.assertLess(each, BUDGET)
