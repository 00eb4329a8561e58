"""Master and workers: start, signals, reload, logs, sockets."""

import contextlib
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess
import threading
import time
import unittest

from harness import (DEADLINE, NAME, REFERENCE, ORDINARY_USER, ProxyTest, Wire, alive, apus_only, as_root, both_users, children,
                     free_port, listening_ports, parent, status_field, title, wait_until)
from certs import Authority, client_context
from imap import GREETING, IMAPTest
from scripted import AuthService, Backend, accept, hold

PLAIN = "mail { auth_http 127.0.0.1:1/; server { listen 127.0.0.1:@imap@; protocol imap; } }"
VARIABLE = "NGINX" if REFERENCE else "APUS"


class ProcessTest(IMAPTest):

    def greeted(self, proxy, name="imap"):
        wire = self.connect(proxy.ports[name])
        wire.hears(GREETING)
        return wire

    def changed(self, proxy):
        """Waits until none of the first workers serves any more and new ones do."""
        proxy.same_workers = False
        wait_until(lambda: len(proxy.workers()) == proxy.expected_workers
                   and not set(proxy.workers()) & set(proxy.first_workers), lambda: f"new workers\n{proxy.told()}")
        return proxy.workers()


@both_users
class Start(ProcessTest):

    def test_the_log_of_a_start(self):
        proxy = self.start(PLAIN, workers=2, level="notice")
        master, (one, two) = proxy.master, sorted(proxy.workers())
        lines = [line.split("] ", 1)[1] for line in proxy.wait_log("start worker process ", 2)] and [
            re.sub(r"^.*?\[", "[", line) for line in proxy.log().splitlines()]
        program = NAME if REFERENCE else "Apus"
        expected = [
            r"using the \"epoll\" event method", rf"{program}/[0-9.]+( \(.*\))?", *([] if REFERENCE else ["built by .+"]),
            r"OS: Linux \S+", r"getrlimit\(RLIMIT_NOFILE\): \d+:\d+", "start worker processes",
            rf"start worker process ({one}|{two})", rf"start worker process ({one}|{two})"]
        found = [line for line in lines if not re.search("helper", line)]
        self.assertEqual(len(found), len(expected), "\n".join(lines))
        for line, pattern in zip(found, expected):
            self.assertRegex(line, rf"^\[notice\] {master}#{master}: {pattern}$")

    def test_pid_file(self):
        proxy = self.start(PLAIN)
        path = proxy.dir / "apus.pid"
        wait_until(path.exists, "the pid file")
        self.assertEqual(path.read_text(), f"{proxy.master}\n")
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o644)
        proxy.stop()
        self.assertFalse(path.exists())

    def test_titles(self):
        proxy = self.start(PLAIN)
        wait_until(lambda: title(proxy.master).startswith(f"{NAME}: master process "), "the master's title")
        self.assertEqual(title(proxy.master), f"{NAME}: master process " + " ".join(proxy.command()))
        self.assertEqual(title(proxy.workers()[0]), f"{NAME}: worker process")
        worker = proxy.workers()[0]
        self.assertEqual(os.getpgid(worker), os.getpgid(proxy.master))
        self.assertEqual(os.getsid(worker), os.getsid(proxy.master))

    def test_a_draining_worker_says_so(self):
        proxy = self.start(PLAIN)
        wire = self.greeted(proxy)
        worker = proxy.workers()[0]
        proxy.same_workers = False
        proxy.send_signal(signal.SIGQUIT)
        wait_until(lambda: title(worker) == f"{NAME}: worker process is shutting down", "the new title")
        wire.says("a LOGOUT")
        wire.hears("* BYE", "a OK completed")
        self.assertEqual(proxy.wait_end(), 0)

    def test_worker_processes(self):
        for text, count in (("3", 3), ("auto", os.cpu_count())):
            with self.subTest(text):
                proxy = self.start(f"worker_processes {text};\n" + PLAIN, workers=count)
                time.sleep(0.05)
                self.assertEqual(len(proxy.workers()), count)
                self.greeted(proxy)
                proxy.stop()

    @apus_only
    def test_no_workers(self):
        proxy = self.start(f"worker_processes 0;\n" + PLAIN, workers=0)
        wait_until((proxy.dir / "apus.pid").exists, "the pid file")
        self.assertEqual(proxy.workers(), [])

    def test_standard_output_stays_empty(self):
        proxy = self.start(PLAIN)
        self.greeted(proxy)
        self.assertEqual(proxy.stderr.read_text(), "")

    def test_closed_standard_descriptors(self):
        for closed in ([0], [1], [2]) if REFERENCE else ([0], [1], [2], [0, 1, 2]):
            with self.subTest(closed):
                proxy = self.prepare(PLAIN)
                self.addCleanup(proxy.check)
                redirections = " ".join(f"{number}<&-" for number in closed)
                words = proxy.command()
                proxy.process = subprocess.Popen(
                    ["sh", "-c", f'exec "$@" {redirections}', "sh", *words], env=proxy.environment(), **proxy.identity())
                proxy.master = proxy.process.pid
                self.addCleanup(proxy.stop)
                proxy.wait_ready()
                self.greeted(proxy)
                proxy.stop()
                self.assertNotIn("[emerg]", proxy.conf.read_text())


