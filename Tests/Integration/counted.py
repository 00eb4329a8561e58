"""Instructions in user space that a worker takes, counted by callgrind: the same for the same work, whatever else the machine does."""

import os
import re
import subprocess

from imap import IMAPTest


class CountedTest(IMAPTest):

    def instructions(self, binary, logins=1, trips=0):
        """Of a process in whose life `logins` sessions logged in, of which each made `trips` round trips."""
        stripped = self.dir / f"{len(self.proxies)}-stripped"  # valgrind does not understand Swift's debug information
        subprocess.run(["strip", "-o", stripped, os.path.realpath(binary)], check=True)
        wrapper = self.file(
            f"{len(self.proxies)}-counted",
            f'#!/bin/sh\nexec valgrind --tool=callgrind --callgrind-out-file={self.dir}/out.%p -q {stripped} "$@"\n', 0o755)
        # One process: valgrind's processes cannot show a title, by which workers are known. Hashes are not seeded at random.
        self.arrange("timeout 60s;", main="master_process off;", binary=wrapper, workers=0,
                     env={"SWIFT_DETERMINISTIC_HASHING": "1"})
        process = self.proxy.master
        for session in range(1, logins + 1):
            wire = self.client()
            wire.sock.settimeout(60)
            self.log_in(wire)
            for number in range(trips):
                wire.says(f"{number:05} NOOP")
                wire.hears(f"{number:05} OK done")
            wire.closes()
            self.proxy.wait_log("proxied session done", count=session)
        self.proxy.stop()
        text = (self.dir / f"out.{process}").read_text()
        return int(re.search(r"^(?:summary|totals): (\d+)", text, re.M)[1])
