"""A worker's memory does not grow with the sessions it has served, whatever became of them.

    APUS_SESSIONS=N     default 3000; `contrib/test --full` serves 100000
"""

import json
import os
import pathlib
import subprocess
import sys

import mixed
from certs import Authority
from harness import ProxyTest, apus_only, descriptors, wait_until

SESSIONS = int(os.environ.get("APUS_SESSIONS", "3000"))
# Connections to the authentication service and pipes are kept for the next session.
KEPT_DESCRIPTORS = 48
# A worker is warm after some thousands of sessions; then there is only the allocator's unrest, a quarter of what a leak
# of 16 bytes a session would come to.
TOLERATED_KIB = 400 if SESSIONS >= 100_000 else 1536


def pss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


@apus_only
class Growth(ProxyTest):

    def setUp(self):
        super().setUp()
        self.load = subprocess.Popen(
            [sys.executable, "-W", "ignore", mixed.__file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(self.end_load)
        auth = json.loads(self.load.stdout.readline())["auth"]
        certificate, key = Authority(self.dir).issue("mail.example.com")
        servers = "".join(
            f"server {{ listen 127.0.0.1:@{kind}@; protocol {kind}; starttls on; }}\n"
            f"server {{ listen 127.0.0.1:@{kind}s@ ssl; protocol {kind}; }}\n"
            f"server {{ listen 127.0.0.1:@{kind}p@ proxy_protocol; protocol {kind}; }}\n"
            f"server {{ listen 127.0.0.1:@{kind}t@; protocol {kind}; timeout 150ms; }}\n"
            for kind in ("imap", "pop3", "smtp"))
        self.proxy = self.start(
            f"worker_processes 2;\nmail {{ auth_http 127.0.0.1:{auth}/; timeout 8s; xclient on; set_real_ip_from 127.0.0.1;\n"
            f"ssl_certificate {certificate}; ssl_certificate_key {key};\n{servers}}}", workers=2, level="crit")

    def end_load(self):
        self.load.stdin.close()
        try:
            self.load.wait(5)
        except subprocess.TimeoutExpired:
            self.load.kill()
            self.load.wait()
        self.load.stdout.close()

    def asks(self, line):
        self.load.stdin.write(line + "\n")
        self.load.stdin.flush()
        answer = self.load.stdout.readline()
        self.assertTrue(answer, "the clients have ended")
        return json.loads(answer)

    def test_memory_and_descriptors(self):
        workers = self.proxy.workers()
        idle = [descriptors(pid) for pid in workers]
        answer = self.asks(json.dumps({"ports": self.proxy.ports, "sessions": SESSIONS, "atOnce": 50 if SESSIONS < 100_000 else 150}))
        sizes = []
        while True:
            # Sessions whose clients have gone end on their own.
            wait_until(lambda: all(descriptors(pid) <= count + KEPT_DESCRIPTORS for pid, count in zip(workers, idle)),
                       lambda: f"the sessions' end: {[descriptors(pid) for pid in workers]}, idle {idle}", timeout=30)
            sizes.append([pss_kib(pid) for pid in workers])
            if answer["done"] >= SESSIONS // 10 * 10:
                break
            answer = self.asks("go on")
        print(f"\n    {answer['done']} sessions, {len(answer['failures'])} failures; PSS in KiB of the workers after a tenth, "
              f"half, all: {sizes[0]} {sizes[4]} {sizes[9]}", flush=True)
        self.assertEqual(answer["failures"][:5], [])
        self.assertEqual(set(answer["outcomes"]), {what.__name__ for what in mixed.MUST_SUCCEED + mixed.MAY_END_ANYHOW})
        for before, after in zip(sizes[0], sizes[9]):
            self.assertLess(after, before + TOLERATED_KIB)
        self.assertEqual(self.proxy.workers(), workers)
