"""How many instructions a worker needs for a round trip in the relay, counted by callgrind."""

import os
import re
import shutil
import subprocess
import unittest

import harness
from harness import REFERENCE
from imap import IMAPTest

# Instructions in user space for one line from the client to the server behind and one back. Change it knowingly.
BUDGET = 1300


@unittest.skipIf(REFERENCE, "a budget for Apus")
@unittest.skipUnless(shutil.which("valgrind"), "needs valgrind")
class RoundTrips(IMAPTest):

    def instructions(self, count):
        """Of a worker in whose life one session made `count` round trips."""
        stripped = self.dir / "apus-stripped"  # valgrind does not understand Swift's debug information
        subprocess.run(["strip", "-o", stripped, os.path.realpath(harness.BINARY)], check=True)
        wrapper = self.file(
            "counted", f'#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file={self.dir}/out.%p -q {stripped} "$@"\n',
            0o755)
        # One process: valgrind's processes cannot show a title, by which workers are known.
        self.arrange("timeout 60s;", main="master_process off;", binary=wrapper, workers=0)
        worker = self.proxy.master
        wire = self.client()
        wire.sock.settimeout(60)
        self.log_in(wire)
        for number in range(count):
            wire.says(f"{number:05} NOOP")
            wire.hears(f"{number:05} OK done")
        wire.closes()
        self.proxy.wait_log("proxied session done")
        self.proxy.stop()
        text = (self.dir / f"out.{worker}").read_text()
        return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])

    def test_a_round_trip_in_the_relay(self):
        few, many = self.instructions(100), self.instructions(1100)
        each = (many - few) / 1000
        print(f"{each:.0f} instructions for a round trip (budget {BUDGET})")
        self.assertLessEqual(each, BUDGET)


if __name__ == "__main__":
    unittest.main()
