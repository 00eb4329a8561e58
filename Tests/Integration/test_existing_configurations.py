"""Configurations as they are found in the field, taken as they stand: only paths, ports and certificates are this test's.

What they all have besides mail, Apus is told to pass over on its command line; or `--from-nginx` makes them over first.
"""

import os
import pathlib
import subprocess
import unittest

from certs import client_context, self_signed
from dns import A, PTR, DNSServer, a, ptr, reverse
from harness import BINARY, DEADLINE, NGINX_MAIL_MODULE, REFERENCE, ProxyTest, apus_only, b64, plain
from pop3 import POP3Backend
from scripted import AuthService, Backend, accept, refuse
from smtp import SMTPBackend

COMMAND_LINE = "daemon off;" if REFERENCE else "daemon off; foreign_blocks ignore;"

# Debian's /etc/nginx/nginx.conf, comments and all, with the mail block that its last lines suggest.
DEBIAN = """\
user www-data;
worker_processes auto;
pid @dir@/nginx.pid;
error_log @dir@/error.log info;
include modules-enabled/*.conf;

events {
	worker_connections 768;
	# multi_accept on;
}

http {

	##
	# Basic Settings
	##

	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	# server_tokens off;

	# server_names_hash_bucket_size 64;
	# server_name_in_redirect off;

	default_type application/octet-stream;

	ssl_protocols TLSv1.2 TLSv1.3; # Dropping SSLv3, ref: POODLE
	ssl_prefer_server_ciphers on;

	access_log @dir@/access.log;

	gzip on;
	# gzip_types text/plain text/css application/json;

	map $http_upgrade $connection_upgrade {
		default upgrade;
		''      close;
	}

	server {
		listen unix:@dir@/web.sock;
		location ~ "^/(?<name>[a-z]{2,}\\}?)/" { return 200 "it's {braces}; and \\"quotes\\"\\n"; }
	}

	include conf.d/*.conf;
	include sites-enabled/*;
}


mail {
	# See sample authentication script at:
	# http://wiki.nginx.org/ImapAuthenticateWithApachePhpScript

	auth_http localhost:@auth@/auth.php;
	pop3_capabilities "TOP" "USER";
	imap_capabilities "IMAP4rev1" "UIDPLUS";

	server {
		listen     localhost:@pop3@;
		protocol   pop3;
		proxy      on;
	}

	server {
		listen     localhost:@imap@;
		protocol   imap;
		proxy      on;
	}
}
"""

# As Mailu's front end writes it, for STARTTLS and TLS on all ports.
MAILU = """\
# Basic configuration
user www-data;
worker_processes 2;
pid @dir@/nginx.pid;
error_log @dir@/error.log notice;
load_module "MODULE";

events {
    worker_connections 1024;
}

http {
    access_log off;
    server {
        listen unix:@dir@/web.sock;
        location /auth { return 403; }
    }
}

mail {
    server_name mail.example.com;
    auth_http http://127.0.0.1:@auth@/auth/email;
    proxy_pass_error_message on;
    resolver 127.0.0.1:@dns@ ipv6=off valid=30s;
    error_log @dir@/mail.log info;

    include @dir@/tls.conf;
    ssl_session_cache shared:SSLMAIL:3m;

    # Advertise real capabilities of backends (postfix/dovecot)
    smtp_capabilities PIPELINING "SIZE 52428800" ETRN ENHANCEDSTATUSCODES 8BITMIME DSN;
    pop3_capabilities TOP UIDL RESP-CODES PIPELINING AUTH-RESP-CODE USER;
    imap_capabilities IMAP4 IMAP4rev1 UIDPLUS SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+;

    # Default SMTP server for the webmail (no encryption, but authentication)
    server {
      listen 127.0.0.1:@webmail@;
      protocol smtp;
      smtp_auth plain;
      auth_http_header Auth-Port 10025;
      auth_http_header Client-Port $remote_port;
    }

    # SMTP is always enabled, to avoid losing emails when TLS is failing
    server {
      listen 127.0.0.1:@smtp@;
      starttls on;
      protocol smtp;
      smtp_auth none;
      auth_http_header Auth-Port 25;
    }

    # All other protocols are disabled if TLS is failing
    server {
      listen 127.0.0.1:@imap@;
      starttls only;
      protocol imap;
      imap_auth plain;
      auth_http_header Auth-Port 143;
    }

    server {
      listen 127.0.0.1:@pop3@;
      starttls only;
      protocol pop3;
      pop3_auth plain;
      auth_http_header Auth-Port 110;
    }

    server {
      listen 127.0.0.1:@submissions@ ssl;
      protocol smtp;
      smtp_auth plain;
      auth_http_header Auth-Port 465;
    }

    server {
      listen 127.0.0.1:@imaps@ ssl;
      protocol imap;
      imap_auth plain;
      auth_http_header Auth-Port 993;
    }
}
"""

