"""Workers that crash, hang or should be able to do nothing: what the master says and does about it."""

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
import unittest

from harness import ORDINARY_USER, apus_only, as_root, both_users, children, status_field, wait_until
from test_process import PLAIN, ProcessTest


def capabilities(pid):
    return {field: int(status_field(pid, field)[0], 16) for field in ("CapInh", "CapPrm", "CapEff", "CapAmb")}


@apus_only
@both_users
class Crashing(ProcessTest):

    def test_the_report(self):
        proxy = self.start("worker_processes 2;\n" + PLAIN, workers=2)
        proxy.allow("exited on signal 11", "crashed: ")
        proxy.same_workers = False
        victim, other = proxy.workers()
        os.kill(victim, signal.SIGSEGV)
        line, = proxy.wait_log(r"crashed: ")
        place = r"[\w.+-]+\+0x[0-9a-f]+"
        self.assertRegex(
            line, rf"\[alert\] {proxy.master}#{proxy.master}: worker process {victim} crashed: signal 11 \(SIGSEGV\) sent by "
                  rf"process {os.getpid()}, at {place}(, frames {place}( {place})*)?(, build [0-9a-f]{{16,}})?$")
        proxy.wait_log(rf"worker process {victim} exited on signal 11")
        wait_until(lambda: len(proxy.workers()) == 2 and victim not in proxy.workers(), "another worker")
        self.assertIn(other, proxy.workers())
        self.greeted(proxy)

    def test_what_the_operator_can_look_up(self):
        """The build id of the report is the binary's."""
        proxy = self.start(PLAIN)
        proxy.allow("exited on signal 4", "crashed: ")
        proxy.same_workers = False
        os.kill(proxy.workers()[0], signal.SIGILL)
        line, = proxy.wait_log("crashed: ")
        notes = subprocess.run(["readelf", "-n", proxy.command()[0]], capture_output=True, text=True).stdout
        self.assertEqual(re.search(r", build (\w+)$", line).group(1), re.search(r"Build ID: (\w+)", notes).group(1))

    def test_the_master_says_it_too(self):
        proxy = self.start(PLAIN)
        proxy.allow("crashed: ")
        workers = proxy.workers()
        os.kill(proxy.master, signal.SIGBUS)
        self.assertEqual(proxy.wait_end(), -signal.SIGBUS)
        self.assertRegex((proxy.dir / "error.log").read_text(encoding="latin-1"),
                         r"(?m)^apus: \[alert\] master process crashed: signal 7 \(SIGBUS\) sent by process \d+, at ")
        # As in nginx, workers live on; here nobody needs them.
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        (proxy.dir / "apus.pid").unlink()


