"""Under a service manager: what it is told, and what it passes on.

The manager here keeps systemd's rules for NotifyAccess=main: what others than the main process say is not heard, the
main process may name another, and when it ends the service has ended.
"""

import array
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

from harness import alive, apus_only, both_users, children, wait_until
from imap import GREETING
from test_upgrade import PLAIN, UpgradeTest

CREDENTIALS = struct.Struct("3i")


class Manager:
    """A notify socket and the state that follows from what it hears."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(path)
        if not path.startswith("\0"):
            os.chmod(path, 0o777)
        self.main = None
        self.heard = []  # (sender, {key: value}) of what counts
        self.ignored = []
        self.answers_barriers = True
        self.thread = threading.Thread(target=self.listen, daemon=True)
        self.thread.start()

    def listen(self):
        while True:
            try:
                data, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(CREDENTIALS.size) + socket.CMSG_SPACE(16))
            except OSError:
                return
            if not data:
                return
            sender, descriptors = None, array.array("i")
            for level, kind, value in ancillary:
                if kind == socket.SCM_CREDENTIALS:
                    sender = CREDENTIALS.unpack(value)[0]
                elif kind == socket.SCM_RIGHTS:
                    descriptors.frombytes(value[:len(value) - len(value) % descriptors.itemsize])
            message = dict(line.split("=", 1) for line in data.decode().splitlines())
            if self.main is None:
                self.main = sender
            if sender == self.main:
                self.heard.append((sender, message))
                if "MAINPID" in message and alive(int(message["MAINPID"])):
                    self.main = int(message["MAINPID"])
            else:
                self.ignored.append((sender, message))
            for descriptor in descriptors:
                if self.answers_barriers:
                    os.close(descriptor)

    def has(self, **wanted):
        return [message for _, message in self.heard
                if all(message.get(key) == value for key, value in wanted.items())]

    def close(self):
        self.socket.close()


@apus_only
class SystemdTest(UpgradeTest):

    def setUp(self):
        super().setUp()
        self.path = str(self.dir / "notify")
        self.manager = Manager(self.path)
        self.addCleanup(self.manager.close)
        if self.run_as:
            os.chmod(self.path, 0o777)

    def begin(self, text=PLAIN, env=None, **options):
        return super().begin(text, env={"NOTIFY_SOCKET": self.path, **(env or {})}, **options)

    def waits(self, **wanted):
        return wait_until(lambda: self.manager.has(**wanted),
                          lambda: f"{wanted} among {self.manager.heard}, ignored {self.manager.ignored}")


@both_users
class Notices(SystemdTest):

    def test_ready_when_all_workers_accept(self):
        proxy = self.begin("worker_processes 2;\n" + PLAIN, workers=2)
        message = self.waits(READY="1")[0]
        self.assertEqual(message["MAINPID"], str(proxy.master))
        self.assertEqual(message["STATUS"], "Serving 0 sessions with 2 workers, configuration 1")
        self.assertEqual(self.manager.main, proxy.master)
        self.greeted(proxy)
        self.waits(STATUS="Serving 1 session with 2 workers, configuration 1")

    def test_a_start_that_fails_is_never_ready(self):
        proxy = self.prepare(f"working_directory {self.dir}/nowhere;\n" + PLAIN, env={"NOTIFY_SOCKET": self.path})
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)
        self.assertEqual(self.manager.has(READY="1"), [])

    def test_a_reload(self):
        proxy = self.begin()
        self.waits(READY="1")
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        proxy.send_signal(signal.SIGHUP)
        message = self.waits(RELOADING="1")[0]
        self.assertGreaterEqual(int(message["MONOTONIC_USEC"]), before)
        wait_until(lambda: len(self.manager.has(READY="1")) == 2, "the second READY")
        self.assertRegex(self.manager.has(READY="1")[1]["STATUS"], "configuration 2")

    def test_a_reload_that_fails(self):
        proxy = self.begin()
        proxy.allow("unknown directive")
        self.waits(READY="1")
        proxy.rewrite("bogus;\n" + proxy.text)
        proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.manager.has(READY="1")) == 2, "the second READY")
        self.assertRegex(self.manager.has(READY="1")[1]["STATUS"], '^Reload failed: unknown directive "bogus" in ')

    def test_the_end(self):
        proxy = self.begin("worker_shutdown_timeout 60s;\n" + PLAIN)
        session = self.greeted(proxy)
        proxy.send_signal(signal.SIGQUIT)
        self.waits(STOPPING="1")
        self.assertTrue(self.waits(EXTEND_TIMEOUT_USEC="30000000"))
        session.closes()
        self.assertEqual(proxy.wait_end(), 0)

    def test_an_end_without_a_limit_is_limited_by_the_manager(self):
        proxy = self.begin()
        session = self.greeted(proxy)
        proxy.send_signal(signal.SIGQUIT)
        self.waits(STOPPING="1")
        session.closes()
        self.assertEqual(proxy.wait_end(), 0)
        self.assertEqual([message for _, message in self.manager.heard if "EXTEND_TIMEOUT_USEC" in message], [])

    def test_the_watchdog(self):
        self.begin(env={"WATCHDOG_USEC": "200000"})
        wait_until(lambda: len(self.manager.has(WATCHDOG="1")) >= 5, "five pings")

    def test_somebody_elses_watchdog(self):
        self.begin(env={"WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"})
        self.waits(READY="1")
        time.sleep(0.5)
        self.assertEqual(self.manager.has(WATCHDOG="1"), [])

    def test_workers_know_nothing_of_it(self):
        proxy = self.begin()
        self.waits(READY="1")
        for pid in proxy.workers():
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    self.assertNotIn(b"NOTIFY_SOCKET", file.read())
            except PermissionError:
                pass
        self.assertEqual(self.manager.ignored, [])

    def test_an_abstract_name(self):
        name = f"apus-test-{os.getpid()}-{id(self)}"
        manager = Manager("\0" + name)
        self.addCleanup(manager.close)
        self.begin(env={"NOTIFY_SOCKET": "@" + name})
        wait_until(lambda: manager.has(READY="1"), "READY")

    def test_nobody_listens(self):
        for name in ("/nowhere/notify", "@nobody-there", "vsock:1:2", "x" * 300, "/" + "x" * 300):
            with self.subTest(name[:20]):
                proxy = self.start(PLAIN, env={"NOTIFY_SOCKET": name})
                proxy.send_signal(signal.SIGHUP)
                proxy.same_workers = False
                wait_until(lambda: proxy.lines("gracefully shutting down$"), "the reload")


@both_users
class Upgrades(SystemdTest):

    def test_the_service_moves_on_when_the_old_master_quits(self):
        proxy = self.begin()
        self.waits(READY="1")
        new = self.upgrade(proxy)
        time.sleep(0.1)
        # Until the operator decides, the old one is the service: it can come back without a gap.
        self.assertEqual(self.manager.main, proxy.master)
        os.kill(proxy.master, signal.SIGQUIT)
        self.waits(MAINPID=str(new))
        self.assertEqual(proxy.wait_end(), 0)
        self.assertEqual(self.manager.main, new)
        wait_until(lambda: [sender for sender, message in self.manager.heard if sender == new and message.get("READY")],
                   "the new master's own READY")
        self.assertEqual(self.manager.has(STOPPING="1"), [])
        self.greeted(proxy).closes()
        third = self.upgrade(proxy, new)
        os.kill(new, signal.SIGQUIT)
        self.gone(new, proxy)
        self.assertEqual(self.manager.main, third)

    def test_a_manager_that_does_not_answer(self):
        self.manager.answers_barriers = False
        proxy = self.begin()
        self.waits(READY="1")
        self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(timeout=20), 0)

    def test_the_way_back(self):
        proxy = self.begin()
        self.waits(READY="1")
        new = self.upgrade(proxy)
        os.kill(new, signal.SIGQUIT)
        self.gone(new, proxy)
        self.assertEqual(self.manager.main, proxy.master)
        proxy.send_signal(signal.SIGHUP)
        wait_until(lambda: len(self.manager.has(READY="1")) == 2, "a reload as before")

    def test_the_watchdog_moves_on(self):
        proxy = self.begin(env={"WATCHDOG_USEC": "200000"})
        self.waits(WATCHDOG="1")
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        wait_until(lambda: [1 for sender, message in self.manager.heard if sender == new and "WATCHDOG" in message], "its pings")


ACTIVATE = """
import os, socket, sys
number, names = 3, []
for text in sys.argv[1].split(","):
    kind, _, place = text.partition("=")
    kind, _, name = kind.partition(":")
    names.append(name or "unknown")
    if kind == "unix":
        sock = socket.socket(socket.AF_UNIX); sock.bind(place); sock.listen(64)
    elif kind == "udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(("127.0.0.1", int(place)))
    else:
        sock = socket.create_server(("127.0.0.1", int(place)))
    os.dup2(sock.fileno(), 100 + number)
    sock.detach()
    number += 1