# A main file that is nothing but includes, a file for each protocol, settings at all levels: the shape of Zimbra's, in
# the words that nginx itself has.
ZIMBRA = {
    "nginx.conf": """\
include @dir@/includes/nginx.conf.main;
include @dir@/includes/nginx.conf.mail;
include @dir@/includes/nginx.conf.web;
""",
    "includes/nginx.conf.main": """\
user  www-data;
worker_processes  2;
worker_rlimit_nofile 10240;
error_log  @dir@/error.log info;
pid @dir@/nginx.pid;
events {
    worker_connections  10240;
    multi_accept on;
}
""",
    "includes/nginx.conf.mail": """\
mail
{
    timeout              3600000ms;
    auth_http            127.0.0.1:@auth@/service/extension/nginx-lookup;
    proxy                on;
    proxy_pass_error_message on;
    proxy_timeout        86400;
    auth_http_timeout    15000ms;

    pop3_capabilities    "TOP" "USER" "UIDL" "EXPIRE 31 USER" "XOIP";
    imap_capabilities    "IMAP4rev1" "BINARY" "CATENATE" "CHILDREN" "ESEARCH" "LITERAL+" "UIDPLUS";

    ssl_protocols           TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers  on;
    ssl_session_cache       shared:SSL:10m;
    ssl_session_timeout     10m;
    ssl_ciphers             ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES128-GCM-SHA256:HIGH:!aNULL:!MD5:!kEDH;
    ssl_ecdh_curve          auto;

    include              @dir@/tls.conf;
    include              @dir@/includes/nginx.conf.mail.*;
}
""",
    "includes/nginx.conf.mail.imap": """\
server
{
    listen                  127.0.0.1:@imap@;
    protocol                imap;
    imap_auth               plain;
    starttls                on;
}
""",
    "includes/nginx.conf.mail.imaps": """\
server
{
    listen                  127.0.0.1:@imaps@ ssl;
    protocol                imap;
    imap_auth               plain;
}
""",
    "includes/nginx.conf.mail.pop3": """\
server
{
    listen                  127.0.0.1:@pop3@;
    protocol                pop3;
    pop3_auth               plain;
    starttls                only;
}
""",
    "includes/nginx.conf.web": """\
http {
    upstream zimbra { server localhost:8080 fail_timeout=60s; }
    include @dir@/includes/nginx.conf.web.*;
}
""",
}


