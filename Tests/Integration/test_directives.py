"""What the main block and `events` say of processes: each directive that has an effect, and those that must have none."""

import os
import pathlib
import re
import resource
import signal
import subprocess
import time
import unittest

from harness import apus_only, both_users, wait_until
from imap import GREETING
from test_process import PLAIN, ProcessTest

CPUS = sorted(os.sched_getaffinity(0))


def limit(pid, name):
    """(soft, hard) of /proc/PID/limits as they are written there."""
    for line in pathlib.Path(f"/proc/{pid}/limits").read_text().splitlines():
        if line.startswith(name):
            return tuple(re.split(r"\s{2,}", line[len(name):].strip())[:2])
    raise AssertionError(name)


@both_users
class Workers(ProcessTest):

    def worker(self, main, **options):
        self.proxy = self.start(main + "\n" + PLAIN, **options)
        self.greeted(self.proxy).closes()
        return self.proxy.workers()[0]

    def test_worker_priority(self):
        worker = self.worker("worker_priority 7;")
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, worker), 7)
        self.assertEqual(os.getpriority(os.PRIO_PROCESS, self.proxy.master), os.getpriority(os.PRIO_PROCESS, 0))

    def test_worker_priority_that_nobody_may_have(self):
        if os.geteuid() == 0 and self.run_as is None:
            self.skipTest("root may")
        proxy = self.start("worker_priority -10;\n" + PLAIN)
        proxy.allow(r"setpriority\(-10\) failed \(13: Permission denied\)")
        proxy.wait_log(r"\[alert\] \d+#\d+: setpriority\(-10\) failed \(13: Permission denied\)")
        self.greeted(proxy)

    def test_worker_cpu_affinity(self):
        masks = ["".join("1" if number == cpu else "0" for number in range(max(CPUS), -1, -1)) for cpu in CPUS[:2]]
        proxy = self.start(f"worker_cpu_affinity {' '.join(masks)};\n" + PLAIN, workers=len(masks))
        wait_until(lambda: sorted(sorted(os.sched_getaffinity(worker)) for worker in proxy.workers())
                   == [[cpu] for cpu in CPUS[:2]], "each worker on a CPU of its own")
        proxy.wait_log(rf"\[notice\] \d+#\d+: sched_setaffinity\(\): using cpu #{CPUS[0]}$")
        self.assertEqual(sorted(os.sched_getaffinity(proxy.master)), CPUS)

    def test_worker_cpu_affinity_auto(self):
        if CPUS != list(range(len(CPUS))):
            self.skipTest("not all CPUs may be used here")
        proxy = self.start("worker_cpu_affinity auto;\n" + PLAIN, workers=3)
        wanted = sorted([CPUS[index % len(CPUS)]] for index in range(3))
        wait_until(lambda: sorted(sorted(os.sched_getaffinity(worker)) for worker in proxy.workers()) == wanted,
                   "the workers in turn on the CPUs")

    def test_worker_rlimits(self):
        worker = self.worker("worker_rlimit_nofile 600; worker_rlimit_core 3m;")
        self.assertEqual(limit(worker, "Max open files"), ("600", "600"))
        self.assertEqual(limit(worker, "Max core file size"), (str(3 << 20), str(3 << 20)))
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.assertEqual(limit(self.proxy.master, "Max open files"), (str(soft), str(hard)))

    def test_without_them_the_limits_are_the_masters(self):
        worker = self.worker("")
        for name in ("Max open files", "Max core file size"):
            self.assertEqual(limit(worker, name), limit(self.proxy.master, name))

    def test_working_directory(self):
        directory = self.dir / "cores"
        directory.mkdir()
        os.chmod(directory, 0o777)
        worker = self.worker(f"worker_rlimit_core 1m; working_directory {directory};")
        # A process that others may not look at has no link to its directory for them, root excepted.
        self.assertEqual(os.readlink(f"/proc/{worker}/cwd"), str(directory))
        self.assertNotEqual(os.readlink(f"/proc/{self.proxy.master}/cwd"), str(directory))

    @apus_only  # nginx warns when they exceed the master's limit as well
    def test_worker_connections_beyond_the_limit_of_files_warn(self):
        proxy = self.start("worker_rlimit_nofile 100;\nevents { worker_connections 101; }\n" + PLAIN)
        proxy.wait_log(r"\[warn\] 101 worker_connections exceed open file resource limit: 100$", name="stderr.txt")
        self.greeted(proxy)


