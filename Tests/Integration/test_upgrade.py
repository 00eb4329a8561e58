"""Binary upgrade: a new master beside the old one, or in its place, and every way in which that can fail."""

import os
import shutil
import signal
import socket
import ssl
import threading
import time

from certs import Authority, client_context
from harness import DEADLINE, NAME, alive, apus_only, both_users, children, parent, title, wait_until
from imap import GREETING, IMAPTest

PLAIN = "mail { auth_http 127.0.0.1:9/; server { listen 127.0.0.1:@imap@; protocol imap; } }"
# What USR2 carries that asks for the whole dance.
WHOLE = 0x41505553


def queue(pid, number, value):
    """sigqueue(3)"""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sigqueue(pid, number, ctypes.c_void_p(value)) != 0:
        raise OSError(ctypes.get_errno(), "sigqueue")


class UpgradeTest(IMAPTest):

    def setUp(self):
        super().setUp()
        self.masters = []
        self.addCleanup(self.end_masters)

    def end_masters(self):
        """Ends the masters that are not children of ours."""
        for master in self.masters:
            family = [master, *children(master)]
            if alive(master):
                os.kill(master, signal.SIGTERM)
            end = time.monotonic() + DEADLINE
            while any(alive(pid) for pid in family) and time.monotonic() < end:
                time.sleep(0.01)
            for pid in family:
                if alive(pid) and NAME in title(pid):
                    os.kill(pid, signal.SIGKILL)

    def begin(self, text=PLAIN, **options):
        """A proxy whose binary is a file of its own, to be replaced."""
        place = self.dir / "bin"
        place.mkdir(exist_ok=True)
        os.chmod(place, 0o755)
        self.binary = place / NAME
        shutil.copy2(os.path.realpath(os.environ.get("APUS_BINARY") or self.default_binary()), self.binary)
        proxy = self.start(text, binary=str(self.binary), **options)
        proxy.same_workers = False
        self.pid_file = proxy.dir / "apus.pid"
        self.old_file = proxy.dir / "apus.pid.oldbin"
        return proxy

    @staticmethod
    def default_binary():
        import harness
        return harness.BINARY

    def replace(self, text, mode=0o755):
        """Puts a script where the binary was."""
        fresh = self.binary.with_suffix(".new")
        fresh.write_text(text)
        os.chmod(fresh, mode)
        fresh.replace(self.binary)

    def number(self, path):
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            return None

    def upgraded(self, proxy, old, serving=True):
        """Waits until another master has written the pid file, and serves; returns its number."""
        wait_until(lambda: self.number(self.pid_file) not in (None, old), lambda: f"a new master\n{proxy.told()}")
        new = self.number(self.pid_file)
        self.masters.append(new)
        if serving:
            wait_until(lambda: self.workers(new), lambda: f"its workers\n{proxy.told()}")
        return new

    @staticmethod
    def workers(master):
        return [pid for pid in children(master) if title(pid).strip().endswith("worker process")]

    def upgrade(self, proxy, old=None):
        old = old or proxy.master
        os.kill(old, signal.SIGUSR2)
        return self.upgraded(proxy, old)

    def greeted(self, proxy, name="imap"):
        wire = self.connect(proxy.ports[name])
        wire.hears(GREETING)
        return wire

    def noop(self, wire):
        wire.says("n NOOP")
        wire.hears("n OK completed")

    def gone(self, pid, proxy):
        wait_until(lambda: not alive(pid), lambda: f"the end of {pid}\n{proxy.told()}")