class Users(ProcessTest):

    @as_root
    def test_workers_drop_their_privileges(self):
        me = pwd.getpwnam("nobody")
        proxy = self.start("user nobody nogroup;\n" + PLAIN)
        worker = proxy.workers()[0]
        wait_until(lambda: status_field(worker, "Uid")[0] != "0", "the worker to change its user")
        self.assertEqual(status_field(worker, "Uid"), [str(me.pw_uid)] * 4)
        self.assertEqual(len(set(status_field(worker, "Gid"))), 1)
        self.assertNotEqual(status_field(worker, "Gid")[0], "0")
        self.assertNotIn("0", status_field(worker, "Groups"))
        self.assertEqual(status_field(proxy.master, "Uid"), ["0"] * 4)
        self.assertEqual(int(status_field(worker, "CapEff")[0], 16), 0)
        self.greeted(proxy)

    @as_root
    def test_by_default_too(self):
        proxy = self.start(PLAIN)
        wait_until(lambda: status_field(proxy.workers()[0], "Uid")[0] != "0", "the worker to change its user")
        for pid in children(proxy.master):
            self.assertNotEqual(status_field(pid, "Uid")[0], "0", title(pid))

    @as_root
    def test_as_an_ordinary_user_nothing_changes(self):
        import shutil
        shutil.chown(self.dir, ORDINARY_USER)
        proxy = self.start("user www-data;\n" + PLAIN, run_as=ORDINARY_USER)
        me = str(pwd.getpwnam(ORDINARY_USER).pw_uid)
        for pid in (proxy.master, *proxy.workers()):
            self.assertEqual(status_field(pid, "Uid"), [me] * 4)
        self.assertEqual(proxy.stderr.read_text(),
                         f'{NAME}: [warn] the "user" directive makes sense only if the master process runs with '
                         f"super-user privileges, ignored in {proxy.conf}:1\n")

    @as_root
    @apus_only
    def test_workers_have_no_file_open_but_logs(self):
        proxy = self.start(PLAIN)
        worker = proxy.workers()[0]
        for entry in os.listdir(f"/proc/{worker}/fd"):
            with contextlib.suppress(OSError):
                target = os.readlink(f"/proc/{worker}/fd/{entry}")
                self.assertRegex(target, r"^(socket:|anon_inode:|pipe:|/dev/null|/memfd:|.*\.log$|.*stderr\.txt$|/dev/zero)")


@both_users
class Signals(ProcessTest):

    def test_term_and_int(self):
        for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
            with self.subTest(name):
                proxy = self.start(PLAIN)
                wire = self.greeted(proxy)
                worker = proxy.workers()[0]
                begin = time.monotonic()
                proxy.send_signal(number)
                self.assertEqual(proxy.wait_end(), 0)
                self.assertLess(time.monotonic() - begin, 3)
                wire.hears_end()
                me = os.getpid()
                log = proxy.log()
                for pattern in (rf"\[notice\] {proxy.master}#{proxy.master}: signal {int(number)} \({name}\) received from "
                                rf"{me}, exiting\n", rf"\[notice\] {worker}#{worker}: exiting\n",
                                rf"\[notice\] {worker}#{worker}: exit\n",
                                rf"\[notice\] {proxy.master}#{proxy.master}: worker process {worker} exited with code 0\n",
                                rf"\[notice\] {proxy.master}#{proxy.master}: exit\n"):
                    self.assertRegex(log, pattern)
                self.assertEqual(len(re.findall(rf"{worker}#{worker}: signal", log)), 0)

    def test_quit_lets_sessions_end(self):
        self.arrange()
        wire = self.log_in(self.client())
        worker = self.proxy.workers()[0]
        self.proxy.send_signal(signal.SIGQUIT)
        self.proxy.wait_log(rf"\[notice\] {worker}#{worker}: gracefully shutting down$")
        wait_until(lambda: self.proxy.ports["imap"] not in listening_ports(), "the listening sockets to close")
        wire.says("b NOOP")
        wire.hears("b OK done")
        self.assertIsNone(self.proxy.process.poll())
        self.proxy.ended = True
        wire.says("c LOGOUT")
        wire.hears("* BYE backend", "c OK bye")
        wire.hears_end()
        self.assertEqual(self.proxy.wait_end(), 0)
        log = self.proxy.log()
        self.assertRegex(log, rf"\[notice\] {worker}#{worker}: exiting\n")
        self.assertRegex(log, rf"signal 3 \(SIGQUIT\) received from \d+, shutting down\n")

    def test_a_session_before_its_login_may_go_on_too(self):
        self.arrange()
        wire = self.client()
        self.proxy.send_signal(signal.SIGQUIT)
        self.proxy.wait_log("gracefully shutting down")
        self.log_in(wire)
        wire.says("c LOGOUT")
        wire.hears("* BYE backend", "c OK bye")
        self.assertEqual(self.proxy.wait_end(), 0)

    def test_term_after_quit(self):
        self.arrange()
        wire = self.log_in(self.client())
        self.proxy.send_signal(signal.SIGQUIT)
        self.proxy.wait_log("gracefully shutting down")
        if REFERENCE:
            self.proxy.allow("open socket .* left in connection", "aborting$")
        self.proxy.send_signal(signal.SIGTERM)
        self.assertEqual(self.proxy.wait_end(), 0)
        wire.hears_end()

    def test_worker_shutdown_timeout(self):
        self.arrange(main="worker_shutdown_timeout 300ms;")
        wire = self.log_in(self.client())
        self.proxy.send_signal(signal.SIGQUIT)
        wire.hears_end()
        self.assertEqual(self.proxy.wait_end(), 0)
        self.assertTrue(self.proxy.lines(r"\[info\] \d+#\d+: \*1 shutdown timeout while proxying, client: 127\.0\.0\.1, server: "
                                         r".*, login: \"bob\", upstream: "))

    def test_an_unresponsive_worker_is_killed(self):
        proxy = self.start(PLAIN)
        proxy.allow("exited on signal 9")
        worker = proxy.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        begin = time.monotonic()
        proxy.send_signal(signal.SIGTERM)
        self.assertEqual(proxy.wait_end(), 0)
        self.assertLess(time.monotonic() - begin, 6)
        self.assertTrue(proxy.lines(rf"\[alert\] .*worker process {worker} exited on signal 9$"))

    def test_workers_ignore_what_is_for_the_master(self):
        proxy = self.start(PLAIN)
        worker = proxy.workers()[0]
        for number, name, suffix in ((signal.SIGHUP, "SIGHUP", ", ignoring"), (signal.SIGUSR2, "SIGUSR2", ", ignoring")):
            os.kill(worker, number)
            proxy.wait_log(rf"\[notice\] {worker}#{worker}: signal {int(number)} \({name}\) received from \d+{suffix}$")
        os.kill(worker, signal.SIGPIPE)
        self.greeted(proxy)
        self.assertEqual(proxy.workers(), [worker])

    def test_the_master_survives_pipe_and_winch(self):
        proxy = self.start(PLAIN)
        for number in (signal.SIGPIPE, signal.SIGWINCH, signal.SIGIO, signal.SIGALRM):
            proxy.send_signal(number)
        proxy.wait_log(r"signal 28 \(SIGWINCH\) received from \d+$")
        self.greeted(proxy)


