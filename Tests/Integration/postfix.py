"""A real Postfix for a test: its own configuration, queue, data and ports; logins and mailboxes are Dovecot's."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile
import unittest

from harness import DEADLINE, alive, children, free_port, listening_ports, wait_until

MAIN = """
compatibility_level = 3.6
queue_directory = {dir}/queue
data_directory = {dir}/data
maillog_file = {dir}/postfix.log
maillog_file_prefixes = {dir}
inet_interfaces = 127.0.0.1
inet_protocols = all
myhostname = mx.example.com
mydestination =
alias_maps =
local_recipient_maps =
default_transport = discard
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{{{mailboxes}}}
virtual_transport = lmtp:inet:127.0.0.1:{lmtp}
mynetworks = 127.0.0.1/32
message_size_limit = 33554432
virtual_mailbox_limit = 0
smtpd_authorized_xclient_hosts = {xclient}
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination
smtpd_peername_lookup = no
"""

MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""

needs_postfix = unittest.skipUnless(
    os.geteuid() == 0 and os.access("/usr/sbin/postfix", os.X_OK) and os.access("/usr/lib/dovecot/lmtp", os.X_OK),
    "needs Postfix and Dovecot's LMTP server (apt-get install postfix dovecot-lmtpd)" if os.geteuid() == 0
    else "Postfix runs only when started by root")


class Postfix:
    """`start()`, `port`, `stop()`. It receives for the `mailboxes` of example.com, relays for whoever has logged in, and
    believes XCLIENT from the loopback address."""

    def __init__(self, dovecot, mailboxes=("bob",), xclient="127.0.0.1"):
        self.dovecot = dovecot
        self.mailboxes = mailboxes
        self.xclient = xclient
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="apus-postfix-"))
        self.port = free_port()
        self.process = None

    def start(self):
        self.dir.chmod(0o755)
        for name in ("etc", "queue", "data"):
            (self.dir / name).mkdir()
        account = pwd.getpwnam("postfix")
        os.chown(self.dir / "data", account.pw_uid, account.pw_gid)
        names = {"dir": self.dir, "port": self.port, "lmtp": self.dovecot.lmtp_port, "sasl": self.dovecot.sasl_port,
                 "xclient": self.xclient, "mailboxes": ", ".join(f"{name}@example.com={name}" for name in self.mailboxes)}
        (self.dir / "etc/main.cf").write_text(MAIN.format(**names))
        (self.dir / "etc/master.cf").write_text(MASTER.format(**names))
        # The queue's directories; they are made by `postfix check`, not by the master. The master is started without
        # postfix-script, which would stay as a shell between it and us.
        subprocess.run(["/usr/sbin/postfix", "-c", str(self.dir / "etc"), "check"], stdin=subprocess.DEVNULL,
                       capture_output=True, timeout=3 * DEADLINE)
        self.process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-c", str(self.dir / "etc"), "-d"], stdin=subprocess.DEVNULL,
            stdout=open(self.dir / "stdout.txt", "wb"), stderr=subprocess.STDOUT, start_new_session=True)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"postfix ended: {self.told()}")
            return self.port in listening_ports()

        wait_until(ready, lambda: f"postfix to listen: {self.told()}", timeout=3 * DEADLINE)
        return self

    def log(self):
        path = self.dir / "postfix.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def told(self):
        path = self.dir / "stdout.txt"
        return (path.read_text(errors="replace") if path.exists() else "") + self.log()[-4000:]

    def stop(self):
        """Ends the master, and with it the daemons that are its children."""
        if self.process and self.process.poll() is None:
            family = children(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            wait_until(lambda: not any(alive(pid) for pid in family), "postfix's daemons to end")
        shutil.rmtree(self.dir, ignore_errors=True)