@apus_only
@both_users
class Beside(UpgradeTest):
    """USR2 alone"""

    def test_both_serve_until_one_is_told_to_quit(self):
        proxy = self.begin()
        before = self.greeted(proxy)
        new = self.upgrade(proxy)
        self.assertEqual(self.number(self.old_file), proxy.master)
        self.assertEqual(parent(new), proxy.master)
        self.assertTrue(title(new).startswith(f"apus: master process {self.binary} -p "), title(new))
        self.assertEqual(len(self.workers(proxy.master)), 1)
        for pattern in (r"signal 12 \(SIGUSR2\) received from \d+, changing binary$", r"\[notice\] .* changing binary$",
                        rf"start new binary process {new}$"):
            proxy.wait_log(pattern)
        proxy.wait_log(r'using inherited sockets from "(\d+;)+"$', name="builtin.log")
        self.noop(before)
        os.kill(proxy.master, signal.SIGQUIT)
        wait_until(lambda: not self.workers(proxy.master), "the old worker to drain")
        for _ in range(5):
            self.greeted(proxy).closes()
        self.noop(before)
        before.closes()
        self.assertEqual(proxy.wait_end(), 0)
        self.assertFalse(self.old_file.exists())
        self.assertEqual(self.number(self.pid_file), new)
        self.greeted(proxy)

    def test_again_and_again(self):
        proxy = self.begin()
        second = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        third = self.upgrade(proxy, second)
        os.kill(second, signal.SIGQUIT)
        self.gone(second, proxy)
        self.assertEqual(self.number(self.pid_file), third)
        self.greeted(proxy)

    def test_a_second_signal_is_ignored_while_the_new_one_runs(self):
        proxy = self.begin()
        proxy.allow("the changing binary signal is ignored")
        self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGUSR2)
        proxy.wait_log(r"signal 12 \(SIGUSR2\) received from \d+, ignoring$")
        proxy.wait_log(r"\[crit\] .*the changing binary signal is ignored: you should shutdown or terminate before either "
                       r"old or new binary's process$")

    def test_the_old_one_comes_back_when_the_new_one_quits(self):
        proxy = self.begin()
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGWINCH)
        if not self.workers(new):
            self.fail("the new master has no worker")
        # In the foreground WINCH is for the terminal.
        self.assertEqual(len(self.workers(proxy.master)), 1)
        os.kill(new, signal.SIGQUIT)
        proxy.wait_log(rf"new binary process {new} exited with code 0$")
        wait_until(lambda: self.number(self.pid_file) == proxy.master, "the pid file to come back")
        self.assertFalse(self.old_file.exists())
        self.greeted(proxy)

    def test_winch_and_hup_to_an_upgraded_master(self):
        proxy = self.begin()
        second = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        third = self.upgrade(proxy, second)
        os.kill(second, signal.SIGWINCH)
        wait_until(lambda: not children(second) or children(second) == [third], "the old workers' end")
        self.greeted(proxy).closes()
        started = len(proxy.lines("start worker processes$"))
        os.kill(second, signal.SIGHUP)
        wait_until(lambda: self.workers(second), "the old master's new workers")
        self.assertEqual(len(proxy.lines("start worker processes$")), started + 1)
        os.kill(second, signal.SIGWINCH)
        wait_until(lambda: not self.workers(second), "the old workers' end")
        os.kill(third, signal.SIGQUIT)
        self.gone(third, proxy)
        wait_until(lambda: self.workers(second), "the old master to serve again by itself")
        self.assertEqual(self.number(self.pid_file), second)
        self.greeted(proxy)

    def test_while_older_ones_drain(self):
        proxy = self.begin()
        sessions = [self.greeted(proxy)]
        second = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        wait_until(lambda: not self.workers(proxy.master), "the first to drain")
        sessions.append(self.greeted(proxy))
        third = self.upgrade(proxy, second)
        self.assertEqual(self.number(self.old_file), second)
        first_file = proxy.dir / f"apus.pid.oldbin.{proxy.master}"
        self.assertEqual(self.number(first_file), proxy.master)
        os.kill(second, signal.SIGQUIT)
        wait_until(lambda: not self.workers(second), "the second to drain")
        sessions.append(self.greeted(proxy))
        for wire in sessions:
            self.noop(wire)
        sessions[1].closes()
        self.gone(second, proxy)
        self.assertFalse(self.old_file.exists())
        sessions[0].closes()
        self.assertEqual(proxy.wait_end(), 0)
        self.assertFalse(first_file.exists())
        self.noop(sessions[2])
        self.assertEqual(self.number(self.pid_file), third)

    def test_the_way_back_while_older_ones_drain(self):
        proxy = self.begin()
        session = self.greeted(proxy)
        second = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        wait_until(lambda: not self.workers(proxy.master), "the first to drain")
        third = self.upgrade(proxy, second)
        os.kill(third, signal.SIGQUIT)
        self.gone(third, proxy)
        wait_until(lambda: self.number(self.pid_file) == second, "the pid file to come back")
        wait_until(lambda: self.number(self.old_file) == proxy.master, "the older one's too")
        self.noop(session)
        self.greeted(proxy)
        session.closes()
        self.assertEqual(proxy.wait_end(), 0)