@both_users
class Respawn(ProcessTest):

    def test_after_kill(self):
        proxy = self.start(PLAIN, workers=2)
        proxy.same_workers = False
        proxy.allow("exited on signal 9")
        victim, other = proxy.workers()
        os.kill(victim, signal.SIGKILL)
        proxy.wait_log(rf"\[alert\] {proxy.master}#{proxy.master}: worker process {victim} exited on signal 9$")
        wait_until(lambda: len(proxy.workers()) == 2, "a new worker")
        self.assertIn(other, proxy.workers())
        new = [pid for pid in proxy.workers() if pid != other][0]
        proxy.wait_log(rf"\[notice\] .*start worker process {new}$")
        for _ in range(20):
            self.greeted(proxy).closes()

    def test_a_worker_that_was_told_to_end_by_someone_else(self):
        proxy = self.start(PLAIN)
        proxy.same_workers = False
        victim = proxy.workers()[0]
        os.kill(victim, signal.SIGTERM)
        proxy.wait_log(rf"\[notice\] {victim}#{victim}: signal 15 \(SIGTERM\) received from \d+, exiting$")
        proxy.wait_log(rf"\[notice\] .*worker process {victim} exited with code 0$")
        wait_until(lambda: proxy.workers() and proxy.workers() != [victim], "a new worker")
        self.greeted(proxy)

    def test_the_sessions_of_other_workers_stay(self):
        self.arrange(workers=2)
        self.proxy.same_workers = False
        self.proxy.allow("exited on signal 9")
        wires = [self.log_in(self.client()) for _ in range(10)]
        victim = self.proxy.workers()[0]
        os.kill(victim, signal.SIGKILL)
        self.proxy.wait_log(f"worker process {victim} exited on signal 9")
        served = 0
        for wire in wires:
            try:
                wire.says("b NOOP")
                wire.hears("b OK done")
                served += 1
            except (AssertionError, OSError):
                pass
        log = self.proxy.log()
        mine = len(re.findall(rf"{victim}#{victim}: \*\d+ client logged in", log))
        self.assertEqual(served, 10 - mine)

    @apus_only
    def test_a_start_whose_workers_cannot_begin_fails(self):
        proxy = self.prepare(f"worker_processes 1;\nworking_directory {self.dir}/nowhere;\n" + PLAIN)
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)
        proxy.wait_log(rf'\[alert\] .*chdir\("{self.dir}/nowhere"\) failed \(2: No such file or directory\)$')
        proxy.wait_log(r"\[alert\] .*worker process \d+ exited with fatal code 2 and cannot be respawned$")
        proxy.wait_log(r"\[emerg\] .*start failed: worker process \d+ cannot begin$")
        self.assertFalse((proxy.dir / "apus.pid").exists())

    @apus_only
    def test_a_worker_that_cannot_begin_later_is_not_respawned(self):
        place = self.dir / "place"
        place.mkdir(mode=0o755)
        proxy = self.start(f"worker_processes 1;\nworking_directory {place};\n" + PLAIN)
        proxy.allow(r"chdir\(", "exited with fatal code 2 and cannot be respawned", "exited on signal 9")
        proxy.same_workers = False
        place.rmdir()
        os.kill(proxy.workers()[0], signal.SIGKILL)
        proxy.wait_log(r"\[alert\] .*worker process \d+ exited with fatal code 2 and cannot be respawned$")
        self.assertIsNone(proxy.process.poll())

    def test_the_workers_outlive_a_killed_master_and_end_on_their_own_signals(self):
        proxy = self.start(PLAIN)
        worker = proxy.workers()[0]
        self.addCleanup(lambda: alive(worker) and os.kill(worker, signal.SIGKILL))
        proxy.process.kill()
        proxy.ended = True
        proxy.process.wait()
        if REFERENCE:
            self.greeted(proxy)
        os.kill(worker, signal.SIGTERM)
        wait_until(lambda: not alive(worker), "the worker's end")


