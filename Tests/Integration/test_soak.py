"""Reloads and upgrades under load: nothing is lost, nothing grows.

    APUS_SOAK=RELOADS,UPGRADES     default 20,5; `contrib/test --full` does 1000,100
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import load
from certs import Authority, client_context
from harness import DEADLINE, apus_only, descriptors, wait_until
from imap import GREETING
from test_upgrade import UpgradeTest

RELOADS, UPGRADES = map(int, os.environ.get("APUS_SOAK", "20,5").split(","))
IS_FULL = RELOADS >= 1000
# Seconds between reloads: what they cost, parsing and forking, is to be felt by clients, not to be all the machine does.
PAUSE = 0.2 if IS_FULL else 0.05
PACE = 60  # logins a second
KEPT = 24  # long sessions, so that two or three generations drain at any time


def pss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


def percentile(values, share):
    return values[min(len(values) - 1, int(len(values) * share))]


@apus_only
class Soak(UpgradeTest):

    def setUp(self):
        super().setUp()
        self.load = subprocess.Popen([sys.executable, load.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     text=True)
        self.addCleanup(self.end_load)
        ports = json.loads(self.load.stdout.readline())
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        self.proxy = self.begin(
            f"worker_processes 2;\nmail {{ auth_http 127.0.0.1:{ports['auth']}/; proxy_pass_error_message on;\n"
            f"ssl_certificate {certificate}; ssl_certificate_key {key};\n"
            f"server {{ listen 127.0.0.1:@imap@; protocol imap; }}\n"
            f"server {{ listen 127.0.0.1:@imaps@ ssl; protocol imap; }} }}", workers=2, level="notice")
        self.proxy.allow("reload failed", "unknown directive", "cannot load certificate", r"execve\(\)",
                         "exited on signal 11", "BIO_new_file")
        self.good_binary = self.binary.read_bytes()
        self.good_text = self.proxy.text
        self.master = self.proxy.master
        self.sessions = []
        self.failures = []
        self.accepting_ms = []

    def end_load(self):
        self.load.stdin.close()
        try:
            self.load.wait(5)
        except subprocess.TimeoutExpired:
            self.load.kill()
            self.load.wait()
        self.load.stdout.close()

    def told_by_load(self):
        self.load.stdin.write("tell\n")
        self.load.stdin.flush()
        told = json.loads(self.load.stdout.readline())
        self.failures += told["failures"]
        return told["took"]

    # long sessions

    def opens_sessions(self):
        for port, tls in (("imap", None), ("imaps", client_context())):
            wire = self.connect(self.proxy.ports[port], tls=tls)
            wire.hears(GREETING)
            wire.says("a LOGIN bob wonderland")
            wire.hears("a OK done")
            wire.name = f"{port} session {len(self.sessions)}"
            self.sessions.append(wire)
        while len(self.sessions) > KEPT:
            wire = self.sessions.pop(0)
            wire.says("z LOGOUT")
            wire.hears("z OK done")
            wire.closes()

    def transfer(self, step):
        for number, wire in enumerate(self.sessions[:10]):
            seed = step * 100 + number
            wire.says(f"d DATA 100000 {seed}")
        for number, wire in enumerate(self.sessions[:10]):
            wire.hears_exactly(load.data(100000, step * 100 + number))
            wire.hears("d OK done")

    # what the operator does

    def reloads(self, number):
        if number % 10 == 9:
            return self.fails_to_reload(number)
        told = len(self.proxy.lines("gracefully shutting down$"))
        begin = time.monotonic()
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: len(self.proxy.lines("gracefully shutting down$")) >= told + 2,
                   lambda: f"reload {number}\n{self.proxy.told()}", interval=0.002)
        self.accepting_ms.append((time.monotonic() - begin) * 1000)

    def fails_to_reload(self, number):
        broken = ("bogus;\n" + self.good_text, self.good_text.replace("ssl_certificate ", "ssl_certificate /nowhere"))
        self.proxy.rewrite(broken[number // 10 % 2])
        told = len(self.proxy.lines(r"\[emerg\]"))
        before = self.workers(self.master)
        os.kill(self.master, signal.SIGHUP)
        wait_until(lambda: len(self.proxy.lines(r"\[emerg\]")) > told, "the broken reload's error")
        self.proxy.rewrite(self.good_text)
        self.assertEqual(self.workers(self.master), before)

    def upgrades(self, number):
        if number % 5 == 4:
            return self.fails_to_upgrade(number)
        old = self.master
        os.kill(old, signal.SIGUSR2)
        self.master = self.upgraded(self.proxy, old)
        wait_until(lambda: len(self.workers(self.master)) == 2, "its workers")
        os.kill(old, signal.SIGQUIT)
        wait_until(lambda: not self.workers(old), "the old workers to drain")

    def fails_to_upgrade(self, number):
        kind = number // 5 % 4
        if kind == 0:
            self.replace("#!/bin/sh\nexit 3\n")
        elif kind == 1:
            self.replace("#!/bin/sh\nkill -SEGV $$\n")
        elif kind == 2:
            self.binary.unlink()
        else:
            os.chmod(self.binary, 0o644)
        told = len(self.proxy.lines("new binary process .* exited"))
        os.kill(self.master, signal.SIGUSR2)
        wait_until(lambda: len(self.proxy.lines("new binary process .* exited")) > told, "the broken binary's end")
        wait_until(lambda: self.number(self.pid_file) == self.master, "the pid file")
        fresh = self.binary.with_suffix(".new")
        fresh.write_bytes(self.good_binary)
        os.chmod(fresh, 0o755)
        fresh.replace(self.binary)

    def test_nothing_is_lost_and_nothing_grows(self):
        self.load.stdin.write(f"{self.proxy.ports['imap']} {self.proxy.ports['imaps']} {PACE}\n")
        self.load.stdin.flush()
        time.sleep(1)
        self.told_by_load()  # the first ones are not what is usual
        time.sleep(3)
        quiet = self.told_by_load()
        each = max(1, RELOADS // UPGRADES)
        busy, sizes, upgrades = [], [], 0
        for number in range(RELOADS):
            self.opens_sessions()
            self.reloads(number)
            self.transfer(number)
            if number % each == each - 1 and upgrades < UPGRADES:
                sizes.append((pss_kib(self.master), descriptors(self.master)))
                self.opens_sessions()
                self.upgrades(upgrades)
                self.transfer(RELOADS + number)
                upgrades += 1
            time.sleep(PAUSE)
            busy += self.told_by_load()
        self.transfer(2 * RELOADS)
        wait_until(lambda: len(self.told_by_load()) > 0, "a last login")
        busy.sort()
        self.accepting_ms.sort()
        print(f"\n    {RELOADS} reloads and {upgrades} upgrades, {len(busy)} logins, {len(self.failures)} failures; "
              f"connect to greeting: 99 % within {percentile(quiet, 0.99) * 1000:.1f} ms quiet, "
              f"{percentile(busy, 0.99) * 1000:.1f} ms busy; new workers accept after "
              f"{percentile(self.accepting_ms, 0.5):.0f} ms (median), {self.accepting_ms[-1]:.0f} ms (longest); "
              f"master: {sizes[0][0]} -> {sizes[-1][0]} KiB, {sizes[0][1]} -> {sizes[-1][1]} descriptors", flush=True)
        self.proxy.ended = True  # the first master has left long ago
        self.assertEqual(self.failures, [])
        self.assertLessEqual(sizes[-1][1], sizes[0][1] + 8)
        self.assertLess(sizes[-1][0], sizes[0][0] + 1024)
        if IS_FULL:
            self.assertLess(percentile(busy, 0.99), 2 * percentile(quiet, 0.99))
            self.assertLess(percentile(self.accepting_ms, 0.5), 200)
