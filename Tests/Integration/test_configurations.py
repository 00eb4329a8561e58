"""Configurations of nginx as they are found in the wild, taken as they are."""

import re

from harness import ProxyTest, apus_only
from scripted import AuthService, Backend, accept, drain

DEBIAN = """
user www-data;
worker_processes auto;
pid @dir@/nginx.pid;
error_log @dir@/error.log;
include @dir@/modules-enabled/*.conf;

events {
	worker_connections 768;
	# multi_accept on;
}

http {
	sendfile on;
	tcp_nopush on;
	types_hash_max_size 2048;
	include /etc/nginx/mime.types;
	default_type application/octet-stream;
	log_format main '$remote_addr - $remote_user [$time_local] "$request" {"a": "}"}';
	access_log /var/log/nginx/access.log main;
	map $http_upgrade $connection_upgrade { default upgrade; '' close; }
	server { listen unix:/run/web.sock default_server; location ~ \\.php$ { return 301 "https://$host}{$request_uri"; } }
	include /etc/nginx/sites-enabled/*;
}

mail {
	# See sample authentication script at:
	# http://wiki.nginx.org/ImapAuthenticateWithApachePhpScript

	auth_http 127.0.0.1:@auth@/auth.php;
	pop3_capabilities "TOP" "USER";
	imap_capabilities "IMAP4rev1" "UIDPLUS";

	server {
		listen     127.0.0.1:@pop3@;
		protocol   pop3;
	}

	server {
		listen     127.0.0.1:@imap@;
		protocol   imap;
	}
}
"""

# In the way of Zimbra: a main file that includes one file per protocol, with and without TLS.
SUITE_MAIN = """
user www-data www-data;
worker_processes 4;
working_directory /tmp;
error_log @dir@/error.log info;
pid @dir@/nginx.pid;
env MEMCACHED;
include @dir@/nginx.conf.main;
events { worker_connections 10240; multi_accept on; use epoll; }
include @dir@/nginx.conf.mail;
"""
SUITE_MAIL = """
mail
{
    ssl_protocols               TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers   on;
    ssl_session_cache           shared:SSL:5m;
    ssl_session_timeout         10m;
    timeout                     60;
    proxy_timeout               1860;
    proxy_pass_error_message    on;
    auth_http                   127.0.0.1:@auth@/service/extension/nginx-lookup;
    auth_http_timeout           15000ms;
    auth_http_header            X-Auth-Key "secret";
    imap_capabilities  "IMAP4rev1" "ID" "LITERAL+" "SASL-IR" "IDLE" "NAMESPACE";
    pop3_capabilities  "TOP" "USER" "UIDL" "EXPIRE 31 USER" "XOIP";
    imap_client_buffer          64k;
    include @dir@/mail-*.conf;
}
"""
SUITE_IMAP = "server { server_name mail.example.com; listen 127.0.0.1:@imap@; protocol imap; imap_auth plain login; }\n"
SUITE_POP3 = "server { server_name mail.example.com; listen 127.0.0.1:@pop3@; protocol pop3; pop3_auth plain; }\n"

# In the way of Mailu and its relatives: everything in a container, TLS here, plain behind.
STACK = """
user nginx;
worker_processes auto;
error_log /dev/stderr notice;
pid @dir@/nginx.pid;
load_module "modules/ngx_mail_module.so";
daemon off;

events { worker_connections 1024; }

mail {
    server_name mail.example.com;
    auth_http http://127.0.0.1:@auth@/internal/auth/email;
    proxy_pass_error_message on;
    resolver 127.0.0.1 valid=30s;
    resolver_timeout 200ms;
    error_log /dev/stderr info;
    ssl_session_cache shared:SSLMAIL:3m;
    proxy_timeout 1h;

    server {
        listen 127.0.0.1:@smtp@;
        protocol smtp;
        smtp_auth none;
        auth_http_header Auth-Port 25;
        auth_http_header Client-Port $remote_port;
    }
    server {
        listen 127.0.0.1:@submission@;
        protocol smtp;
        smtp_auth plain login;
        smtp_capabilities PIPELINING "SIZE 50000000" ENHANCEDSTATUSCODES 8BITMIME DSN;
        xclient off;
        auth_http_header Auth-Port 587;
    }
    server {
        listen 127.0.0.1:@imap@;
        protocol imap;
        imap_auth plain;
        imap_capabilities IMAP4 IMAP4rev1 UIDPLUS SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+;
    }
    server {
        listen 127.0.0.1:@pop3@;
        protocol pop3;
        pop3_auth plain;
        pop3_capabilities TOP UIDL RESP-CODES PIPELINING USER;
    }
}
"""


@apus_only
class Taken(ProxyTest):

    def takes(self, text, workers=1, **files):
        service = self.serve(AuthService(accept(self.serve(Backend(self.serves_imap)).port)))
        proxy = self.prepare("", raw=True, workers=workers)
        proxy.ports["auth"] = service.port
        for name, content in files.items():
            self.file(name.replace("__", "-").replace("_", "."), proxy.expand(content))
        # What belongs to another machine: the user, and where the log goes.
        text = re.sub(r"(?m)^user .*$", "", text)
        proxy.rewrite("daemon off;\n" + proxy.expand(text) if "daemon off" not in text else proxy.expand(text))
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.addCleanup(proxy.stop)
        proxy.start()
        return proxy

    @staticmethod
    def serves_imap(wire):
        wire.says("* OK ready")
        tag, _, _ = wire.hears_login()
        wire.says(f"{tag} OK Logged in")
        drain(wire)

    def logs_in(self, proxy):
        proxy.keep_secret("wonderland")
        wire = self.connect(proxy.ports["imap"])
        wire.hears_match(r"\* OK .*")
        wire.says("a LOGIN bob wonderland")
        wire.hears("a OK Logged in")

    def test_debians_own_with_a_web_server(self):
        (self.dir / "modules-enabled").mkdir()
        proxy = self.takes("foreign_blocks ignore;\n" + DEBIAN.replace("auto;", "1;"))
        self.logs_in(proxy)

    def test_a_groupware_suite_of_many_files(self):
        proxy = self.takes(SUITE_MAIN, workers=4, nginx_conf_main="# nothing here\n", nginx_conf_mail=SUITE_MAIL,
                           mail__imap_conf=SUITE_IMAP, mail__pop3_conf=SUITE_POP3)
        self.logs_in(proxy)
        wire = self.connect(proxy.ports["imap"])
        wire.hears_match(r"\* OK .*")
        wire.says("c CAPABILITY")
        wire.hears("* CAPABILITY IMAP4rev1 ID LITERAL+ SASL-IR IDLE NAMESPACE AUTH=PLAIN AUTH=LOGIN", "c OK completed")

    def test_a_stack_in_a_container(self):
        proxy = self.takes(STACK.replace("auto;", "1;").replace("/dev/stderr", "@dir@/error.log"))
        self.logs_in(proxy)
        wire = self.connect(proxy.ports["submission"])
        wire.hears_match(r"220 mail\.example\.com ESMTP ready")
        wire.says("EHLO client.example.com")
        wire.hears("250-mail.example.com", "250-PIPELINING", "250-SIZE 50000000", "250-ENHANCEDSTATUSCODES", "250-8BITMIME",
                   "250-DSN", "250 AUTH PLAIN LOGIN")