@both_users
class Reload(ProcessTest):

    def test_new_workers_and_the_log_of_it(self):
        proxy = self.start(PLAIN)
        old = proxy.workers()[0]
        proxy.send_signal(signal.SIGHUP)
        new = self.changed(proxy)[0]
        proxy.wait_log(f"worker process {old} exited with code 0")
        log = proxy.log()
        position = 0
        for pattern in (rf"{proxy.master}#{proxy.master}: signal 1 \(SIGHUP\) received from {os.getpid()}, reconfiguring\n",
                        rf"{proxy.master}#{proxy.master}: reconfiguring\n",
                        rf"{proxy.master}#{proxy.master}: using the \"epoll\" event method\n",
                        rf"{proxy.master}#{proxy.master}: start worker processes\n",
                        rf"{proxy.master}#{proxy.master}: start worker process {new}\n",
                        rf"{old}#{old}: gracefully shutting down\n", rf"{old}#{old}: exiting\n", rf"{old}#{old}: exit\n",
                        rf"{proxy.master}#{proxy.master}: worker process {old} exited with code 0\n"):
            match = re.compile(pattern).search(log, position)
            self.assertTrue(match, f"{pattern} not in order in\n{log}")
            position = match.end()
        self.greeted(proxy)

    def test_a_session_in_the_middle_stays(self):
        self.arrange()
        old = self.proxy.workers()[0]
        relaying, waiting = self.log_in(self.client()), self.client()
        self.proxy.rewrite(self.proxy.text.replace("server_name", "max_errors 1; server_name"))
        self.proxy.send_signal(signal.SIGHUP)
        self.changed(self.proxy)
        relaying.says("b NOOP")
        relaying.hears("b OK done")
        self.log_in(waiting)
        # New clients get the new configuration.
        wire = self.client()
        wire.says("x BOGUS")
        wire.hears("x BAD invalid command")
        wire.hears_end()
        for one in (relaying, waiting):
            one.says("c LOGOUT")
            one.hears("* BYE backend", "c OK bye")
        wait_until(lambda: not alive(old), "the end of the old worker")

    def test_a_failed_reload_changes_nothing(self):
        self.arrange()
        wire = self.log_in(self.client())
        good = self.proxy.text
        self.proxy.allow("unknown directive", "unknown mail protocol", r"open\(\)")
        number = 0
        for bad in ("bogus;\n" + good, good.replace("protocol imap;", ""),
                    good.replace(str(self.proxy.dir / "error.log"), str(self.proxy.dir / "no/such/dir/error.log"))):
            self.proxy.rewrite(bad)
            number += 1
            self.proxy.send_signal(signal.SIGHUP)
            self.proxy.wait_log(r"\[emerg\]", number)
        self.assertEqual(self.proxy.workers(), self.proxy.first_workers)
        self.assertEqual(self.proxy.stderr.read_text(), "")
        wire.says("b NOOP")
        wire.hears("b OK done")
        self.serves_others()

    def test_an_address_that_cannot_be_bound(self):
        proxy = self.start(PLAIN)
        proxy.allow(r"bind\(\)", "still could not bind")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            proxy.rewrite(proxy.text.replace("protocol imap;", f"protocol imap; listen 127.0.0.1:{port};"))
            proxy.send_signal(signal.SIGHUP)
            proxy.wait_log(r"\[emerg\] .*still could not bind\(\)$")
        self.assertEqual(len(proxy.lines(r"\[emerg\] .*bind\(\) to 127\.0\.0\.1:\d+ failed \(98: Address already in use\)")), 5)
        self.assertEqual(proxy.workers(), proxy.first_workers)
        self.greeted(proxy)

    def test_addresses_come_and_go(self):
        proxy = self.start(PLAIN)
        old = proxy.ports["imap"]
        proxy.ports["other"] = free_port()
        proxy.rewrite(proxy.text.replace(f":{old}", f":{proxy.ports['other']}"))
        proxy.send_signal(signal.SIGHUP)
        self.changed(proxy)
        wait_until(lambda: old not in listening_ports(), "the old socket to close")
        self.greeted(proxy, "other")

    def test_more_and_fewer_workers(self):
        proxy = self.start("worker_processes 1;\n" + PLAIN)
        for count in (3, 1):
            proxy.rewrite(re.sub(r"worker_processes \d", f"worker_processes {count}", proxy.text))
            proxy.expected_workers = count
            proxy.send_signal(signal.SIGHUP)
            self.changed(proxy)
            proxy.first_workers = proxy.workers()
            self.greeted(proxy)

    def test_a_changed_pid_file(self):
        proxy = self.start(PLAIN)
        proxy.rewrite(proxy.text.replace("apus.pid", "other.pid"))
        proxy.send_signal(signal.SIGHUP)
        self.changed(proxy)
        self.assertEqual((proxy.dir / "other.pid").read_text(), f"{proxy.master}\n")
        self.assertFalse((proxy.dir / "apus.pid").exists())

    def test_no_connection_fails_while_it_reloads(self):
        # Clients connect all the time while the server reloads ten times.
        proxy = self.start(PLAIN, workers=2)
        stop, failures, count = threading.Event(), [], [0]

        def knock():
            while not stop.is_set():
                try:
                    with socket.create_connection(("127.0.0.1", proxy.ports["imap"]), timeout=5) as sock:
                        sock.settimeout(5)
                        wire = Wire(sock)
                        wire.hears(GREETING)
                        wire.says("a LOGOUT")
                        wire.hears("* BYE", "a OK completed")
                    count[0] += 1
                except (OSError, AssertionError) as error:
                    failures.append(repr(error))

        threads = [threading.Thread(target=knock) for _ in range(2)]
        for thread in threads:
            thread.start()
        for _ in range(10):
            before = proxy.workers()
            proxy.send_signal(signal.SIGHUP)
            wait_until(lambda: len(proxy.workers()) == 2 and not set(proxy.workers()) & set(before), "new workers")
        stop.set()
        for thread in threads:
            thread.join()
        proxy.same_workers = False
        if not REFERENCE:  # nginx may close what its old workers have not accepted
            self.assertEqual(failures, [])
        self.assertGreater(count[0], 10)


