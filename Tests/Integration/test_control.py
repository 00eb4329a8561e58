"""The control socket and apusctl."""

import json
import os
import signal
import socket
import stat
import subprocess
import time

from harness import DEADLINE, ORDINARY_USER, alive, apus_only, as_root, both_users, wait_until
from test_upgrade import PLAIN, UpgradeTest


@apus_only
class ControlTest(UpgradeTest):

    def begin(self, *arguments, **options):
        proxy = super().begin(*arguments, **options)
        (self.binary.parent / "apusctl").symlink_to(self.binary)
        self.path = str(proxy.dir / "apus.control")
        return proxy

    def order(self, proxy, *words, user=None, timeout=60):
        identity = proxy.identity() if user is None else {"user": user, "extra_groups": []}
        return subprocess.run(
            [str(self.binary.parent / "apusctl"), "-p", f"{proxy.dir}/", "-c", str(proxy.conf), *words],
            capture_output=True, text=True, timeout=timeout, env=proxy.environment(), **identity)

    def status(self, proxy):
        done = self.order(proxy, "--json", "status")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return json.loads(done.stdout)

    def raw(self, data, path=None):
        """What comes back for these bytes, until the master closes or 0.5 s of silence."""
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.settimeout(DEADLINE)
        sock.connect(path or self.path)
        try:
            sock.sendall(data)
        except OSError:
            pass
        heard = b""
        while not heard.endswith(b"\n"):
            try:
                more = sock.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                break
            heard += more
        return heard

    def asks(self, **members):
        return json.loads(self.raw(json.dumps({"version": 1, **members}).encode() + b"\n"))