@apus_only
@both_users
class Failing(UpgradeTest):
    """A new binary that does not come up changes nothing."""

    def fails(self, proxy, pattern=None):
        ended = r"new binary process \d+ (exited with code \d+|exited on signal \d+)"
        before = len(proxy.lines(ended))
        os.kill(proxy.master, signal.SIGUSR2)
        proxy.wait_log(ended, before + 1)
        if pattern:
            proxy.wait_log(pattern)
        wait_until(lambda: self.number(self.pid_file) == proxy.master, lambda: f"the pid file\n{proxy.told()}")
        self.assertFalse(self.old_file.exists())
        self.assertEqual(proxy.workers(), proxy.first_workers)
        self.greeted(proxy)

    def test_missing(self):
        proxy = self.begin()
        proxy.allow(r"execve\(\)")
        self.binary.unlink()
        self.fails(proxy, r"\[alert\] .*execve\(\) failed while executing new binary process \".*\" \(2: No such file or directory\)$")

    def test_not_executable(self):
        proxy = self.begin()
        proxy.allow(r"execve\(\)")
        os.chmod(self.binary, 0o644)
        self.fails(proxy, r"execve\(\) failed while executing new binary process \".*\" \(13: Permission denied\)$")

    def test_no_program(self):
        proxy = self.begin()
        proxy.allow(r"execve\(\)")
        self.replace("not a program\n")
        self.fails(proxy, r"execve\(\) failed .* \(8: Exec format error\)$")

    def test_ends_at_once(self):
        proxy = self.begin()
        proxy.allow("exited on signal")
        for script in ("exit 3", "kill -SEGV $$"):
            self.replace(f"#!/bin/sh\n{script}\n")
            self.fails(proxy)

    def test_a_broken_configuration(self):
        proxy = self.begin()
        proxy.allow("unknown directive")
        proxy.rewrite("bogus;\n" + proxy.text)
        self.fails(proxy, r'unknown directive "bogus" in ')

    def test_a_port_that_is_taken(self):
        proxy = self.begin()
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        proxy.allow(r"bind\(\)")
        proxy.rewrite(proxy.text.replace("mail {", f"mail {{ server {{ listen 127.0.0.1:{taken.getsockname()[1]}; "
                                                   f"protocol imap; }}"))
        self.fails(proxy, r"still could not bind\(\)")

    def test_then_one_that_is_well(self):
        proxy = self.begin()
        good = self.binary.read_bytes()
        self.replace("#!/bin/sh\nexit 1\n")
        self.fails(proxy)
        self.binary.write_bytes(good)
        self.upgrade(proxy)
        self.greeted(proxy)


@apus_only
class Whole(UpgradeTest):
    """The whole dance: the old master ends in favour of one that serves, or goes on."""

    def test_success(self):
        proxy = self.begin()
        session = self.greeted(proxy)
        queue(proxy.master, signal.SIGUSR2, WHOLE)
        new = self.upgraded(proxy, proxy.master)
        proxy.wait_log(rf"new binary process {new} serves, this one stops accepting$")
        wait_until(lambda: not self.workers(proxy.master), "the old worker to drain")
        self.greeted(proxy).closes()
        self.noop(session)
        session.closes()
        self.assertEqual(proxy.wait_end(timeout=30), 0)
        self.assertEqual((self.number(self.pid_file), self.old_file.exists()), (new, False))
        self.greeted(proxy)

    def test_it_crashes_just_after(self):
        proxy = self.begin()
        proxy.allow("upgrade failed", "exited on signal 9")
        queue(proxy.master, signal.SIGUSR2, WHOLE)
        new = self.upgraded(proxy, proxy.master)
        wait_until(lambda: not self.workers(proxy.master), "the old worker to drain")
        orphans = self.workers(new)
        os.kill(new, signal.SIGKILL)
        proxy.wait_log(r"\[emerg\] .*upgrade failed, this binary goes on: the new binary process was killed by signal 9$")
        wait_until(lambda: self.workers(proxy.master), "the old master to serve again")
        for pid in orphans:
            os.kill(pid, signal.SIGTERM)
            self.gone(pid, proxy)
        self.greeted(proxy)
        self.assertEqual(self.number(self.pid_file), proxy.master)

    def test_it_fails(self):
        proxy = self.begin()
        proxy.allow("upgrade failed")
        self.replace("#!/bin/sh\nexit 7\n")
        queue(proxy.master, signal.SIGUSR2, WHOLE)
        proxy.wait_log(r"\[emerg\] .*upgrade failed, this binary goes on: the new binary process exited with code 7$")
        self.assertEqual(self.number(self.pid_file), proxy.master)
        self.assertEqual(proxy.workers(), proxy.first_workers)