class Environment(ProcessTest):

    def hour(self, proxy, pattern):
        line = proxy.wait_log(pattern)[0]
        return time.mktime(time.strptime(line[:19], "%Y/%m/%d %H:%M:%S"))

    def difference(self, env, main):
        """How many hours the clock of the worker's lines is ahead of the master's."""
        proxy = self.start(main + "\n" + PLAIN, env=env)
        self.greeted(proxy).closes()
        ahead = self.hour(proxy, " connected to ") - self.hour(proxy, "start worker process ")
        proxy.stop()
        return round(ahead / 3600)

    @apus_only  # nginx's workers go on with the zone of the master
    def test_tz_is_kept_and_can_be_replaced(self):
        self.assertEqual(self.difference({"TZ": "XXX-3"}, ""), 0)
        self.assertEqual(self.difference({"TZ": "XXX-3"}, "env TZ;"), 0)
        self.assertEqual(self.difference({"TZ": "XXX-3"}, "env TZ=YYY-5;"), 2)


@apus_only
class WithoutEffect(ProcessTest):
    """Directives of nginx that Apus takes and does nothing about: configurations need no change."""

    def test_they_are_taken(self):
        proxy = self.start(
            "timer_resolution 100ms; lock_file @dir@/lock; thread_pool default threads=4 max_queue=8; "
            "thread_pool other threads=1; pcre_jit on;\n"
            "events { worker_connections 64; use epoll; multi_accept on; accept_mutex on; accept_mutex_delay 50ms; "
            "epoll_events 16; worker_aio_requests 8; }\n" + PLAIN, workers=2)
        wires = [self.greeted(proxy) for _ in range(20)]
        for number, wire in enumerate(wires):
            wire.says(f"a{number} NOOP")
            wire.hears(f"a{number} OK completed")
        self.assertFalse((proxy.dir / "lock").exists())
        self.assertFalse(proxy.lines(r"\[(warn|error)\]"))

    def test_a_burst_of_clients_without_multi_accept_and_with_it(self):
        for value in ("off", "on"):
            with self.subTest(value):
                proxy = self.start(f"events {{ worker_connections 256; multi_accept {value}; epoll_events 1; }}\n" + PLAIN)
                wires = [self.connect(proxy.ports["imap"]) for _ in range(60)]
                for wire in wires:
                    wire.hears(GREETING)
                    wire.closes()
                proxy.stop()

    def test_the_lock_file_cannot_be_changed_by_a_reload(self):
        proxy = self.start("lock_file @dir@/one;\n" + PLAIN)
        proxy.rewrite(proxy.text.replace("/one;", "/two;"))
        proxy.send_signal(signal.SIGHUP)
        proxy.allow("could not be changed")
        proxy.wait_log(r"\[emerg\] \d+#\d+: \"lock_file\" could not be changed, ignored$")
        self.changed(proxy)
        self.greeted(proxy)

    def test_an_engine_is_an_error(self):
        proxy = self.prepare("ssl_engine pkcs11;\n" + PLAIN)
        told = subprocess.run(proxy.command("-t"), capture_output=True, text=True, timeout=30,
                              env=proxy.environment(), **proxy.identity()).stderr
        self.assertIn('"ssl_engine" directive is not supported in', told)


if __name__ == "__main__":
    unittest.main()