class Existing(ProxyTest):

    def setUp(self):
        super().setUp()
        behind = {"imap": Backend(), "pop3": POP3Backend(), "smtp": SMTPBackend()}
        self.behind = {name: self.serve(server) for name, server in behind.items()}
        self.auth = self.serve(AuthService(self.decides))
        certificate, key = self_signed(self.dir / "cert.pem", self.dir / "key.pem", "mail.example.com")
        self.file("tls.conf", f"ssl_certificate {certificate};\nssl_certificate_key {key};\n")

    def decides(self, request):
        if request.header("Auth-User") == "mallory":
            return refuse("Authentication credentials invalid")
        return accept(self.behind[request.header("Auth-Protocol")].port)

    def takes(self, files, workers):
        if isinstance(files, str):
            files = {"nginx.conf": files}
        names = self.serve(DNSServer({(reverse("127.0.0.1"), PTR): [ptr("client.example")],
                                      ("client.example", A): [a("127.0.0.1")]}))
        ports = {"auth": self.auth.port, "dns": names.port}
        proxy = self.prepare(files["nginx.conf"].replace("MODULE", NGINX_MAIL_MODULE), raw=True, workers=workers, ports=ports,
                             configuration="nginx.conf", args=("-g", COMMAND_LINE))
        for name, text in files.items():
            if name != "nginx.conf":
                (self.dir / name).parent.mkdir(exist_ok=True)
                self.file(name, proxy.expand(text))
        if REFERENCE and "load_module" not in proxy.text and not (self.dir / "modules-enabled").exists():
            proxy.args[1] = f"load_module {NGINX_MAIL_MODULE}; " + proxy.args[1]
        self.adapt(proxy)
        self.addCleanup(proxy.check)
        self.addCleanup(proxy.stop)
        proxy.keep_secret("wonderland")
        tested = proxy.run("-t")
        self.assertEqual(tested.returncode, 0, tested.stderr)
        self.proxy = proxy.start()
        self.assertEqual([line for line in tested.stderr.splitlines() if "[warn]" in line], [])

    def adapt(self, proxy):
        """For who changes something first."""

    def imap(self, port="imap", tls=None, starttls=False):
        wire = self.connect(self.proxy.ports[port], tls=tls)
        wire.hears("* OK IMAP4 ready")
        if starttls:
            wire.says("s STARTTLS")
            wire.hears("s OK completed")
            wire.starts_tls(client_context())
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK Logged in")
        return wire

    def test_debian(self):
        os.mkdir(self.dir / "modules-enabled")
        self.file("modules-enabled/50-mod-mail.conf", f"load_module {NGINX_MAIL_MODULE};\n")
        for folder in ("conf.d", "sites-enabled"):
            os.mkdir(self.dir / folder)
        self.file("sites-enabled/default", "server { listen 80 default_server; root /var/www/html; }\n")
        if REFERENCE:
            os.remove(self.dir / "sites-enabled/default")
        self.takes(DEBIAN, os.cpu_count())
        self.imap()
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears("+OK POP3 ready")
        wire.says("CAPA")
        wire.hears("+OK Capability list follows", "TOP", "USER", "SASL PLAIN LOGIN", ".")
        wire.says("USER bob", "PASS wonderland")
        wire.hears("+OK")
        wire.hears_match(r"\+OK .*")
        self.assertEqual(self.auth.requests[0].line, "GET /auth.php HTTP/1.0")
        self.assertEqual(self.auth.requests[0].header("Host"), "localhost")

    def test_mailu(self):
        self.takes(MAILU, 2)
        self.imap(starttls=True)
        self.imap("imaps", tls=client_context())
        self.assertEqual([request.header("Auth-Port") for request in self.auth.requests], ["143", "993"])

        webmail = self.connect(self.proxy.ports["webmail"])
        webmail.hears("220 mail.example.com ESMTP ready")
        webmail.says("EHLO me")
        webmail.hears("250-mail.example.com", "250-PIPELINING", "250-SIZE 52428800", "250-ETRN",
                      "250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250 AUTH PLAIN")
        webmail.says("AUTH PLAIN " + plain("mallory", "wonderland"))
        webmail.hears("535 5.7.0 Authentication credentials invalid")
        webmail.hears_end()
        # The mail module has no variables.
        self.assertEqual(self.auth.requests[-1].header("Client-Port"), "$remote_port")

        submission = self.connect(self.proxy.ports["submissions"], tls=client_context())
        submission.hears("220 mail.example.com ESMTP ready")
        submission.says("AUTH PLAIN " + plain("bob", "wonderland"))
        submission.hears("235 2.0.0 OK")

        early = self.connect(self.proxy.ports["pop3"])
        early.hears("+OK POP3 ready")
        early.says("USER bob")
        early.hears("-ERR invalid command")
        self.proxy.wait_log("client logged in, client", 3, name="mail.log")

    def test_mailu_takes_mail_for_its_users(self):
        self.takes(MAILU, 2)
        wire = self.connect(self.proxy.ports["smtp"])
        wire.hears("220 mail.example.com ESMTP ready")
        wire.says("EHLO other.example")
        while not wire.hears_line().startswith("250 "):
            pass
        wire.says("MAIL FROM:<a@other.example>", "RCPT TO:<bob@example.com>", "DATA")
        wire.hears("250 2.0.0 OK", "250 ok", "354 go on")
        request = self.auth.requests[0]
        self.assertEqual((request.header("Auth-Method"), request.header("Auth-SMTP-To"), request.header("Client-Host")),
                         ("none", "RCPT TO:<bob@example.com>", "client.example"))

    def test_zimbra(self):
        self.takes(ZIMBRA, 2)
        self.imap()
        self.imap(starttls=True)
        self.imap("imaps", tls=client_context())
        wire = self.connect(self.proxy.ports["pop3"])
        wire.hears("+OK POP3 ready")
        wire.says("CAPA", "STLS")
        wire.hears("+OK Capability list follows", "TOP", "UIDL", "EXPIRE 31 USER", "XOIP", "STLS", ".", "+OK")
        wire.starts_tls(client_context())
        wire.says("AUTH LOGIN " + b64("bob"), b64("wonderland"))
        wire.hears("+ UGFzc3dvcmQ6")
        wire.hears_match(r"\+OK .*")


@apus_only
class MadeOver(Existing):
    """The same with what `--from-nginx` makes of them, in one file and without a word about other things than mail."""

    def adapt(self, proxy):
        done = subprocess.run([BINARY, "--from-nginx", "nginx.conf", "-p", str(self.dir)], capture_output=True, text=True,
                              timeout=DEADLINE)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertNotIn("nknown to Apus", done.stdout)
        # Nothing of the old ones is read again.
        for path in [pathlib.Path(folder) / name for folder, _, names in os.walk(self.dir) for name in names]:
            if path.suffix != ".pem":
                path.unlink()
        proxy.conf = self.dir / "apus.conf"
        proxy.args = ["-g", "daemon off;"]
        proxy.rewrite(done.stdout.replace("/run/apus/apus.pid", f"{self.dir}/apus.pid").replace(
            "/var/log/apus/error.log", f"{self.dir}/error.log"))


if __name__ == "__main__":
    unittest.main()