@apus_only
class Kept(UpgradeTest):
    """What outlives a binary."""

    def test_unix_sockets(self):
        proxy = self.begin("mail { auth_http 127.0.0.1:9/; server { listen unix:@dir@/imap.sock; protocol imap; } }")
        path = proxy.dir / "imap.sock"
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        self.connect(str(path)).hears(GREETING)
        os.kill(new, signal.SIGTERM)
        self.gone(new, proxy)
        self.assertFalse(path.exists())

    def test_a_unix_socket_that_is_not_wanted_any_more(self):
        proxy = self.begin("mail { auth_http 127.0.0.1:9/; server { listen unix:@dir@/imap.sock; protocol imap; }\n"
                           "server { listen 127.0.0.1:@imap@; protocol imap; } }")
        path = proxy.dir / "imap.sock"
        proxy.rewrite(proxy.text.replace(f"server {{ listen unix:{path}; protocol imap; }}", ""))
        self.upgrade(proxy)
        # As long as the old master may come back, it is the old master's.
        wire = self.connect(str(path))
        wire.hears(GREETING)
        wire.closes()
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        wait_until(lambda: not path.exists(), "the socket's file to go")
        proxy.wait_log(rf"\[warn\] .*deleting socket {path}$")
        self.greeted(proxy)

    def test_tls_tickets(self):
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        proxy = self.begin(
            f"mail {{ auth_http 127.0.0.1:9/; ssl_certificate {certificate}; ssl_certificate_key {key};\n"
            f"server {{ listen 127.0.0.1:@imap@ ssl; protocol imap; }} }}")
        context = client_context(maximum=ssl.TLSVersion.TLSv1_2)
        wire = self.connect(proxy.ports["imap"], tls=context)
        wire.hears(GREETING)
        session = wire.sock.session
        self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        wire.closes()
        self.assertEqual(proxy.wait_end(), 0)
        wire = self.connect(proxy.ports["imap"], tls=context, session=session)
        wire.hears(GREETING)
        self.assertTrue(wire.sock.session_reused)

    def test_the_environment(self):
        proxy = self.begin("env KEPT;\nenv GIVEN=x;\n" + PLAIN, env={"KEPT": "1", "DROPPED": "1"})
        second = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        # Through one more, which only knows what the second was given.
        self.upgrade(proxy, second)
        self.greeted(proxy)

    def test_no_descriptors_gather(self):
        proxy = self.begin()
        counts, master = [], proxy.master
        for _ in range(4):
            new = self.upgrade(proxy, master)
            os.kill(master, signal.SIGQUIT)
            if master == proxy.master:
                self.assertEqual(proxy.wait_end(), 0)
            else:
                self.gone(master, proxy)
            wait_until(lambda: self.workers(new), "its worker")
            counts.append(len(os.listdir(f"/proc/{new}/fd")))
            master = new
        self.assertLessEqual(max(counts[1:]), counts[1] + 1, counts)

    def test_no_connection_attempt_fails(self):
        proxy = self.begin("worker_processes 2;\n" + PLAIN, workers=2)
        failures, served, ending = [], [0], threading.Event()

        def clients():
            while not ending.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", proxy.ports["imap"]), timeout=DEADLINE) as sock:
                        if not sock.recv(100).startswith(b"* OK"):
                            failures.append("no greeting")
                    served[0] += 1
                except OSError as error:
                    failures.append(repr(error))

        threads = [threading.Thread(target=clients) for _ in range(4)]
        for thread in threads:
            thread.start()
        master = proxy.master
        try:
            for _ in range(5):
                new = self.upgrade(proxy, master)
                wait_until(lambda: len(self.workers(new)) == 2, "its workers")
                time.sleep(0.1)
                os.kill(master, signal.SIGQUIT)
                if master == proxy.master:
                    self.assertEqual(proxy.wait_end(), 0)
                else:
                    self.gone(master, proxy)
                master = new
        finally:
            ending.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(served[0], 100)