@both_users
class Logs(ProcessTest):

    def test_reopening_after_a_rename(self):
        proxy = self.start(PLAIN, workers=2)
        if self.run_as is None and os.geteuid() == 0 and REFERENCE:
            os.chmod(proxy.dir, 0o755)
        os.rename(proxy.dir / "error.log", proxy.dir / "old.log")
        self.greeted(proxy).closes()
        proxy.wait_log(r"\*\d+ client .* connected", name="old.log")
        proxy.send_signal(signal.SIGUSR1)
        proxy.wait_log("reopening logs", 2 if not REFERENCE else 1, name="old.log")
        wait_until((proxy.dir / "error.log").exists, "the new log")

        def new_place():
            self.greeted(proxy).closes()
            return proxy.lines(r"\*\d+ client .* connected")

        wait_until(new_place, "a line in the new log")
        settled = len(proxy.lines("connected", "old.log"))
        for _ in range(10):
            self.greeted(proxy).closes()
        proxy.wait_log("connected", 10)
        self.assertLessEqual(len(proxy.lines("connected", "old.log")), settled + 1)

    @apus_only
    def test_a_worker_asks_the_master_to_reopen(self):
        proxy = self.start(PLAIN, workers=2)
        os.rename(proxy.dir / "error.log", proxy.dir / "old.log")
        proxy.send_signal(signal.SIGUSR1, proxy.workers()[0])
        # All of them write to the new file from now on.
        for worker in proxy.workers():
            proxy.wait_log(rf"\[notice\] {worker}#{worker}: reopening logs", name="old.log")
        wait_until((proxy.dir / "error.log").exists, "the new log")

        def moved():
            self.greeted(proxy).closes()
            return proxy.lines(r"\*\d+ client .* connected")

        wait_until(moved, "a line in the new log")

    def test_a_log_that_cannot_be_reopened_stays(self):
        proxy = self.start(PLAIN)
        proxy.allow(r"open\(\)")
        os.rename(proxy.dir / "error.log", proxy.dir / "old.log")
        os.mkdir(proxy.dir / "error.log")
        proxy.send_signal(signal.SIGUSR1)
        proxy.wait_log(rf'\[emerg\] .*open\(\) "{proxy.dir}/error\.log" failed \(21: Is a directory\)', name="old.log")
        self.greeted(proxy)
        proxy.wait_log("connected", name="old.log")

    def test_a_log_for_each_context_and_level(self):
        service = self.serve(AuthService(None))
        proxy = self.start(
            f"""
            error_log @dir@/error.log notice;
            mail {{
                auth_http 127.0.0.1:{service.port}/;
                error_log @dir@/mail.log info;
                server {{ listen 127.0.0.1:@one@; protocol imap; }}
                server {{ listen 127.0.0.1:@two@; protocol imap; error_log @dir@/two.log error;
                          error_log @dir@/two-info.log info; }}
                server {{ listen 127.0.0.1:@three@; protocol imap; error_log @dir@/silent.log emerg; }}
            }}""")
        for name in ("one", "two", "three"):
            self.greeted(proxy, name).closes()
        proxy.wait_log(f"connected to 127.0.0.1:{proxy.ports['one']}", name="mail.log")
        proxy.wait_log(f"connected to 127.0.0.1:{proxy.ports['two']}", name="two-info.log")
        self.assertEqual((proxy.log("two.log"), proxy.log("silent.log")), ("", ""))
        self.assertNotIn("connected", proxy.log())
        self.assertEqual(len(proxy.lines("connected", "mail.log")), 1)
        self.assertEqual(len(proxy.lines("connected", "two-info.log")), 1)

    def test_every_error_log_counts(self):
        proxy = self.start("error_log @dir@/error.log info; error_log @dir@/error.log info;\n" + PLAIN)
        self.greeted(proxy)
        proxy.wait_log("connected", 2)

    def test_all_files_are_made_at_start(self):
        proxy = self.start("mail { error_log @dir@/mail.log; auth_http 127.0.0.1:1/; server { listen 127.0.0.1:@imap@; "
                           "protocol imap; error_log @dir@/server.log crit; } }")
        self.assertEqual([(proxy.dir / name).read_text() for name in ("mail.log", "server.log")], ["", ""])

    @apus_only
    def test_a_rate(self):
        proxy = self.start("error_log @dir@/error.log info; error_log @dir@/few.log info rate=5;\n" + PLAIN)
        for _ in range(100):
            self.greeted(proxy).closes()
        # When the second is over it is told without another message having come.
        proxy.wait_log(r"\[(info|notice)\] \d+#\d+: \d+ messages? suppressed by rate=5$", name="few.log")
        proxy.stop()
        few = proxy.lines(name="few.log")
        told = [re.search(r"(\d+) messages? suppressed by rate=5$", line) for line in few]
        suppressed = sum(int(match[1]) for match in told if match)
        rest = [line for line, match in zip(few, told) if not match]
        self.assertGreater(suppressed, 0)
        # Nothing is lost but what is counted.
        self.assertEqual(len(rest) + suppressed, len(proxy.lines()))
        seconds = [(line[:19], re.search(r"\] (\d+)#", line)[1]) for line in rest]
        self.assertLessEqual(max(seconds.count(second) for second in set(seconds)), 5)

    @apus_only
    def test_a_log_in_memory(self):
        proxy = self.start("error_log @dir@/error.log info; error_log memory:4k info;\n" + PLAIN)
        ring = lambda: self.memory(proxy.workers()[0], b"MEMLOG 4096 " + bytes(proxy.conf))  # noqa: E731
        self.greeted(proxy).closes()
        proxy.wait_log(" connected to ")
        self.assertTrue(b" start worker processes" in ring())
        wait_until(lambda: b": *1 client 127.0.0.1:" in ring(), "the line in the ring")
        for _ in range(60):  # more than there is room for
            self.greeted(proxy).closes()
        last = proxy.wait_log(" connected to ", 61)[-1].encode()
        wait_until(lambda: last in ring(), "the last line in the ring")
        self.assertFalse(b": *1 client " in ring())

    @staticmethod
    def memory(pid, start):
        """The ring of 4096 bytes in a process's memory that begins so; a copy of its header alone is none."""
        with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
            for line in maps:
                if " rw-p " in line:
                    first, last = (int(number, 16) for number in line.split()[0].split("-"))
                    memory.seek(first)
                    data = memory.read(last - first)
                    for found in re.finditer(re.escape(start) + rb":\d+\n[^\0]{80}", data):
                        return data[found.start():][:4096]
        raise AssertionError("no such ring")

    def test_to_stderr(self):
        proxy = self.start("error_log stderr info;\n" + PLAIN)
        self.greeted(proxy)
        proxy.wait_log(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[info\] \d+#\d+: \*1 client 127", name="stderr.txt")
        self.assertNotIn(f"{NAME}: [", proxy.stderr.read_text())

    def test_syslog(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
            collector.bind(("127.0.0.1", 0))
            collector.settimeout(DEADLINE)
            port = collector.getsockname()[1]
            proxy = self.start(f"error_log @dir@/error.log info; error_log syslog:server=127.0.0.1:{port},facility=mail info; "
                               f"error_log syslog:server=127.0.0.1:{port},tag=other_1,nohostname notice;\n" + PLAIN)
            self.greeted(proxy)
            seen = []
            host = re.escape(socket.gethostname().lower())
            stamp = r"[A-Z][a-z][a-z] [ 123]\d \d\d:\d\d:\d\d"
            line = r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[%s\] \d+#\d+: %s"
            wanted = (rf"<21>{stamp} {host} {NAME}: " + line % ("notice", "start worker processes") + "$",
                      rf"<189>{stamp} other_1: " + line % ("notice", "start worker processes") + "$",
                      rf"<22>{stamp} {host} {NAME}: " + line % ("info", r"\*1 client .* connected to .*") + "$")
            while not all(any(re.match(pattern, entry) for entry in seen) for pattern in wanted):
                seen.append(collector.recv(4096).decode())
            self.assertFalse(any("\n" in entry for entry in seen))
            self.assertFalse(any(entry.startswith("<190>") for entry in seen))
            proxy.stop()

    def test_syslog_over_a_unix_socket(self):
        path = self.dir / "log.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as collector:
            collector.bind(str(path))
            os.chmod(path, 0o666)
            collector.settimeout(DEADLINE)
            proxy = self.start(f"error_log @dir@/error.log info; error_log syslog:server=unix:{path} info;\n" + PLAIN)
            self.greeted(proxy)
            while b" connected to " not in collector.recv(4096):
                pass
            proxy.stop()

    def test_an_absent_syslog_harms_nobody(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        proxy = self.start(f"error_log @dir@/error.log info; error_log syslog:server=127.0.0.1:{port} info;\n" + PLAIN)
        for _ in range(3):
            self.greeted(proxy).closes()
        proxy.wait_log("connected", 3)

    def test_a_debug_level_has_lines_for_every_session(self):
        self.arrange(level="debug")
        wire = self.log_in(self.client())
        wire.says("b LOGOUT")
        wire.hears("* BYE backend", "b OK bye")
        wire.hears_end()
        self.proxy.wait_log("proxied session done")
        lines = self.proxy.lines(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[debug\] (\d+)#\1: \*1 ")
        self.assertGreaterEqual(len(lines), 6)
        if not REFERENCE:
            self.assertFalse([line for line in lines if ", client: " in line])
        # nginx shows the password in the request it sends; Apus must not (the harness looks for it).
        if REFERENCE:
            self.proxy.secrets.clear()
        self.assertEqual(self.proxy.stderr.read_text(), "")

    def test_debug_connection(self):
        if "--with-debug" not in subprocess.run([self.start(PLAIN).binary, "-V"], capture_output=True, text=True).stderr \
                and REFERENCE:
            self.skipTest("built without debugging")
        proxy = self.start("error_log @dir@/error.log alert;\nevents { debug_connection 127.0.0.2; }\n" + PLAIN)
        self.greeted(proxy).closes()
        wire = self.connect(proxy.ports["imap"], source="127.0.0.2")
        wire.hears(GREETING)
        lines = proxy.wait_log(r"\[debug\]", 3)
        self.assertFalse([line for line in lines if "127.0.0.1:" in line and "connected" in line])
        self.assertTrue(proxy.lines(r"\[info\] .* client 127\.0\.0\.2:\d+ connected"))
        self.assertFalse(proxy.lines(r"\[info\] .* client 127\.0\.0\.1:\d+ connected"))


@both_users
class Listening(ProcessTest):

    def test_a_unix_socket(self):
        proxy = self.start("mail { auth_http 127.0.0.1:1/; server { listen unix:@dir@/imap.sock; protocol imap; } }")
        path = proxy.dir / "imap.sock"
        self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o666)
        wire = self.connect(str(path))
        wire.hears(GREETING)
        proxy.wait_log(rf"\*1 client unix: connected to unix:{path}$")
        proxy.stop()
        self.assertFalse(path.exists())

    def test_a_stale_unix_socket_is_not_removed(self):
        path = self.dir / "imap.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        proxy = self.prepare(f"mail {{ auth_http 127.0.0.1:1/; server {{ listen unix:{path}; protocol imap; }} }}")
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)
        self.assertIn(f"{NAME}: [emerg] bind() to unix:{path} failed (98: Address already in use)\n", proxy.stderr.read_text())
        self.assertTrue(path.exists())

    def test_a_wildcard_and_a_specific_address(self):
        proxy = self.start(
            """
            mail {
                auth_http 127.0.0.1:1/;
                server { listen @imap@; protocol imap; imap_capabilities WILD; }
                server { listen 127.0.0.1:@imap@; protocol imap; imap_capabilities LOCAL; }
            }""")
        port = proxy.ports["imap"]
        for host, word, text in (("127.0.0.1", "LOCAL", f"127.0.0.1:{port}"), ("127.0.0.2", "WILD", f"0.0.0.0:{port}")):
            with self.subTest(host):
                wire = self.connect(port, host=host)
                wire.hears(GREETING)
                wire.says("a CAPABILITY")
                wire.hears(f"* CAPABILITY {word} AUTH=PLAIN", "a OK completed")
                proxy.wait_log(rf"client 127\.0\.0\.1:\d+ connected to {re.escape(text)}$|"
                               rf"client {re.escape(host)}:\d+ connected to {re.escape(text)}$")

    def test_ipv6_and_a_range(self):
        port = free_port()
        proxy = self.start(f"mail {{ auth_http 127.0.0.1:1/; server {{ protocol imap; listen [::1]:{port}; "
                           f"listen {port}; }} }}")
        wire = self.connect(port, host="::1")
        wire.hears(GREETING)
        proxy.wait_log(rf"client \[::1\]:\d+ connected to \[::1\]:{port}$")
        self.connect(port, host="127.0.0.1").hears(GREETING)

    def test_inherited_sockets(self):
        inherited = socket.socket()
        inherited.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        port = free_port()
        inherited.bind(("127.0.0.1", port))
        inherited.listen(511)
        number = inherited.fileno()
        # Someone connects before the server is there at all.
        early = self.connect(port)
        proxy = self.start(PLAIN, ports={"imap": port}, env={VARIABLE: f"{number};"}, pass_fds=(number,))
        inherited.close()
        early.hears(GREETING)
        self.assertTrue(re.search(rf'\[notice\] .*using inherited sockets from "{number};"',
                                  proxy.log() + proxy.log("builtin.log")))
        self.greeted(proxy)

    @apus_only
    def test_sockets_inherited_from_nginx(self):
        inherited = socket.socket()
        port = free_port()
        inherited.bind(("127.0.0.1", port))
        inherited.listen(511)
        proxy = self.start(PLAIN, ports={"imap": port}, env={"NGINX": f"{inherited.fileno()};"},
                           pass_fds=(inherited.fileno(),))
        inherited.close()
        self.greeted(proxy)

    @apus_only
    def test_a_socket_that_is_named_twice(self):
        for variable in ("APUS", "NGINX"):
            with self.subTest(variable):
                port = free_port()
                mail = self.inherited(("127.0.0.1", port))
                number = mail.fileno()
                proxy = self.start(PLAIN, ports={"imap": port}, env={variable: f"{number};{number};"}, pass_fds=(number,))
                mail.close()
                self.greeted(proxy)

    def inherited(self, address):
        """A socket that listens, as another master would leave it."""
        inherited = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.addCleanup(inherited.close)
        inherited.bind(address)
        inherited.listen(511)
        return inherited

    @apus_only
    def test_sockets_of_nginx_that_are_not_named(self):
        path = str(self.dir / "web.sock")
        port, web = free_port(), free_port()
        mail = self.inherited(("127.0.0.1", port))
        for address, text in ((("127.0.0.1", web), f"127.0.0.1:{web}"), (path, f"unix:{path}")):
            with self.subTest(text):
                other = self.inherited(address)
                numbers = (mail.fileno(), other.fileno())
                inheritance = {"ports": {"imap": port}, "env": {"NGINX": "".join(f"{number};" for number in numbers)},
                               "pass_fds": numbers}
                refused = self.prepare(PLAIN, **inheritance)
                done = refused.run(pass_fds=numbers)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf"^apus: \[emerg\] nginx serves {text}, which the configuration does not name: "
                                              r'taking over would end that service \("takeover_foreign_sockets close" allows it\)\n$')
                self.connect(path if address == path else web)

                proxy = self.prepare("takeover_foreign_sockets close; " + PLAIN, **inheritance)
                proxy.start()
                proxy.wait_log(rf"\[notice\] .*nginx serves {text}, which the configuration does not name: closed here$")
                self.greeted(proxy)
                for pid in (proxy.master, *proxy.workers()):
                    held = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
                    self.assertNotIn(os.readlink(f"/proc/self/fd/{other.fileno()}"), held)
                # The one who started it still serves there.
                self.connect(path if address == path else web)
                proxy.stop()
                self.assertTrue(os.path.exists(path) or address != path)

    @apus_only
    def test_sockets_of_an_older_apus_that_are_not_named(self):
        port, other = free_port(), free_port()
        sockets = [self.inherited(("127.0.0.1", number)) for number in (port, other)]
        proxy = self.start(PLAIN, ports={"imap": port}, env={"APUS": "".join(f"{one.fileno()};" for one in sockets)},
                           pass_fds=[one.fileno() for one in sockets])
        self.greeted(proxy)
        sockets[1].close()
        self.assertNotIn(other, listening_ports())

    def test_nonsense_in_the_variable(self):
        for value, pattern in (
            ("x;", rf'\[emerg\] .*invalid socket number "x;" in {VARIABLE} environment variable, ignoring the rest of the '
                   "variable"),
            ("77;", r"\[crit\] .*getsockname\(\) of the inherited socket #77 failed \(9: Bad file descriptor\)"),
            ("12", rf'\[emerg\] .*invalid socket number "12" in {VARIABLE} environment variable, ignoring'),
        ):
            with self.subTest(value):
                if REFERENCE and value == "12":
                    continue  # newer than Debian's nginx
                proxy = self.prepare(PLAIN, env={VARIABLE: value})
                proxy.start()
                text = proxy.log("builtin.log") + proxy.log()
                self.assertRegex(text, pattern)
                self.greeted(proxy)
                proxy.same_workers = True
                proxy.stop()


@both_users
class Daemon(ProcessTest):

    def daemon(self, text=PLAIN, **options):
        proxy = self.prepare("daemon on;\n" + text, **options)
        done = subprocess.run(proxy.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=DEADLINE, env=proxy.environment(), **proxy.identity())
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"", b""))
        path = proxy.dir / "apus.pid"
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), "the pid file")
        proxy.master = int(path.read_text())

        def end():
            if alive(proxy.master):
                workers = children(proxy.master)
                os.kill(proxy.master, signal.SIGTERM)
                try:
                    wait_until(lambda: not alive(proxy.master), "the daemon's end")
                finally:
                    for pid in [proxy.master, *workers]:
                        if alive(pid) and NAME in title(pid):
                            os.kill(pid, signal.SIGKILL)
            proxy.check()

        self.addCleanup(end)
        wait_until(lambda: len(proxy.workers()) == 1, "the worker")
        return proxy

    def test_it_leaves_the_caller(self):
        proxy = self.daemon()
        self.greeted(proxy)
        self.assertEqual(os.getsid(proxy.master), proxy.master)
        for number in (0, 1):
            self.assertEqual(os.readlink(f"/proc/{proxy.master}/fd/{number}"), "/dev/null")
        self.assertEqual(os.readlink(f"/proc/{proxy.master}/fd/2"), str(proxy.dir / "error.log"))
        self.assertNotEqual(parent(proxy.master), os.getpid())

    @apus_only  # nginx may lose it
    def test_a_signal_right_after_the_pid_file_appears(self):
        proxy = self.prepare("daemon on;\n" + PLAIN)
        subprocess.run(proxy.command(), timeout=DEADLINE, env=proxy.environment(), **proxy.identity())
        path = proxy.dir / "apus.pid"
        wait_until(lambda: path.exists() and path.read_text().endswith("\n"), "the pid file", interval=0.0005)
        master = int(path.read_text())
        self.addCleanup(lambda: alive(master) and [os.kill(pid, signal.SIGKILL) for pid in [*children(master), master]])
        os.kill(master, signal.SIGTERM)
        wait_until(lambda: not alive(master), "its end")
        self.assertRegex(proxy.log(), r"signal 15 \(SIGTERM\) received from \d+, exiting")

    def test_errors_before_the_fork_show_in_the_exit_status(self):
        proxy = self.prepare("daemon on;\nbogus;\n" + PLAIN)
        done = subprocess.run(proxy.command(), capture_output=True, timeout=DEADLINE, env=proxy.environment(),
                              **proxy.identity())
        self.assertEqual(done.returncode, 1)

    @apus_only
    def test_workers_that_cannot_begin_show_in_the_exit_status(self):
        proxy = self.prepare(f"daemon on;\nworking_directory {self.dir}/nowhere;\n" + PLAIN)
        done = subprocess.run(proxy.command(), capture_output=True, timeout=DEADLINE, env=proxy.environment(),
                              **proxy.identity())
        self.assertEqual(done.returncode, 1)
        wait_until(lambda: not (proxy.dir / "apus.pid").exists(), "the pid file to be removed")

    def test_winch(self):
        proxy = self.daemon()
        worker = proxy.workers()[0]
        os.kill(proxy.master, signal.SIGWINCH)
        wait_until(lambda: not alive(worker), "the worker's end")
        self.assertTrue(alive(proxy.master))
        self.assertIn(proxy.ports["imap"], listening_ports())


