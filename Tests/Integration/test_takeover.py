"""Apus takes the place of a running nginx: its binary is replaced, USR2 starts Apus with nginx's sockets, QUIT ends nginx.

nginx is Debian's, as a daemon (in the foreground 1.22 refuses USR2), a copy in the directory of the test.
"""

import http.client
import imaplib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import unittest

from certs import client_context, self_signed
from dovecot import Dovecot
from harness import (BINARY, DEADLINE, NGINX_MAIL_MODULE, ProxyTest, alive, apus_only, as_root, children, free_port,
                     listening_ports, parent, title, wait_until)
from imap import GREETING
from scripted import AuthService, Backend, accept

NGINX = "/usr/sbin/nginx"
WORKERS = 2

MAIN = f"""\
load_module {NGINX_MAIL_MODULE};
user root;
pid @dir@/nginx.pid;
error_log @dir@/error.log info;
worker_processes {WORKERS};
events {{ worker_connections 512; }}
"""

MAIL = """\
mail {
    auth_http 127.0.0.1:@auth@/auth;
    server { listen 127.0.0.1:@imap@; protocol imap; }
    server { listen 127.0.0.1:@pop3@; protocol pop3; }
    server { listen unix:@dir@/imap.sock; protocol imap; }
}
"""

WEB = """\
http {
    access_log off;
    client_body_temp_path @dir@/body; proxy_temp_path @dir@/proxy; fastcgi_temp_path @dir@/fastcgi;
    uwsgi_temp_path @dir@/uwsgi; scgi_temp_path @dir@/scgi;
    server { listen 127.0.0.1:@web@; listen unix:@dir@/web.sock; return 200 "it's {the} web"; }
}
"""


@apus_only
@as_root
@unittest.skipUnless(os.access(NGINX, os.X_OK) and os.path.exists(NGINX_MAIL_MODULE),
                     "needs nginx (apt-get install nginx-core libnginx-mod-mail)")
class TakeoverTest(ProxyTest):

    def setUp(self):
        super().setUp()
        self.backend = self.serve(Backend())
        self.auth = self.serve(AuthService(accept(self.backend.port)))
        self.masters = []
        self.ports = {"auth": self.auth.port}
        self.binary = self.dir / "nginx"
        self.pid_file = self.dir / "nginx.pid"
        self.old_file = self.dir / "nginx.pid.oldbin"

    def end_masters(self):
        for master in self.masters:
            family = [master, *children(master)]
            if alive(master):
                os.kill(master, signal.SIGTERM)
            end = time.monotonic() + DEADLINE
            while any(alive(pid) for pid in family) and time.monotonic() < end:
                time.sleep(0.01)
            for pid in family:
                if alive(pid) and re.match("nginx: |apus: ", title(pid)):
                    os.kill(pid, signal.SIGKILL)

    def expand(self, text):
        return re.sub(r"@([a-z0-9]+)@", lambda match: str(
            self.dir if match[1] == "dir" else self.ports.setdefault(match[1], free_port())), text)

    def configure(self, text):
        fresh = self.dir / "nginx.new"
        fresh.write_text(self.expand(text))
        fresh.replace(self.dir / "nginx.conf")

    def nginx(self, text=MAIN + MAIL):
        """Starts nginx; returns the number of its master."""
        shutil.copy2(NGINX, self.binary)
        self.configure(text)
        self.addCleanup(self.end_masters)
        self.assertEqual(self.command(), "")
        wait_until(lambda: self.number(self.pid_file), lambda: f"nginx's pid file\n{self.told()}")
        master = self.number(self.pid_file)
        self.masters.append(master)
        wait_until(lambda: len(self.workers(master)) == WORKERS, "nginx's workers")
        return master

    def command(self, *more):
        """Runs whatever is in the binary's place, with options as in Debian's unit file; returns what it says."""
        words = ["-p", f"{self.dir}/", "-c", "nginx.conf", "-e", "builtin.log", "-g", "daemon on; master_process on;"]
        done = subprocess.run([str(self.binary), *words, *more], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=DEADLINE)
        self.assertEqual(done.returncode, 0, done.stderr)
        return "\n".join(line for line in done.stderr.splitlines() if "is deprecated" not in line)

    def replace(self):
        """Puts Apus where nginx's binary was."""
        fresh = self.dir / "apus.new"
        shutil.copy2(os.path.realpath(BINARY), fresh)
        fresh.replace(self.binary)

    def upgrade(self, master):
        """USR2 with the binary replaced; returns the number of Apus's master, which serves."""
        self.replace()
        os.kill(master, signal.SIGUSR2)
        wait_until(lambda: self.number(self.pid_file) not in (None, master), lambda: f"Apus\n{self.told()}")
        new = self.number(self.pid_file)
        self.masters.append(new)
        wait_until(lambda: len(self.workers(new)) == WORKERS, lambda: f"the workers of Apus\n{self.told()}")
        return new

    def refused(self, master, pattern):
        """USR2 with the binary replaced changes nothing: Apus does not start, for this reason."""
        workers = self.workers(master)
        self.replace()
        os.kill(master, signal.SIGUSR2)
        self.wait_log(r"new binary process \d+ exited with code 1")
        self.assertTrue([line for line in self.lines() if re.search(pattern, line)], self.told())
        wait_until(lambda: self.number(self.pid_file) == master, lambda: f"nginx's pid file\n{self.told()}")
        self.assertFalse(self.old_file.exists())
        self.assertEqual(self.workers(master), workers)
        self.assertEqual(children(master), workers)

    def quit(self, master):
        os.kill(master, signal.SIGQUIT)
        wait_until(lambda: not alive(master), lambda: f"the end of {master}\n{self.told()}")

    @staticmethod
    def workers(master):
        return [pid for pid in children(master) if title(pid).strip().endswith("worker process")]

    @staticmethod
    def number(path):
        try:
            return int(path.read_text())
        except (OSError, ValueError):
            return None

    def lines(self):
        found = []
        for name in ("builtin.log", "error.log"):
            path = self.dir / name
            found += path.read_text(errors="replace").splitlines() if path.exists() else []
        return found

    def wait_log(self, pattern):
        return wait_until(lambda: [line for line in self.lines() if re.search(pattern, line)],
                          lambda: f"{pattern!r}\n{self.told()}")

    def told(self):
        return "\n".join([line for line in self.lines() if "connected to" not in line][-60:])

    def session(self):
        """A client that has logged in."""
        wire = self.connect(self.ports["imap"])
        wire.hears(GREETING)
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK Logged in")
        return wire

    def serves(self, wire):
        wire.says("n NOOP")
        wire.hears("n OK done")

    def serves_anew(self):
        wire = self.session()
        self.serves(wire)
        wire.closes()

    def web(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["web"], timeout=DEADLINE)
        try:
            connection.request("GET", "/")
            answer = connection.getresponse()
            self.assertEqual((answer.status, answer.read()), (200, b"it's {the} web"))
        finally:
            connection.close()