for descriptor in range(3, number):
    os.dup2(100 + descriptor, descriptor)
    os.set_inheritable(descriptor, True)
    os.close(100 + descriptor)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(number - 3), LISTEN_FDNAMES=":".join(names))
os.execv(sys.argv[2], sys.argv[2:])
"""


@apus_only
class Activation(SystemdTest):

    def activated(self, sockets, text=PLAIN):
        """A proxy that is started with these listening sockets: `tcp=@imap@,unix:NAME=PATH`."""
        proxy = self.prepare(text)
        proxy.same_workers = False
        self.pid_file, self.old_file = proxy.dir / "apus.pid", proxy.dir / "apus.pid.oldbin"
        self.addCleanup(proxy.check)
        self.addCleanup(proxy.stop)
        with open(proxy.stderr, "ab") as errors:
            proxy.process = subprocess.Popen(
                [sys.executable, "-c", ACTIVATE, proxy.expand(sockets), *proxy.command()], stdin=subprocess.DEVNULL,
                stderr=errors, env=proxy.environment())
        proxy.master = proxy.process.pid
        proxy.wait_ready()
        return proxy

    def test_the_sockets_are_taken_by_their_address(self):
        proxy = self.activated("tcp=@imap@")
        self.greeted(proxy)
        # It is the same socket: nothing was bound.
        self.assertEqual(proxy.lines("bind"), [])

    def test_a_unix_socket_keeps_its_file(self):
        path = self.dir / "imap.sock"
        proxy = self.activated(f"unix={path}",
                               f"mail {{ auth_http 127.0.0.1:9/; server {{ listen unix:{path}; protocol imap; }} }}")
        self.connect(str(path)).hears(GREETING)
        proxy.stop()
        proxy.ended = True
        self.assertTrue(path.exists())

    def test_what_no_listen_names_stays_open_for_a_reload(self):
        proxy = self.activated("tcp=@imap@,tcp=@later@")
        proxy.wait_log(rf"\[warn\] .*no \"listen\" names 127\.0\.0\.1:{proxy.ports['later']}, which was passed by the service "
                       rf"manager$")
        first = proxy.text
        proxy.rewrite(first.replace(f"127.0.0.1:{proxy.ports['imap']}", f"127.0.0.1:{proxy.ports['later']}"))
        for text, name in ((proxy.text, "later"), (first, "imap")):
            proxy.rewrite(text)
            told = len(proxy.lines("gracefully shutting down$"))
            proxy.send_signal(signal.SIGHUP)
            wait_until(lambda: len(proxy.lines("gracefully shutting down$")) > told, "the reload")
            wait_until(lambda: not [1 for pid in children(proxy.master) if pid not in proxy.workers()], "the old worker's end")
            self.greeted(proxy, name).closes()
        self.assertEqual(proxy.lines("bind"), [])

    def test_what_is_no_listening_socket(self):
        proxy = self.activated("tcp=@imap@,udp=@other@")
        proxy.wait_log(r"\[warn\] .*descriptor 4 of the service manager is no listening stream socket, ignored$",
                       name="builtin.log")
        self.greeted(proxy)

    def test_over_an_upgrade(self):
        path = self.dir / "imap.sock"
        proxy = self.activated(f"unix={path}",
                               f"mail {{ auth_http 127.0.0.1:9/; server {{ listen unix:{path}; protocol imap; }} }}")
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        self.connect(str(path)).hears(GREETING)
        os.kill(new, signal.SIGTERM)
        self.gone(new, proxy)
        self.assertTrue(path.exists())

    NAMED = "mail { auth_http 127.0.0.1:9/; server { listen fd:mail; protocol imap; } }"

    def test_by_name(self):
        """Whatever their addresses are: the unit says it, the configuration need not. Two may have the same name."""
        path = self.dir / "imap.sock"
        proxy = self.activated(f"tcp:mail=@imap@,tcp:other=@other@,unix:mail={path}", self.NAMED)
        self.greeted(proxy)
        self.connect(str(path)).hears(GREETING)
        proxy.wait_log(rf'no "listen" names 127.0.0.1:{proxy.ports["other"]}, which was passed by the service manager$')
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_log("gracefully shutting down")
        self.greeted(proxy)
        self.assertEqual(proxy.lines("bind"), [])

    def test_by_name_over_an_upgrade(self):
        proxy = self.activated("tcp:mail=@imap@", self.NAMED)
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        self.greeted(proxy)
        os.kill(new, signal.SIGTERM)
        self.gone(new, proxy)

    def test_a_name_that_was_not_passed(self):
        proxy = self.activated("tcp:mail=@imap@", self.NAMED)
        proxy.allow("no socket named")
        proxy.rewrite(proxy.text.replace("fd:mail", "fd:post"))
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_log(r'\[emerg\] .*no socket named "post" was passed by the service manager in ')
        proxy.wait_log(r"\[notice\] .*those passed are named mail$")
        self.greeted(proxy)
        self.assertEqual(proxy.workers(), proxy.first_workers)

    def test_by_name_where_nothing_was_passed(self):
        proxy = self.prepare(self.NAMED)
        self.assertEqual(proxy.run("-t").returncode, 0, "a test cannot know what the service manager will pass")
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)
        self.assertIn('no socket named "mail" was passed by the service manager in ', proxy.told())

    def test_sockets_meant_for_another_process(self):
        proxy = self.start(PLAIN, env={"LISTEN_PID": "1", "LISTEN_FDS": "5"})
        self.greeted(proxy)