@both_users
class SingleProcess(ProcessTest):
    """master_process off"""

    def single(self):
        return self.start("master_process off;\n" + PLAIN, workers=0)

    def test_it_serves_itself(self):
        proxy = self.single()
        self.greeted(proxy)
        self.assertEqual([pid for pid in children(proxy.master) if "worker" in title(pid)], [])
        self.assertEqual((proxy.dir / "apus.pid").read_text(), f"{proxy.master}\n")

    def test_ends(self):
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT):
            with self.subTest(number):
                proxy = self.single()
                self.greeted(proxy)
                proxy.send_signal(number)
                self.assertEqual(proxy.wait_end(), 0)

    @apus_only  # Debian's nginx loses its way here
    def test_reload(self):
        proxy = self.single()
        self.greeted(proxy)
        proxy.rewrite(proxy.text.replace("protocol imap;", "protocol imap; imap_capabilities FRESH;"))
        proxy.send_signal(signal.SIGHUP)

        def fresh():
            wire = self.connect(proxy.ports["imap"])
            wire.hears(GREETING)
            wire.says("a CAPABILITY")
            return wire.hears_line() == "* CAPABILITY FRESH AUTH=PLAIN"

        wait_until(fresh, "the new configuration")


if __name__ == "__main__":
    unittest.main()