class Load:
    """Clients that connect one after the other, each with the check it makes; what fails is kept."""

    def __init__(self, *clients):
        self.failures, self.served, self.ending = [], [0] * len(clients), threading.Event()
        self.threads = [threading.Thread(target=self.run, args=pair) for pair in enumerate(clients)]

    def run(self, index, client):
        while not self.ending.is_set():
            try:
                client()
                self.served[index] += 1
            except (OSError, AssertionError, http.client.HTTPException) as error:
                self.failures.append((index, repr(error)))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def wait(self, count):
        """Until each has been served so often again."""
        wanted = [served + count for served in self.served]
        wait_until(lambda: self.failures or all(now >= then for now, then in zip(self.served, wanted)),
                   lambda: f"clients to be served: {self.served}, {self.failures}")

    def __exit__(self, *_):
        self.ending.set()
        for thread in self.threads:
            thread.join()


class Replacing(TakeoverTest):

    def greeted(self, name):
        def client():
            if name == "unix":
                sock = socket.socket(socket.AF_UNIX)
                sock.settimeout(DEADLINE)
                sock.connect(str(self.dir / "imap.sock"))
            else:
                sock = socket.create_connection(("127.0.0.1", self.ports[name]), timeout=DEADLINE)
            with sock:
                greeting = sock.recv(100)
                if not greeting.startswith((b"* OK", b"+OK")):
                    raise OSError(f"greeted with {greeting!r}")

        return client

    def test_no_connection_attempt_is_lost(self):
        nginx = self.nginx()
        session = self.session()
        with Load(self.greeted("imap"), self.greeted("imap"), self.greeted("pop3"), self.greeted("unix")) as load:
            load.wait(20)
            apus = self.upgrade(nginx)
            load.wait(20)
            self.assertEqual(parent(apus), nginx)
            self.assertEqual((self.number(self.pid_file), self.number(self.old_file)), (apus, nginx))
            self.assertEqual(title(apus).strip(), f"apus: master process {self.binary} -p {self.dir}/ -c nginx.conf "
                                                  "-e builtin.log -g daemon on; master_process on;")
            status = subprocess.run(["apusctl", "--json", "--socket", f"{self.dir}/nginx.control", "status"],
                                    executable=BINARY, capture_output=True, text=True, timeout=DEADLINE)
            told = json.loads(status.stdout)
            self.assertEqual((told["pid"], told["predecessor"]), (apus, nginx), status)
            os.kill(nginx, signal.SIGQUIT)
            wait_until(lambda: all("shutting down" in title(pid) for pid in children(nginx) if pid != apus),
                       lambda: f"nginx to drain\n{self.told()}")
            load.wait(20)
            self.serves(session)
            session.closes()
            wait_until(lambda: not alive(nginx), lambda: f"nginx's end\n{self.told()}")
            load.wait(20)
        self.assertEqual(load.failures, [], self.told())
        self.wait_log(r'\[notice\] .*using inherited sockets from "(\d+;)+"')
        self.wait_log(r'\[notice\] .*"load_module" is ignored')
        self.assertEqual((self.number(self.pid_file), self.old_file.exists()), (apus, False))
        self.serves_anew()
        self.assertEqual([line for line in self.lines() if re.search(r"\[(warn|error|crit|alert|emerg)\]", line)], [])

        # From now on it is like any other.
        self.configure(MAIN + MAIL.replace("server { listen 127.0.0.1:@pop3@; protocol pop3; }", ""))
        pop3 = self.ports["pop3"]
        self.assertEqual(self.command("-w", "-s", "reload"), "")
        wait_until(lambda: pop3 not in listening_ports(), "the old worker to close what is not wanted any more")
        self.serves_anew()
        os.kill(apus, signal.SIGQUIT)
        wait_until(lambda: not alive(apus), lambda: f"its end\n{self.told()}")
        for path in (self.pid_file, self.dir / "imap.sock", self.dir / "nginx.control"):
            self.assertFalse(path.exists(), path)

    def test_the_way_back(self):
        nginx = self.nginx()
        apus = self.upgrade(nginx)
        session = self.session()
        os.kill(nginx, signal.SIGWINCH)
        wait_until(lambda: self.workers(nginx) == [], "nginx to have no workers")
        self.session().closes()
        session.closes()
        os.kill(apus, signal.SIGQUIT)
        wait_until(lambda: not alive(apus), lambda: f"the end of Apus\n{self.told()}")
        wait_until(lambda: self.number(self.pid_file) == nginx, lambda: f"nginx's pid file\n{self.told()}")
        self.assertFalse(self.old_file.exists())
        # nginx starts workers again by itself.
        wait_until(lambda: len(self.workers(nginx)) == WORKERS, lambda: f"nginx's workers\n{self.told()}")
        self.serves_anew()
        self.greeted("unix")()
        self.assertFalse((self.dir / "nginx.control").exists())

    def test_a_configuration_it_cannot_take(self):
        nginx = self.nginx()
        self.configure(MAIN.replace("load_module", "load_module /usr/lib/nginx/modules/other.so; load_module") + MAIL)
        with Load(self.greeted("imap"), self.greeted("unix")) as load:
            self.refused(nginx, r'\[emerg\] .*dlopen\(\) ".*/other.so" failed \(Apus loads no modules\) in .*/nginx.conf:1$')
            load.wait(10)
        self.assertEqual(load.failures, [])
        # And when that is mended:
        self.configure(MAIN + MAIL)
        apus = self.upgrade(nginx)
        self.quit(nginx)
        self.serves_anew()
        self.assertEqual(self.number(self.pid_file), apus)


