"""The Debian package: what is in it, what its units allow, and its life on a system: install, serve, upgrade, remove."""

import gzip
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import unittest

import harness
from harness import alive, apus_only, as_root, children, free_port, status_field, wait_until
from imap import GREETING, IMAPTest
from scripted import Backend
from test_systemd import Manager

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONTROL = pathlib.Path("/run/apus/apus.control")
PID = pathlib.Path("/run/apus/apus.pid")
PASSWORD = "behind-the-hedge"


def run(*command, check=True, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{command}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Built(unittest.TestCase):
    """The package is built once."""

    @classmethod
    def setUpClass(cls):
        if os.geteuid() != 0:
            raise unittest.SkipTest("only root installs packages")
        for program in ("dh", "lintian", "systemd-analyze"):
            if not shutil.which(program):
                raise unittest.SkipTest(f"needs {program}")
        if "place" not in vars(Built):
            Built.place = pathlib.Path(tempfile.mkdtemp(prefix="apus-package-test-"))
            os.chmod(Built.place, 0o755)
            unittest.addModuleCleanup(shutil.rmtree, Built.place, True)
            told = run(ROOT / "contrib/package", "--output", Built.place, "--version", "1.0",
                       env={**os.environ, "APUS_BINARY": os.path.realpath(harness.BINARY)})
            Built.files = told.stdout.split()
            Built.package, = [path for path in Built.files if "/apus_" in path]
            Built.symbols, = [path for path in Built.files if "/apus-dbgsym_" in path]
            Built.tree = Built.place / "tree"
            run("dpkg", "-x", Built.package, Built.tree)

    def unit(self, name):
        """The settings of an installed unit; those given more than once are joined with blanks."""
        settings = {}
        for line in (self.tree / "lib/systemd/system" / name).read_text().splitlines():
            key, equals, value = line.partition("=")
            if equals and not line.startswith("#"):
                settings[key] = f"{settings[key]} {value}" if key in settings else value
        return settings


@apus_only
class Contents(Built):

    def test_lintian(self):
        done = run("lintian", "--allow-root", "--fail-on", "error", *self.files, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def exposure(self, unit):
        told = run("systemd-analyze", "security", "--offline=true", self.tree / "lib/systemd/system" / unit, check=False).stdout
        score = float(re.search(rf"Overall exposure level for {unit}: ([\d.]+)", told).group(1))
        print(f"measured: systemd-analyze security, {unit}: {score}")
        return score

    def test_the_exposure_of_the_service(self):
        self.assertLessEqual(self.exposure("apus.service"), 2.6)

    def test_the_exposure_of_the_service_without_root(self):
        self.assertLessEqual(self.exposure("apus-rootless.service"), 1.5)

    def test_the_units_name_what_is_installed(self):
        for name in ("apus.service", "apus-rootless.service"):
            for key in ("ExecStart", "ExecReload"):
                program = shlex.split(self.unit(name)[key])[0]
                self.assertTrue((self.tree / program[1:]).exists() or (self.tree / program[1:]).is_symlink(), program)

    def test_the_program_is_stripped_and_its_symbols_are_apart(self):
        program = self.tree / "usr/sbin/apus"
        self.assertLess(program.stat().st_size, 15 << 20)
        self.assertNotIn(".symtab", run("readelf", "-S", "-W", program).stdout)
        build = re.search(r"Build ID: (\w+)", run("readelf", "-n", program).stdout).group(1)
        symbols = self.place / "symbols"
        run("dpkg", "-x", self.symbols, symbols)
        file = symbols / "usr/lib/debug/.build-id" / build[:2] / f"{build[2:]}.debug"
        self.assertIn(".symtab", run("readelf", "-S", "-W", file).stdout)

    def test_the_manual_pages(self):
        for page in ("man8/apus.8.gz", "man8/apusctl.8.gz", "man5/apus.conf.5.gz"):
            text = gzip.decompress((self.tree / "usr/share/man" / page).read_bytes()).decode()
            self.assertIn(".TH APUS", text.upper())

    def test_vim_knows_every_directive(self):
        syntax = (self.tree / "usr/share/vim/vimfiles/syntax/apus.vim").read_text()
        words, blocks = (set(re.search(rf'^syntax match apus{kind} .*\\zs\\\((\w.*?)\\\)\\ze', syntax, re.M)[1].split("\\|"))
                         for kind in ("Directive", "Block"))
        manual = run(harness.BINARY, "--manual", "markdown").stdout
        self.assertEqual(words | blocks, set(re.findall(r"^### `(\S+?)`", manual, re.M)))
        self.assertEqual(blocks, {"events", "mail", "server"})

    def completed(self, line):
        words = line.split(" ")
        script = (f"source {self.tree}/usr/share/bash-completion/completions/apus; COMP_WORDS=({' '.join(shlex.quote(word) for word in words)}); COMP_CWORD={len(words) - 1}; "
                  f"_{words[0]}; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
        return run("bash", "-c", script).stdout.split()

    def test_completion(self):
        self.assertEqual(set(self.completed("apus -s re")), {"reload", "reopen"})
        self.assertEqual(set(self.completed("apus -s ")), {"stop", "quit", "reload", "reopen", "upgrade"})
        self.assertEqual(set(self.completed("apus --manual m")), {"markdown", "man"})
        self.assertEqual(self.completed("apusctl sta"), ["status"])
        self.assertIn("--wait", self.completed("apusctl reload -"))
        # What is offered is what the programs know, all of it, in both shells.
        usage = run(harness.BINARY, "-h", check=False).stderr
        known = set(re.findall(r"(?m)^  (-\w|--[a-z-]+)|(?<=,)(-h)", usage.split("Options:")[1]))
        known = {option for pair in known for option in pair if option} | {"-?"}
        self.assertEqual(set(self.completed("apus -")), known)
        zsh = (self.tree / "usr/share/zsh/vendor-completions/_apus").read_text()
        for option in known - {"-?"}:
            self.assertIn(option, zsh)

    def test_completion_for_zsh(self):
        if not shutil.which("zsh"):
            self.skipTest("needs zsh")
        run("zsh", "-n", self.tree / "usr/share/zsh/vendor-completions/_apus")

    def test_the_drop_in_leaves_nothing_of_the_old_reload(self):
        text = (self.tree / "usr/share/doc/apus/examples/notify-reload.conf").read_text()
        self.assertRegex(text, r"(?m)^Type=notify-reload$")
        self.assertRegex(text, r"(?m)^ExecReload=$")


@apus_only
@as_root
class Installed(Built, IMAPTest):
    """On this system, in the places of a real one."""

    def setUp(self):
        super().setUp()
        if pathlib.Path("/etc/apus").exists() or run("dpkg-query", "-W", "apus", check=False).returncode == 0:
            self.skipTest("Apus is installed on this machine")
        self.addCleanup(self.purge)
        self.manager = Manager(str(self.dir / "notify"))
        self.addCleanup(self.manager.close)

    def purge(self):
        run("dpkg", "--purge", "apus", check=False)
        shutil.rmtree("/etc/apus", True)

    def install(self, package):
        return run("dpkg", "-i", package, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})

    def newer(self):
        """The same once more, with a higher version: only its number differs."""
        tree = self.dir / "newer"
        run("dpkg-deb", "-R", self.package, tree)
        control = tree / "DEBIAN/control"
        control.write_text(re.sub(r"(?m)^Version: .*$", "Version: 1.1", control.read_text()))
        run("dpkg-deb", "-b", "--root-owner-group", tree, self.dir / "newer.deb")
        return self.dir / "newer.deb"

    def configure(self):
        self.backend = self.serve(Backend())
        self.port = free_port()
        users = pathlib.Path("/etc/apus/users")
        users.write_text(f"bob:{{PLAIN}}{PASSWORD}\n")
        os.chmod(users, 0o600)
        self.addCleanup(users.unlink, True)
        path = pathlib.Path("/etc/apus/apus.conf")
        path.write_text(path.read_text() + f"""
            mail {{
                auth_passwd_file users;
                proxy_pass 127.0.0.1:{self.backend.port};
                server {{ listen 127.0.0.1:{self.port}; protocol imap; }}
            }}
            """)

    def command(self, name, key):
        return shlex.split(self.unit(name)[key])

    def serve_as_the_unit_would(self, name="apus.service", **identity):
        process = subprocess.Popen(
            self.command(name, "ExecStart"), env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self.dir / "notify")},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **identity)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait, 10)
        self.addCleanup(self.end)
        wait_until(lambda: self.manager.has(READY="1") or process.poll() is not None, "READY")
        self.assertIsNone(process.poll(), "it ended")
        return process

    def end(self):
        if PID.exists():
            os.kill(int(PID.read_text()), signal.SIGTERM)

    def session(self):
        wire = self.connect(self.port)
        wire.hears(GREETING)
        wire.says(f"a LOGIN bob {PASSWORD}")
        wire.hears("a OK Logged in")
        return wire

    def test_its_life(self):
        told = self.install(self.package)
        self.assertEqual(run("getent", "passwd", "apus").stdout.split(":")[0], "apus")
        self.assertEqual(pathlib.Path("/etc/apus/apus.conf").read_text(), (ROOT / "contrib/debian/apus.conf").read_text())
        self.assertEqual(run("apusctl", "--version").stdout.split("/")[0], "apusctl version: Apus")
        run("systemd-analyze", "verify", "--man=no", "/lib/systemd/system/apus.service",
            "/lib/systemd/system/apus-rootless.service", "/usr/share/doc/apus/examples/apus.socket")
        self.assertEqual(oct(os.stat("/var/log/apus").st_mode & 0o7777), "0o2750")
        # As it comes, it can be started, and serves nothing.
        self.assertIn("is successful", run("apus", "-t").stderr)

        self.configure()
        process = self.serve_as_the_unit_would()
        session = self.session()
        master = int(PID.read_text())
        self.assertEqual(master, process.pid)
        self.assertIn("accepts", run("apusctl", "status").stdout)
        worker, = children(master)[:1]
        wait_until(lambda: int(status_field(worker, "Uid")[0]) == int(run("id", "-u", "apus").stdout), "the worker's user")
        run(*self.command("apus.service", "ExecReload"))

        # A higher version comes: sessions go on, the configuration of the administrator stays.
        told = self.install(self.newer())
        self.assertIn("apus: the new version serves; sessions go on.", told.stdout)
        new = int(PID.read_text())
        self.assertNotEqual(new, master)
        session.says("b NOOP")
        session.hears("b OK done")
        self.session().closes()
        self.assertIn("auth_passwd_file", pathlib.Path("/etc/apus/apus.conf").read_text())
        session.closes()
        # The old master ends, and tells the service manager who is the service now.
        self.assertEqual(process.wait(30), 0)
        wait_until(lambda: self.manager.main == new, lambda: f"MAINPID among {self.manager.heard}")

        run("dpkg", "-r", "apus")
        wait_until(lambda: not alive(new), "the end of the service")
        self.assertFalse(PID.exists())
        self.assertTrue(pathlib.Path("/var/log/apus/error.log").exists(), "removal leaves the logs")
        run("dpkg", "--purge", "apus")
        self.assertFalse(pathlib.Path("/var/log/apus").exists())

    def test_an_upgrade_that_cannot_be(self):
        """The old program goes on, and the package manager is not told of an error it could do nothing about."""
        self.install(self.package)
        self.configure()
        process = self.serve_as_the_unit_would()
        session = self.session()
        conf = pathlib.Path("/etc/apus/apus.conf")
        conf.write_text("bogus;\n" + conf.read_text())
        told = self.install(self.newer())
        self.assertIn("apus: the new version does not take over, the old one goes on:", told.stderr)
        self.assertIn('unknown directive "bogus"', told.stderr)
        self.assertEqual(int(PID.read_text()), process.pid)
        session.says("b NOOP")
        session.hears("b OK done")
        self.session()

    def test_the_logs_are_rotated(self):
        self.install(self.package)
        self.configure()
        self.serve_as_the_unit_would()
        log = pathlib.Path("/var/log/apus/error.log")
        wait_until(lambda: log.exists() and log.stat().st_size, "a log")
        run("logrotate", "-f", "-s", self.dir / "state", "/etc/logrotate.d/apus")
        wait_until(log.exists, "a new log")
        self.session()
        wait_until(lambda: "client logged in" in log.read_text(), lambda: log.read_text())
        self.assertNotIn("client logged in", pathlib.Path("/var/log/apus/error.log.1").read_text())

    def test_without_root(self):
        self.install(self.package)
        self.configure()
        user = run("id", "-u", "apus").stdout.strip()
        os.makedirs("/run/apus", exist_ok=True)
        for path in ("/run/apus", "/var/log/apus", "/etc/apus/users"):  # RuntimeDirectory=, LogsDirectory=
            shutil.chown(path, "apus", "apus")
        conf = pathlib.Path("/etc/apus/apus.conf")
        conf.write_text(re.sub(r"(?m)^user .*$", "", conf.read_text()))
        process = self.serve_as_the_unit_would("apus-rootless.service", user=int(user), group="apus", extra_groups=[])
        self.session()
        self.assertEqual(status_field(process.pid, "Uid")[0], user)

    def test_the_units_allow_the_system_calls_there_are(self):
        """Traced over start, login, reload, reopening, upgrade and end."""
        if not shutil.which("strace"):
            self.skipTest("needs strace")
        if run("strace", "-o", "/dev/null", "true", check=False).returncode != 0:
            self.skipTest("strace may not trace here")
        self.install(self.package)
        self.configure()
        trace = self.dir / "trace"
        process = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", str(trace), *self.command("apus.service", "ExecStart")],
            env={"PATH": os.environ["PATH"], "NOTIFY_SOCKET": str(self.dir / "notify")}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 20)
        self.addCleanup(self.end)
        wait_until(lambda: self.manager.has(READY="1"), "READY", timeout=60)
        self.session().closes()
        old = int(PID.read_text())
        for words in (["reload", "--wait"], ["reopen"], ["upgrade"]):
            run("apusctl", *words)
        self.session().closes()
        wait_until(lambda: not alive(old), "the old master's end", timeout=30)
        os.kill(int(PID.read_text()), signal.SIGTERM)
        process.wait(60)
        used = set(re.findall(r"(?m)^\d+ +(\w+)\(", trace.read_text(errors="replace")))
        self.assertIn("epoll_wait", used)
        for unit in ("apus.service", "apus-rootless.service"):
            # What only root's processes do; without root nobody becomes anybody else.
            become = {"setuid", "setgid", "setgroups"} if unit == "apus-rootless.service" else set()
            self.assertEqual(used - become - self.allowed(unit), set(), unit)

    def allowed(self, unit):
        groups = {}
        group = None
        for line in run("systemd-analyze", "syscall-filter", "--no-pager").stdout.splitlines():
            word = re.sub(r"\x1b\[[0-9;]*m", "", line).strip()
            if word.startswith("@") and not line.startswith(" "):
                group = groups.setdefault(word, [])
            elif word and not word.startswith("#") and group is not None:
                group.append(word)

        def expand(name):
            return {call for part in groups[name] for call in (expand(part) if part.startswith("@") else [part])} \
                if name.startswith("@") else {name}

        allowed = set()
        for line in (self.tree / "lib/systemd/system" / unit).read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "SystemCallFilter":
                calls = {call for name in value.lstrip("~").split() for call in expand(name)}
                allowed = allowed - calls if value.startswith("~") else allowed | calls
        return allowed


if __name__ == "__main__":
    unittest.main()