@apus_only
class Rehearsal(ProcessTest):
    """A reload is tried in a process of its own first."""

    def test_a_password_file_that_can_be_read_once(self):
        authority = Authority(self.dir)
        certificate, key = authority.issue("mail.example.com")
        encrypted, fifo = self.dir / "encrypted.pem", self.dir / "passwords"
        subprocess.run(["openssl", "pkey", "-in", str(key), "-aes256", "-passout", "pass:wonderland", "-out", str(encrypted)],
                       check=True, capture_output=True)
        os.mkfifo(fifo)
        reads = []

        def feed():
            with open(fifo, "w") as writer:
                writer.write("wonderland\n")
            reads.append(1)

        threading.Thread(target=feed, daemon=True).start()
        proxy = self.start(
            f"ssl_object_cache_inheritable off;\nmail {{ auth_http 127.0.0.1:9/; ssl_certificate {certificate};\n"
            f"ssl_certificate_key {encrypted}; ssl_password_file {fifo};\n"
            f"server {{ listen 127.0.0.1:@imap@ ssl; protocol imap; }} }}")
        # Once for the load, and not for its rehearsal.
        threading.Thread(target=feed, daemon=True).start()
        proxy.send_signal(signal.SIGHUP)
        self.changed(proxy)
        wait_until(lambda: len(reads) == 2, "the file to be read")
        self.connect(proxy.ports["imap"], tls=client_context()).hears(GREETING)

    def test_the_master_goes_on_meanwhile(self):
        """A worker that dies while the configuration is read is replaced; the read hangs on a FIFO nobody feeds."""
        proxy = self.start(PLAIN)
        proxy.allow("exited on signal 9", "reload failed", "cannot be read")
        fifo = self.dir / "late.conf"
        os.mkfifo(fifo)
        if self.run_as:
            shutil.chown(fifo, self.run_as)
        proxy.rewrite(f"include {fifo};\n" + proxy.text)
        proxy.send_signal(signal.SIGHUP)
        proxy.wait_log("reconfiguring$")
        os.kill(proxy.workers()[0], signal.SIGKILL)
        worker = self.changed(proxy)
        self.greeted(proxy).closes()
        proxy.send_signal(signal.SIGQUIT)
        self.assertEqual(proxy.wait_end(), 0)
        self.assertFalse(alive(worker[0]))

    def test_no_process_of_it_is_left(self):
        proxy = self.start(PLAIN)
        for _ in range(3):
            proxy.send_signal(signal.SIGHUP)
            proxy.first_workers = self.changed(proxy)
        wait_until(lambda: children(proxy.master) == proxy.workers(), lambda: f"one worker alone\n{proxy.told()}")
        self.assertEqual(proxy.lines("unknown process"), [])