class BesideTheWeb(TakeoverTest):
    """nginx serves more than mail."""

    def test_http_is_an_error(self):
        nginx = self.nginx(MAIN + WEB + MAIL)
        session = self.session()
        with Load(self.web, self.web, lambda: self.session().closes()) as load:
            load.wait(5)
            self.refused(nginx, r'\[emerg\] .*Apus serves mail only and has no block "http": remove it')
            load.wait(5)
        self.assertEqual(load.failures, [])
        self.serves(session)

    def test_sockets_of_others_are_left_alone(self):
        nginx = self.nginx(MAIN + WEB + MAIL)
        self.configure("foreign_blocks ignore;\n" + MAIN + WEB + MAIL)
        with Load(self.web, lambda: self.session().closes()) as load:
            load.wait(5)
            self.refused(nginx, rf"\[emerg\] .*nginx serves (127\.0\.0\.1:{self.ports['web']}|unix:{self.dir}/web.sock), which the "
                                r'configuration does not name: taking over would end that service \("takeover_foreign_sockets '
                                r'close" allows it\)$')
            load.wait(5)
        self.assertEqual(load.failures, [])
        self.assertTrue((self.dir / "web.sock").exists())

    def test_on_demand_they_are_closed(self):
        nginx = self.nginx(MAIN + WEB + MAIL)
        self.configure("foreign_blocks ignore; takeover_foreign_sockets close;\n" + MAIN + WEB + MAIL)
        session = self.session()
        with Load(lambda: self.session().closes()) as load:
            load.wait(5)
            apus = self.upgrade(nginx)
            for name in (rf"127\.0\.0\.1:{self.ports['web']}", f"unix:{self.dir}/web.sock"):
                self.wait_log(rf"\[notice\] .*nginx serves {name}, which the configuration does not name: closed here$")
            # nginx serves the web as long as it lives, and may come back.
            self.web()
            self.assertTrue((self.dir / "web.sock").exists())
            load.wait(5)
            self.serves(session)
            session.closes()
            self.quit(nginx)
            load.wait(5)
        self.assertEqual(load.failures, [])
        self.assertNotIn(self.ports["web"], listening_ports())
        wait_until(lambda: not (self.dir / "web.sock").exists(), lambda: f"the socket's file to go\n{self.told()}")
        self.wait_log(rf"\[warn\] .*deleting socket {self.dir}/web.sock$")
        self.assertTrue((self.dir / "imap.sock").exists())
        self.assertEqual(self.number(self.pid_file), apus)