@apus_only
@both_users
class Hanging(ProcessTest):

    def test_is_ended_and_replaced(self):
        proxy = self.start("worker_watchdog 1s;\nworker_processes 2;\n" + PLAIN, workers=2)
        proxy.allow("exited on signal 6", "crashed: ", "hangs: ")
        proxy.same_workers = False
        victim, other = proxy.workers()
        # Nothing was heard of them for longer than the limit, were they not to show it themselves.
        time.sleep(1.5)
        self.assertEqual(proxy.workers(), [victim, other])
        begun = time.monotonic()
        os.kill(victim, signal.SIGSTOP)
        line, = proxy.wait_log(r"hangs: ")
        self.assertLess(time.monotonic() - begun, 4)
        self.assertRegex(line, rf"\[alert\] .*: worker process {victim} hangs: its loop has not turned for \d+ s, ending it$")
        proxy.wait_log(rf"worker process {victim} crashed: signal 6 \(SIGABRT\) sent by process {proxy.master}, at ")
        wait_until(lambda: len(proxy.workers()) == 2 and victim not in proxy.workers(), "another worker")
        self.assertIn(other, proxy.workers())
        self.greeted(proxy)

    def test_is_left_alone_where_nobody_looks(self):
        for directives in ("worker_watchdog 0;", "worker_watchdog 1s; debug_points stop;"):
            proxy = self.start(directives + PLAIN)
            worker, = proxy.workers()
            os.kill(worker, signal.SIGSTOP)
            time.sleep(2.5)
            self.assertEqual(proxy.lines("hangs: "), [])
            os.kill(worker, signal.SIGCONT)
            self.greeted(proxy)
            self.assertEqual(proxy.workers(), [worker])

    def test_the_watchdog_sleeps_with_the_master(self):
        """When all were stopped, nobody hangs."""
        proxy = self.start("worker_watchdog 1s;" + PLAIN)
        pids = [proxy.master, *proxy.workers()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(2.5)
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        self.greeted(proxy)
        time.sleep(1.5)
        self.assertEqual(proxy.workers(), pids[1:])


@apus_only
@both_users
class Privileges(ProcessTest):

    def test_workers_have_none(self):
        proxy = self.start("worker_processes 2;\n" + PLAIN, workers=2)
        for pid in proxy.workers():
            self.assertEqual(capabilities(pid), dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapAmb"), 0))
            self.assertEqual(status_field(pid, "NoNewPrivs"), ["1"])

    def test_helpers_have_none(self):
        users = self.file("users", "a:{PLAIN}b\n")
        proxy = self.start(f"mail {{ auth_passwd_file {users}; server {{ listen 127.0.0.1:@imap@; protocol imap; }} }}")
        helper = int(proxy.wait_log("start password helper ")[0].split()[-1])
        wait_until(lambda: status_field(helper, "NoNewPrivs") == ["1"], "the helper to have begun")
        self.assertEqual(set(capabilities(helper).values()), {0})

    def test_nobody_looks_into_their_memory(self):
        """What is not dumpable belongs to root in /proc, whoever it runs as."""
        proxy = self.start(PLAIN)
        worker, = proxy.workers()
        self.assertEqual(os.stat(f"/proc/{worker}/mem").st_uid, 0)
        if os.geteuid() == 0:
            seen = subprocess.run(["cat", f"/proc/{worker}/environ"], capture_output=True,
                                  user=int(status_field(worker, "Uid")[0]), group=65534, extra_groups=[])
            self.assertNotEqual(seen.returncode, 0)

    def test_unless_core_files_are_wanted(self):
        proxy = self.start("worker_rlimit_core 1m;" + PLAIN)
        worker, = proxy.workers()
        self.assertEqual(os.stat(f"/proc/{worker}/mem").st_uid, int(status_field(worker, "Uid")[0]))


@apus_only
@as_root
class AmbientCapabilities(ProcessTest):
    """The rootless service: an ordinary user who may bind low ports."""

    def test_the_workers_do_not_keep_them(self):
        if not shutil.which("setpriv"):
            self.skipTest("needs setpriv")
        shutil.chown(self.dir, ORDINARY_USER)
        port = next(number for number in range(300, 1000) if self.is_free(number))
        proxy = self.prepare(f"mail {{ auth_http 127.0.0.1:1/; server {{ listen 127.0.0.1:{port}; protocol imap; }} }}",
                             run_as=ORDINARY_USER)
        user = proxy.identity()
        done = subprocess.Popen(
            ["setpriv", "--reuid", str(user["user"]), "--regid", str(user["group"]), "--clear-groups",
             "--inh-caps", "+net_bind_service", "--ambient-caps", "+net_bind_service", *proxy.command()],
            env=proxy.environment())
        self.addCleanup(done.wait, 10)
        self.addCleanup(done.terminate)
        wait_until((proxy.dir / "apus.pid").exists, lambda: f"the start\n{proxy.told()}")
        workers = wait_until(lambda: children(done.pid), "workers")
        wait_until(lambda: status_field(workers[0], "NoNewPrivs") == ["1"], "the worker to have begun")
        self.assertNotEqual(capabilities(done.pid)["CapAmb"], 0)
        self.assertEqual(set(capabilities(workers[0]).values()), {0})
        self.connect(port).hears("* OK IMAP4 ready")

    @staticmethod
    def is_free(port):
        with socket.socket() as sock:
            try:
                sock.bind(("127.0.0.1", port))
                return True
            except OSError:
                return False


@apus_only
@both_users
class Scarcity(ProcessTest):

    def test_a_full_disk_under_the_log(self):
        proxy = self.start("error_log /dev/full info;\n" + PLAIN)
        self.greeted(proxy)
        os.kill(proxy.master, signal.SIGUSR1)
        self.greeted(proxy)
        os.kill(proxy.master, signal.SIGHUP)
        self.changed(proxy)
        self.greeted(proxy)


@apus_only
@as_root
class NoDescriptors(ProcessTest):

    def test_no_descriptors_left_for_a_reload(self):
        proxy = self.start(PLAIN)
        proxy.allow("reload failed", r"failed \(24: Too many open files\)", r"Too many open files")
        limits = resource.prlimit(proxy.master, resource.RLIMIT_NOFILE)
        session = self.greeted(proxy)
        used = max(descriptor_numbers(proxy.master)) + 1
        resource.prlimit(proxy.master, resource.RLIMIT_NOFILE, (used, limits[1]))
        os.kill(proxy.master, signal.SIGHUP)
        proxy.wait_log("Too many open files")
        self.greeted(proxy)
        self.assertEqual(proxy.workers(), proxy.first_workers)
        # Things are better: the next one succeeds.
        resource.prlimit(proxy.master, resource.RLIMIT_NOFILE, limits)
        os.kill(proxy.master, signal.SIGHUP)
        proxy.same_workers = False
        wait_until(lambda: any(pid not in proxy.first_workers for pid in proxy.workers()),
                   lambda: f"new workers\n{proxy.told()}")
        self.greeted(proxy)
        session.says("a NOOP")
        session.hears("a OK completed")


def descriptor_numbers(pid):
    return [int(name) for name in os.listdir(f"/proc/{pid}/fd")]


if __name__ == "__main__":
    unittest.main()
