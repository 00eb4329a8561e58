"""A real news server for a test: INN's nnrpd, unprivileged, in a directory of its own, on a loopback port, with one article.

Debian's package does not install on a machine without a full host name; `contrib/test` unpacks it into `.build/inn`.
"""

import grp
import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from harness import ORDINARY_USER, ROOT, free_port, listening_ports, wait_until

UNPACKED = ROOT / ".build/inn"

CONFIGURATION = """
pathhost: news.example.com
domain: example.com
mta: "/bin/true %s"
hismethod: hisv6
ovmethod: tradindexed
enableoverview: true
runasuser: {user}
runasgroup: {group}
pathnews: {news}
pathetc: {dir}/etc
pathdb: {dir}/db
pathspool: {dir}/spool
pathrun: {dir}/run
pathlog: {dir}/log
pathtmp: {dir}/tmp
"""

READERS = """
auth all {{
    auth: "ckpasswd -f {dir}/etc/users"
}}
access all {{
    users: "*"
    newsgroups: "*"
    access: RPA
}}
"""

STORAGE = """
method tradspool {
    newsgroups: *
    class: 0
}
"""

ARTICLE = """Path: news.example.com!not-for-mail
From: Alice <alice@example.com>
Newsgroups: local.test
Subject: Swifts
Date: Tue, 24 Nov 2026 04:00:00 +0000
Message-ID: <1@example.com>
Xref: news.example.com local.test:1
Lines: 1

They stay in the air for ten months.
"""


class INN:
    """`start()`, `port`, `stop()`. `user` may log in with `password` and read article 1 of local.test."""

    def __init__(self, user="bob", password="rosebud-4711"):
        self.user, self.password = user, password
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="apus-inn-"))
        self.port = free_port()
        self.process = None
        self.owner = ORDINARY_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

    def start(self):
        account = pwd.getpwnam(self.owner)
        # A copy, since others may not be able to read where it was unpacked.
        shutil.copytree(UNPACKED / "usr/lib/news", self.dir / "news", symlinks=True)
        for name in ("etc", "db", "spool/articles/local/test", "spool/overview", "run", "log", "tmp"):
            (self.dir / name).mkdir(parents=True)
        self.write("inn.conf", CONFIGURATION.format(
            dir=self.dir, news=self.dir / "news", user=self.owner, group=grp.getgrgid(account.pw_gid).gr_name))
        self.write("etc/readers.conf", READERS.format(dir=self.dir))
        self.write("etc/storage.conf", STORAGE)
        hashed = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin"], input=self.password, capture_output=True, text=True, check=True)
        self.write("etc/users", f"{self.user}:{hashed.stdout}")
        self.write("db/active", "local.test 0000000001 0000000001 y\n")
        self.write("db/newsgroups", "local.test\tA test\n")
        self.write("spool/articles/local/test/1", ARTICLE.replace("\n", "\r\n"))
        if os.geteuid() == 0:
            for path in [self.dir, *self.dir.rglob("*")]:
                if not path.is_symlink():
                    shutil.chown(path, self.owner, account.pw_gid)
        identity = {"user": self.owner, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        environment = {**os.environ, "INNCONF": str(self.dir / "inn.conf"), "LD_LIBRARY_PATH": str(self.dir / "news")}
        options = {"cwd": self.dir, "env": environment, "stdin": subprocess.DEVNULL, **identity}
        # Makes history and overview of the articles that lie there.
        made = subprocess.run(
            [self.dir / "news/bin/makehistory", "-O", "-s", "1000"], capture_output=True, text=True, **options)
        assert made.returncode == 0, made.stderr
        self.process = subprocess.Popen(
            [self.dir / "news/bin/nnrpd", "-f", "-D", "-b", "127.0.0.1", "-p", str(self.port)],
            stdout=open(self.dir / "told.txt", "wb"), stderr=subprocess.STDOUT, **options)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"nnrpd ended: {(self.dir / 'told.txt').read_text()}")
            return self.port in listening_ports()

        wait_until(ready, "nnrpd to listen")
        return self

    def write(self, name, text):
        (self.dir / name).write_text(text)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
