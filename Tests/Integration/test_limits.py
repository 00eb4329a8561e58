"""What happens when something runs out."""

import os
import re
import resource
import socket
import time
import unittest

from harness import REFERENCE, apus_only, descriptors, wait_until
from imap import GREETING, IMAPTest
from scripted import Backend, accept


class Buffers(IMAPTest):

    @apus_only
    def test_buffers_larger_than_all_memory(self):
        self.arrange("imap_client_buffer 8796093022207m; proxy_buffer 8796093022207m;")
        wire = self.client()
        wire.says("a NOOP " + "x" * 100_000)
        wire.hears("a OK completed")
        self.log_in(wire)


class Connections(IMAPTest):
    """worker_connections"""

    def test_more_clients_than_slots(self):
        self.arrange(main="events { worker_connections 16; }")
        self.proxy.allow("worker_connections are not enough")
        wires = []
        refused = None
        for _ in range(40):
            wire = self.connect(self.proxy.ports["imap"])
            if not wire._fill():
                refused = wire
                break
            wires.append(wire)
        self.assertIsNotNone(refused, "all were served")
        self.proxy.wait_log(r"\[alert\] \d+#\d+: 16 worker_connections are not enough$")
        self.assertGreaterEqual(len(wires), 8)
        # Those inside are served, and a slot that becomes free is used.
        wires[1].hears(GREETING)
        wires[1].says("a NOOP")
        wires[1].hears("a OK completed")
        for wire in wires[2:]:
            wire.closes()

        def served_again():
            wire = self.connect(self.proxy.ports["imap"])
            wire._fill()
            return wire.buffer.startswith(b"* OK")

        wait_until(served_again, "a free slot")

    @apus_only
    def test_silent_clients_give_way(self):
        # nginx lets everybody wait who is there first.
        self.arrange("timeout 8s;", main="events { worker_connections 16; }")
        idle = [self.client() for _ in range(10)]
        time.sleep(2.2)  # a quarter of `timeout`
        # Ten are there and silent; the next ones take all slots, and then theirs.
        fresh = [self.client() for _ in range(8)]
        self.proxy.wait_log(r"\[warn\] \d+#\d+: 16 worker_connections are not enough, reusing connections$")
        for wire in fresh:
            wire.says("a NOOP")
            wire.hears("a OK completed")
        self.assertTrue(any(not wire._fill() for wire in idle[:1]), "the one that was silent longest is still there")

    def test_no_slot_for_the_auth_service(self):
        self.arrange(main="events { worker_connections 12; }")
        self.proxy.allow("worker_connections are not enough")
        wires = []
        for _ in range(30):
            wire = self.connect(self.proxy.ports["imap"])
            if not wire._fill():
                break
            wires.append(wire)
        last = wires[0]
        last.hears(GREETING)
        last.says("a LOGIN bob wonderland")
        answer = last.hears_rest() if REFERENCE else None
        if not REFERENCE:
            # An internal error, or the login works because something idle gave way.
            line = last.hears_line()
            self.assertIn(line, ("* BAD internal server error", "a OK Logged in"))
        else:
            self.assertEqual(answer, b"* BAD internal server error\r\n")
        self.proxy.wait_log("12 worker_connections are not enough")

    def test_exactly_enough_for_sessions(self):
        # One listening socket, the channel, and two slots for each session (with some to spare for what Apus keeps).
        self.arrange(main="events { worker_connections 32; }")
        wires = [self.log_in(self.client()) for _ in range(10)]
        for wire in wires:
            wire.says("b NOOP")
            wire.hears("b OK done")
        self.assertEqual(self.proxy.lines("not enough"), [])


class Descriptors(IMAPTest):
    """worker_rlimit_nofile"""

    def test_accept_backs_off_and_comes_back(self):
        self.arrange(main="worker_rlimit_nofile 40;\nevents { worker_connections 512; }")
        self.proxy.allow(r"accept4\(\) failed \(24: Too many open files\)", "Too many open files",
                         "worker_connections are not enough")
        worker = self.proxy.workers()[0]
        wires = []
        for _ in range(60):
            wires.append(self.connect(self.proxy.ports["imap"]))
        self.proxy.wait_log(r"\[crit\] \d+#\d+: accept4\(\) failed \(24: Too many open files\)$")
        # It does not spin: about two attempts in a second.
        before = len(self.proxy.lines(r"accept4\(\) failed"))
        time.sleep(1.1)
        self.assertLessEqual(len(self.proxy.lines(r"accept4\(\) failed")) - before, 5)
        wires[0].hears(GREETING)
        # Whoever waited in the queue is served when descriptors are free again.
        for wire in wires[:40]:
            wire.closes()
        wires[-1].hears(GREETING)
        wires[-1].says("a NOOP")
        wires[-1].hears("a OK completed")

    def test_no_descriptor_for_the_auth_service(self):
        self.arrange(main="worker_rlimit_nofile 40;\nevents { worker_connections 512; }")
        self.proxy.allow("Too many open files", r"socket\(\) failed", "worker_connections are not enough")
        wires = [self.connect(self.proxy.ports["imap"]) for _ in range(60)]
        wires[0].hears(GREETING)
        wires[0].says("a LOGIN bob wonderland")
        self.assertIn(wires[0].hears_line(), ("* BAD internal server error", "a OK Logged in"))


class Speed(IMAPTest):

    def test_20_logins_do_not_wait_for_delayed_acks(self):
        if REFERENCE:
            self.skipTest("nginx does")
        self.arrange()
        begin = time.monotonic()
        for _ in range(20):
            self.log_in(self.client()).closes()
        self.assertLess(time.monotonic() - begin, 0.8)


if __name__ == "__main__":
    unittest.main()