@both_users
class Orders(ControlTest):

    def test_status(self):
        proxy = self.begin("worker_processes 2;\n" + PLAIN, workers=2)
        status = self.status(proxy)
        self.assertEqual((status["version"], status["ok"], status["pid"], status["generation"], status["reloading"],
                          status["successor"], status["predecessor"]),
                         (1, True, proxy.master, 1, False, None, None))
        self.assertEqual([worker["pid"] for worker in status["workers"]], proxy.workers())
        self.assertTrue(all(worker["accepting"] and not worker["leaving"] for worker in status["workers"]))
        self.assertEqual(status["listening"], [f"127.0.0.1:{proxy.ports['imap']}"])
        told = self.order(proxy, "status").stdout
        self.assertRegex(told, rf"^Apus/[\d.]+, master {proxy.master}, up \d+ s\nsessions: 0, connections so far: 0\nconfiguration 1"
                               rf"(\nworker \d+, configuration 1: accepts, sessions: 0){{2}}\nlistening: 127\.0\.0\.1:\d+\n$")

    def test_sessions(self):
        """Counted before and after the login, and given back when a worker dies."""
        proxy = self.begin("worker_processes 2;\n" + PLAIN, workers=2)
        proxy.allow("exited on signal 9")
        proxy.same_workers = False
        wires = [self.greeted(proxy) for _ in range(3)]
        self.assertEqual((self.status(proxy)["sessions"], self.status(proxy)["connections"]), (3, 3))
        self.assertEqual(sum(worker["sessions"] for worker in self.status(proxy)["workers"]), 3)
        wires.pop().closes()
        wait_until(lambda: self.status(proxy)["sessions"] == 2, "one less")
        busy = next(worker for worker in self.status(proxy)["workers"] if worker["sessions"])
        os.kill(busy["pid"], signal.SIGKILL)
        wait_until(lambda: self.status(proxy)["sessions"] == 2 - busy["sessions"], "those of the dead to be gone")
        self.assertEqual(self.status(proxy)["connections"], 3)

    def test_connections_are_counted_on_over_an_upgrade(self):
        proxy = self.begin()
        before = [self.greeted(proxy), self.greeted(proxy)]
        new = self.upgrade(proxy)
        os.kill(proxy.master, signal.SIGQUIT)
        wait_until(lambda: self.status(proxy)["pid"] == new, "the new master to take orders")
        self.greeted(proxy)
        self.assertEqual(self.status(proxy)["connections"], 3)
        self.assertEqual(len(proxy.lines(r"\*3 client .* connected to")), 1)
        for wire in before:
            wire.closes()
        self.assertEqual(proxy.wait_end(), 0)

    def test_the_file_is_for_nobody_else(self):
        proxy = self.begin()
        facts = os.stat(self.path)
        self.assertTrue(stat.S_ISSOCK(facts.st_mode))
        self.assertEqual(stat.S_IMODE(facts.st_mode), 0o600)
        proxy.stop()
        self.assertFalse(os.path.exists(self.path))

    def test_reload(self):
        proxy = self.begin()
        done = self.order(proxy, "--json", "reload", "--wait")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout), {"version": 1, "ok": True, "generation": 2})
        self.assertEqual([worker["generation"] for worker in self.status(proxy)["workers"] if worker["accepting"]], [2])
        self.assertEqual(self.order(proxy, "reload").returncode, 0)
        wait_until(lambda: self.status(proxy)["generation"] == 3, "the third configuration")
        done = proxy.run("-s", "reload", "-w")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(self.status(proxy)["generation"], 4)

    def test_a_reload_that_fails_says_why(self):
        proxy = self.begin()
        proxy.allow("unknown directive", "bind")
        good = proxy.text
        proxy.rewrite(good.replace("mail {", "mail { bogus;", 1))
        # apusctl would see it itself; the socket is asked directly.
        answer = self.asks(command="reload", wait=True)
        self.assertFalse(answer["ok"])
        self.assertRegex(answer["error"], rf'^unknown directive "bogus" in {proxy.conf}:1$')
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        proxy.rewrite(good.replace("mail {", f"mail {{ server {{ listen 127.0.0.1:{taken.getsockname()[1]}; protocol imap; }}",
                                   1))
        done = self.order(proxy, "reload", "--wait")
        self.assertEqual((done.returncode, done.stderr), (1, "apusctl: reload: still could not bind()\n"))
        self.assertEqual(proxy.workers(), proxy.first_workers)

    def test_orders_that_come_during_a_reload_wait_for_the_next(self):
        proxy = self.begin()
        socks = []
        for _ in range(10):
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.settimeout(DEADLINE)
            sock.connect(self.path)
            sock.sendall(b'{"version":1,"command":"reload","wait":true}\n')
            socks.append(sock)
            time.sleep(0.003)
        for sock in socks:
            self.assertTrue(json.loads(sock.recv(4096))["ok"])
        self.assertIn(self.status(proxy)["generation"], range(2, 12))

    def test_reopen_quit_stop(self):
        proxy = self.begin()
        log = proxy.dir / "error.log"
        log.rename(proxy.dir / "error.log.1")
        self.assertEqual(self.order(proxy, "reopen").returncode, 0)
        wait_until(log.exists, "the log")
        session = self.greeted(proxy)
        self.assertEqual(self.order(proxy, "quit").returncode, 0)
        wait_until(lambda: not self.workers(proxy.master), "the worker to drain")
        self.assertEqual(self.order(proxy, "stop").returncode, 0)
        self.assertEqual(proxy.wait_end(), 0)
        session.hears_end()

    def test_nobody_there(self):
        proxy = self.begin()
        proxy.stop()
        proxy.ended = True
        done = self.order(proxy, "status")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, rf'^apusctl: status: connect\(\) at control socket "{self.path}" failed \(2: No such file')

    def test_usage(self):
        proxy = self.begin()
        for words in ((), ("frobnicate", "now"), ("--socket",), ("-x",)):
            done = self.order(proxy, *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertTrue(done.stderr.startswith("Usage: apusctl "))
        done = self.order(proxy, "frobnicate")
        self.assertEqual((done.returncode, done.stderr), (1, 'apusctl: frobnicate: there is no command "frobnicate"\n'))
        self.assertEqual(self.order(proxy, "--help").returncode, 0)
        self.assertRegex(self.order(proxy, "--version").stdout, r"^apusctl version: Apus/")


@apus_only
class Strangers(ControlTest):

    @as_root
    def test_other_users_are_refused(self):
        proxy = self.begin()
        self.assertEqual(self.order(proxy, "status", user=ORDINARY_USER).returncode, 1)
        # Even if the file lets them in.
        os.chmod(self.path, 0o666)
        done = self.order(proxy, "status", user=ORDINARY_USER)
        self.assertEqual(done.returncode, 1)
        proxy.wait_log(rf'\[error\] .*control socket "{self.path}": user \d+ is refused$')
        self.status(proxy)

    def test_garbage(self):
        self.proxy = self.begin()
        for line, reason in (
                (b"", "a request is a JSON object"), (b"hello", "a request is a JSON object"),
                (b"{", "a request is a JSON object"), (b"[1]", "a request is a JSON object"),
                (b"\xff\xfe\0", "a request is a JSON object"), (b'{"a":"\xff"}', "a request is a JSON object"),
                (b'{"version":1,"command":1.5}', "a request is a JSON object"),
                (b'{"a":' * 100 + b"1" + b"}" * 100, "a request is a JSON object"),
                (b'{"version":1} {"version":1}', "a request is a JSON object"),
                (b"{}", "the version of this protocol is 1"), (b'{"version":2,"command":"quit"}', "the version of this protocol is 1"),
                (b'{"version":1}', "a command is one of status, reload, upgrade, reopen, quit, stop"),
                (b'{"version":1,"command":"die"}', "a command is one of status, reload, upgrade, reopen, quit, stop"),
                (b'{"version":1,"command":"quit' + b"x" * 5000 + b'"}', "a request has at most 4096 bytes")):
            with self.subTest(line[:60]):
                self.assertEqual(json.loads(self.raw(line + b"\n")), {"version": 1, "ok": False, "error": reason})
        self.assertEqual(json.loads(self.raw(b" { \"version\" : 1 ,\t\"command\":\"st\\u0061tus\", \"x\":{\"y\":[1,null]} } \r\n"))["ok"],
                         True)

    def test_a_mebibyte_without_a_line_end(self):
        proxy = self.begin()
        heard = self.raw(b"x" * (1 << 20))
        self.assertIn(heard, (b"", b'{"version":1,"ok":false,"error":"a request has at most 4096 bytes"}\n'))
        self.status(proxy)

    def test_half_a_request_is_given_up(self):
        proxy = self.begin()
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(self.path)
        sock.sendall(b'{"version":1,"comm')
        sock.settimeout(20)
        begin = time.monotonic()
        self.assertEqual(sock.recv(100), b"")
        self.assertGreater(time.monotonic() - begin, 5)
        self.status(proxy)

    def test_more_clients_than_there_is_room(self):
        proxy = self.begin()
        socks = []
        for _ in range(40):
            sock = socket.socket(socket.AF_UNIX)
            self.addCleanup(sock.close)
            sock.settimeout(DEADLINE)
            sock.connect(self.path)
            socks.append(sock)
        proxy.wait_log(r"\[warn\] .*more than 32 clients at a time$")
        for sock in socks:
            sock.close()
        self.status(proxy)

    def test_a_stale_file_is_replaced_and_a_living_ones_is_not(self):
        stale = socket.socket(socket.AF_UNIX)
        path = self.dir / "apus.control"
        stale.bind(str(path))
        stale.close()
        proxy = self.begin()
        self.status(proxy)
        other = self.prepare(f"control {path};\n" + PLAIN)
        other.launch()
        self.assertEqual(other.wait_end(), 1)
        other.wait_log(rf"\[emerg\] .*start failed: bind\(\) to unix:{path} failed \(98: Address already in use\)$")
        self.status(proxy)

    def test_off_and_a_place_of_its_own(self):
        proxy = self.begin("control off;\n" + PLAIN)
        self.assertFalse(os.path.exists(self.path))
        done = self.order(proxy, "status")
        self.assertEqual((done.returncode, done.stderr), (1, "apusctl: the configuration names no control socket\n"))
        place = proxy.dir / "elsewhere"
        proxy.rewrite(proxy.text.replace("control off", f"control {place}"))
        proxy.send_signal(signal.SIGHUP)
        wait_until(place.exists, "the socket")
        self.status(proxy)
        proxy.rewrite(proxy.text.replace(f"control {place};", ""))
        self.assertTrue(self.raw(b'{"version":1,"command":"reload","wait":true}\n', str(place)) is not None)
        wait_until(lambda: not place.exists() and os.path.exists(self.path), "the socket to move")
        self.status(proxy)

    def test_a_killed_master_leaves_no_one_listening(self):
        proxy = self.begin()
        workers = proxy.workers()
        proxy.process.kill()
        proxy.ended = True
        proxy.process.wait()
        with self.assertRaises(ConnectionRefusedError):
            self.raw(b"\n")
        for pid in workers:
            os.kill(pid, signal.SIGTERM)
            self.gone(pid, proxy)


@apus_only
class Upgrades(ControlTest):

    def test_success(self):
        proxy = self.begin()
        session = self.greeted(proxy)
        done = self.order(proxy, "--json", "upgrade")
        self.assertEqual(done.returncode, 0, done.stderr)
        new = json.loads(done.stdout)["pid"]
        self.masters.append(new)
        self.assertEqual(self.number(self.pid_file), new)
        # The new one takes the orders now.
        status = self.status(proxy)
        self.assertEqual((status["pid"], status["predecessor"]), (new, proxy.master))
        self.noop(session)
        session.closes()
        self.assertEqual(proxy.wait_end(timeout=30), 0)
        self.assertTrue(os.path.exists(self.path))
        done = proxy.run("-s", "upgrade", timeout=60)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        third = self.number(self.pid_file)
        self.masters.append(third)
        self.assertNotEqual(third, new)
        self.greeted(proxy)

    def fails(self, proxy, reason):
        done = self.order(proxy, "upgrade")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, f"^apusctl: upgrade: {reason}")
        self.assertEqual(self.number(self.pid_file), proxy.master)
        self.assertEqual(proxy.workers(), proxy.first_workers)
        self.assertEqual(self.status(proxy)["pid"], proxy.master)

    def prepared(self, script):
        """A binary that is `script`, with apusctl still the real one."""
        proxy = self.begin()
        proxy.allow("upgrade failed", r"execve\(\)", "exited on signal")
        real = self.binary.parent / "real"
        real.write_bytes(self.binary.read_bytes())
        os.chmod(real, 0o755)
        (self.binary.parent / "apusctl").unlink()
        (self.binary.parent / "apusctl").symlink_to(real)
        if script is None:
            self.binary.unlink()
        else:
            self.replace(script.replace("REAL", str(real)))
        return proxy

    def test_missing(self):
        self.fails(self.prepared(None), r"the new binary is not started: its test exited with code 1: .* cannot be executed "
                                        r"\(2: No such file or directory\)")

    def test_not_executable(self):
        proxy = self.prepared("#!/bin/sh\n")
        os.chmod(self.binary, 0o644)
        self.fails(proxy, r"the new binary is not started: its test exited with code 1: .* \(13: Permission denied\)")

    def test_it_does_not_take_the_configuration(self):
        self.fails(self.prepared("#!/bin/sh\necho 'this will not do' >&2\nexit 1\n"),
                   "the new binary is not started: its test exited with code 1: this will not do")

    def test_it_crashes_at_start(self):
        self.fails(self.prepared('#!/bin/sh\ncase "$*" in *" -t "*) exit 0;; esac\nkill -SEGV $$\n'),
                   "the new binary process was killed by signal 11")

    def test_a_second_order_meanwhile(self):
        begun = self.dir / "begun"
        proxy = self.prepared(f'#!/bin/sh\ncase "$*" in *" -t "*) touch {begun}; sleep 1; exit 0;; esac\nexit 5\n')
        first = subprocess.Popen([str(self.binary.parent / "apusctl"), "--socket", self.path, "upgrade"],
                                 stderr=subprocess.PIPE, text=True)
        wait_until(begun.exists, "the test of the new binary")
        self.assertEqual(self.asks(command="upgrade")["error"], "an upgrade is on its way")
        self.assertEqual(first.communicate(timeout=30)[1],
                         "apusctl: upgrade: the new binary process exited with code 5\n")
        self.assertTrue(alive(proxy.master))