@unittest.skipUnless(os.access("/usr/sbin/dovecot", os.X_OK), "needs Dovecot (apt-get install dovecot-imapd)")
class FromNginx(TakeoverTest):
    """The way over by a configuration of one's own, which `--from-nginx` makes."""

    def test_it_serves_what_nginx_served(self):
        dovecot = Dovecot()
        self.addCleanup(dovecot.stop)
        dovecot.start()
        self.auth.answers = [accept(dovecot.port)]
        self_signed(self.dir / "cert.pem", self.dir / "key.pem", "localhost")
        # As older versions of nginx had it.
        nginx = self.nginx(MAIN + WEB + MAIL.replace("mail {", """mail {
            ssl_certificate cert.pem; ssl_certificate_key key.pem;
            server { listen 127.0.0.1:@imaps@; protocol imap; ssl on; }"""))

        def log_in():
            for client in (imaplib.IMAP4("127.0.0.1", self.ports["imap"], timeout=DEADLINE),
                           imaplib.IMAP4_SSL("127.0.0.1", self.ports["imaps"], ssl_context=client_context(),
                                             timeout=DEADLINE)):
                self.assertEqual(client.login("bob", dovecot.password)[0], "OK")
                self.assertEqual(client.select("INBOX"), ("OK", [b"3"]))
                client.logout()

        log_in()
        done = subprocess.run([BINARY, "--from-nginx", f"{self.dir}/nginx.conf"], capture_output=True, text=True,
                              timeout=DEADLINE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn(f'nginx has to go on serving what is left out: "http" ({self.dir}/nginx.conf:7).',
                      done.stdout.replace("\n# ", " "))
        text = done.stdout
        for own, here in (("/run/apus/apus.pid", "apus.pid"), ("/var/log/apus/error.log", "apus.log")):
            self.assertIn(own, text)
            text = text.replace(own, f"{self.dir}/{here}")
        # What the head says is to be done: mail goes out of nginx's configuration, and Apus starts.
        self.configure(MAIN + WEB)
        os.kill(nginx, signal.SIGHUP)
        wait_until(lambda: listening_ports().isdisjoint(self.ports[name] for name in ("imap", "imaps", "pop3")),
                   lambda: f"nginx to let go\n{self.told()}")
        # Its directory is another one than that of nginx's.
        (self.dir / "etc").mkdir()
        proxy = self.prepare(text, raw=True, directory=self.dir / "etc", workers=WORKERS, args=("-g", "daemon off;"))
        proxy.keep_secret(dovecot.password)
        self.addCleanup(proxy.check)
        self.addCleanup(proxy.stop)
        tested = proxy.run("-t")
        self.assertEqual(tested.returncode, 0, tested.stderr)
        proxy.start()
        log_in()
        self.web()
        self.assertEqual(self.number(self.pid_file), nginx)


if __name__ == "__main__":
    unittest.main()
