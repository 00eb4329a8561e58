"""A real Dovecot for a test: unprivileged, in a directory of its own, on a loopback port, with three messages."""

import os
import pathlib
import pwd
import shutil
import signal
import subprocess
import tempfile

from harness import DEADLINE, ORDINARY_USER, alive, children, free_port, listening_ports, wait_until

CONFIGURATION = """
base_dir = {dir}/run
state_dir = {dir}/run
log_path = {dir}/dovecot.log
info_log_path = {dir}/dovecot.log
protocols = {protocols}
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
auth_username_format = %n
hostname = mail.example.com
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
mail_location = maildir:{dir}/mail/%u
mail_max_userip_connections = 1000
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={dir}/home/%u
}}
service anvil {{
  chroot =
  # Refused logins do not slow down those that follow.
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  client_limit = 400
  process_min_avail = 1
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service imap {{
  process_limit = 400
}}
{pop3}
{sieve}
{sasl}
{lmtp}
service stats {{
  chroot =
}}
"""

POP3 = """
service pop3-login {
  chroot =
  inet_listener pop3 {
    port = %d
  }
  inet_listener pop3s {
    port = 0
  }
}
"""

SIEVE = """
service managesieve-login {
  chroot =
  inet_listener sieve {
    port = %d
  }
}
plugin {
  sieve = file:~/sieve;active=~/active.sieve
}
"""

# For a Postfix that leaves logins and mailboxes to Dovecot.
SASL = """
service auth {
  inet_listener {
    address = 127.0.0.1
    port = %d
  }
}
"""

LMTP = """
service lmtp {
  chroot =
  process_min_avail = 1
  inet_listener lmtp {
    port = %d
  }
}
"""


class Dovecot:
    """`start()`, `port`, `stop()`. Any user may log in with `password`; `user`'s inbox holds three messages.

    With `behind_postfix` it also takes mail by LMTP at `lmtp_port` and judges logins at `sasl_port`."""

    def __init__(self, user="bob", password="rosebud-4711", behind_postfix=False):
        self.user = user
        self.password = password
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="apus-dovecot-"))
        self.port = free_port()
        # None: its POP3 package is not there.
        self.pop3_port = free_port() if os.access("/usr/lib/dovecot/pop3", os.X_OK) else None
        # None: Pigeonhole's ManageSieve is not there.
        self.sieve_port = free_port() if os.access("/usr/lib/dovecot/managesieve", os.X_OK) else None
        self.sasl_port = free_port() if behind_postfix else None
        self.lmtp_port = free_port() if behind_postfix else None
        self.process = None
        self.owner = ORDINARY_USER if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        self.messages = []

    def start(self):
        account = pwd.getpwnam(self.owner)
        import grp
        (self.dir / "dovecot.conf").write_text(CONFIGURATION.format(
            dir=self.dir, user=self.owner, group=grp.getgrgid(account.pw_gid).gr_name, password=self.password,
            port=self.port,
            protocols="imap" + (" pop3" if self.pop3_port else "") + (" sieve" if self.sieve_port else "")
            + (" lmtp" if self.lmtp_port else ""),
            pop3=POP3 % self.pop3_port if self.pop3_port else "",
            sieve=SIEVE % self.sieve_port if self.sieve_port else "",
            sasl=SASL % self.sasl_port if self.sasl_port else "",
            lmtp=LMTP % self.lmtp_port if self.lmtp_port else ""))
        for number in (1, 2, 3):
            self.deliver(f"Message {number}", f"This is message {number}.")
        if os.geteuid() == 0:
            for path in [self.dir, *self.dir.rglob("*")]:
                shutil.chown(path, self.owner, account.pw_gid)
        identity = {"user": self.owner, "group": account.pw_gid, "extra_groups": []} if os.geteuid() == 0 else {}
        self.process = subprocess.Popen(
            ["/usr/sbin/dovecot", "-F", "-c", str(self.dir / "dovecot.conf")], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=open(self.dir / "stderr.txt", "wb"), cwd=self.dir, **identity)

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"dovecot ended: {self.told()}")
            ports = (self.port, self.pop3_port, self.sieve_port, self.sasl_port, self.lmtp_port)
            return {port for port in ports if port} <= listening_ports()

        wait_until(ready, lambda: f"dovecot to listen: {self.told()}")
        return self

    def deliver(self, subject, body, user=None):
        """Puts a message into the inbox, as a delivery agent does. Its bytes are kept in `messages`."""
        place = self.dir / "mail" / (user or self.user)
        for part in ("cur", "new", "tmp"):
            (place / part).mkdir(parents=True, exist_ok=True)
        number = len(self.messages) + 1
        text = (f"From: <alice@example.com>\r\nTo: <{self.user}@example.com>\r\nSubject: {subject}\r\n"
                f"Message-ID: <{number}@example.com>\r\n\r\n{body}\r\n")
        self.messages.append(text.encode())
        temporary = place / "tmp" / f"{1600000000 + number}.M{number}P1.example"
        temporary.write_bytes(text.encode())
        if os.geteuid() == 0:
            shutil.chown(temporary, self.owner)
        temporary.rename(place / "new" / temporary.name)

    def told(self):
        text = ""
        for name in ("stderr.txt", "dovecot.log"):
            path = self.dir / name
            if path.exists():
                text += path.read_text(errors="replace")[-3000:]
        return text

    def stop(self):
        if self.process and self.process.poll() is None:
            family = children(self.process.pid)
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                for pid in [self.process.pid, *family]:
                    if alive(pid):
                        os.kill(pid, signal.SIGKILL)
                self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
