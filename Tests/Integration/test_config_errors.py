"""Every error of the configuration language, with its message, file and line, and what the same words mean when right."""

import contextlib
import grp
import os
import re
import subprocess

from certs import Authority, openssl, self_signed
from harness import BINARY, DEADLINE, NAME, NGINX_MAIL_MODULE, REFERENCE, ProxyTest, apus_only, as_bytes


class ConfigTest(ProxyTest):

    def setUp(self):
        super().setUp()
        self.conf = self.dir / "apus.conf"

    def run_test(self, text, *flags, given=""):
        self.file("apus.conf", text)
        head = f"pid {self.dir}/pid; error_log {self.dir}/error.log;"
        if REFERENCE:
            head = f"load_module {NGINX_MAIL_MODULE}; " + head
        return subprocess.run(
            [BINARY, "-t", "-p", f"{self.dir}/", "-c", "apus.conf", "-e", "builtin.log", "-g", head + given, *flags],
            capture_output=True, timeout=DEADLINE * 2)

    def refuses(self, text, message, line=None, level="emerg", name=None, warnings=(), hint=None):
        """The configuration is refused with exactly this message; `line` adds the ` in FILE:LINE`.

        Apus may help with a hint; its words are looked at where the test names them.
        """
        done = self.run_test(text)
        told = done.stderr.decode("latin-1").splitlines()
        where = "" if line is None else f" in {name or self.conf}:{line}"
        self.assertEqual(done.returncode, 1, f"accepted, where {message!r} was awaited:\n{told}")
        hints = [entry for entry in told if entry.startswith("apus: [notice] ")]
        found = [entry for entry in told if "syntax is ok" not in entry and entry not in hints]
        if hint and not REFERENCE:
            self.assertEqual(len(hints), 1, told)
            self.assertRegex(hints[0], rf"^apus: \[notice\] {hint}$")
        self.assertEqual(found, [f"{NAME}: {entry}" for entry in warnings]
                         + [f"{NAME}: [{level}] {message}{where}", f"{NAME}: configuration file {self.conf} test failed"])

    def accepts(self, text, warnings=()):
        done = self.run_test(text)
        self.assertEqual(done.returncode, 0, done.stderr.decode("latin-1"))
        self.assertEqual(done.stderr.decode("latin-1").splitlines()[:-2], [f"{NAME}: {entry}" for entry in warnings])

    def each(self, rows, build=lambda text: text):
        for row in rows:
            text, rest = row[0], row[1:]
            with self.subTest(text=text[:80]):
                self.refuses(build(text), *rest)


class Language(ConfigTest):

    def test_structure(self):
        self.each((
            ("events { }\n;", 'unexpected ";"', 2),
            ("events { }\n\n{", 'unexpected "{"', 3),
            ("events { }\n}", 'unexpected "}"', 2),
            ("events { }\nworker_processes 1 }\n", 'unexpected "}"', 2),
            ("events { }\nworker_processes 1", 'unexpected end of file, expecting ";" or "}"', 2),
            ("events { }\nworker_processes \"1", 'unexpected end of file, expecting ";" or "}"', 2),
            ("events { }\nworker_processes 1\n\n", 'unexpected end of file, expecting ";" or "}"', 4),
            ("events {\n", 'unexpected end of file, expecting "}"', 2),
            ("events { }\nmail {\n", 'unexpected end of file, expecting "}"', 3),
            ("events { }\nworker_processes 1 {", 'directive "worker_processes" is not terminated by ";"', 2),
            ("events { }\nworker_processes\n1\nevents { }", 'directive "worker_processes" is not terminated by ";"', 4),
            ("events;", 'directive "events" has no opening "{"', 1),
            ("events { }\nmail\n;", 'directive "mail" has no opening "{"', 3),
            ("events { }\nlisten 25;", '"listen" directive is not allowed here', 2),
            ("events { }\nworker_connections 5;", '"worker_connections" directive is not allowed here', 2),
            ("events { daemon off; }", '"daemon" directive is not allowed here', 1),
            ("events { }\nmail {\n listen 1143;\n}", '"listen" directive is not allowed here', 3),
            ("events { }\nmail { server { server { } } }", '"server" directive is not allowed here', 2),
            ("events { }\nworker_processes;", 'invalid number of arguments in "worker_processes" directive', 2),
            ("events { }\nworker_processes 1\n2;", 'invalid number of arguments in "worker_processes" directive', 3),
            ("events 1 { }", 'invalid number of arguments in "events" directive', 1),
            ("events { }\nerror_log;", 'invalid number of arguments in "error_log" directive', 2),
            ("events { }\nmail { server { } }", f'no "listen" is defined for server in {self.conf}:2'),
            ("worker_processes 1;", 'no "events" section in configuration'),
            ("", 'no "events" section in configuration'),
            ("# nothing", 'no "events" section in configuration'),
            ("events { }\nevents { }", '"events" directive is duplicate', 2),
            ("events { }\nmail { }\nmail { }", '"mail" directive is duplicate', 3),
            ("events { }\nworker_processes 1;\nworker_processes 1;", '"worker_processes" directive is duplicate', 3),
        ))

    def test_quotes(self):
        self.each((
            ('events { }\nerror_log "abc"d;', 'unexpected "d"', 2),
            ('events { }\nerror_log "a"};', 'unexpected "}"', 2),
            ("events { }\nerror_log 'a'#;", 'unexpected "#"', 2),
            ("events { }\nerror_log 'a'\"b\";", 'unexpected """', 2),
        ))

    def test_unknown_directives(self):
        for text, word, line in (("events { }\nbogus;", "bogus", 2), ("events { }\n\n\nWorker_processes 1;", "Worker_processes", 4),
                                 ("events { }\nmail { bogus { } }", "bogus", 2)):
            with self.subTest(text):
                done = self.run_test(text)
                self.assertEqual(done.returncode, 1)
                first = done.stderr.decode().splitlines()[0]
                self.assertRegex(first, rf'^{NAME}: \[emerg\] unknown directive "{word}".* in {self.conf}:{line}$')

    @apus_only
    def test_the_nearest_known_directive_is_named(self):
        for word, known in (("worker_proceses", "worker_processes"), ("workers_processes", "worker_processes"),
                            ("error_logs", "error_log")):
            with self.subTest(word):
                done = self.run_test(f"events {{ }}\n{word} 1;")
                self.assertIn(f'"{known}"', done.stderr.decode())

    def test_a_byte_order_mark_is_part_of_the_first_word(self):
        done = self.run_test(b"\xef\xbb\xbfevents { }")
        self.assertRegex(done.stderr, rb'unknown directive "\xef\xbb\xbfevents".* in ')

    def test_what_is_fine(self):
        for text in (
            "events{}", "events {}error_log stderr;", "\r\nevents\r\n{\r\n}\r\n", "\"events\" { }", "events { } # no end",
            "events { } env A}b; env A#b; env A\"b; env ${b;",
            "events { worker_connections 16 ; }", "events\t{\t}\nworker_processes\n\n1\n;",
            "events { } env \"two words\"; env ''; env \"a;{}#b\";",
            "events { } env a\\;b; env a\\ b; env \\\"; env \"\\\"\";",
            "events { } error_log \"abc\" info;", "events { worker_connections \"64\"; }",
            "events { } error_log " + "e" * 200 + ";",
        ):
            with self.subTest(text):
                self.accepts(text)

    def test_the_length_of_words(self):
        self.accepts("events { }\nenv " + "A" * 4095 + ";")
        self.refuses("events { }\nenv " + "B" * 4096 + ";", 'too long parameter "BBBBBBBBBB..." started', 2)
        self.refuses("events { }\n\nenv \"" + "c\n" * 3000, 'too long parameter, probably missing terminating """ character', 3)
        self.refuses("events { }\nenv '" + "d" * 5000, "too long parameter, probably missing terminating \"'\" character", 2)

    @apus_only
    def test_a_long_comment_is_fine(self):
        self.accepts("events { } # " + "x" * 10000 + "\n#" + "#" * 5000 + "\n")

    def test_white_space_without_end_is_fine(self):
        self.accepts("events { }" + " " * 20000 + "\n" * 20000 + "worker_processes 1;")

    @staticmethod
    def user_without_group():
        """On Debian, nobody is in the group nogroup."""
        with contextlib.suppress(KeyError):
            grp.getgrnam("nobody")
            return []
        return [("user nobody;", 'getgrnam("nobody") failed', 2)]

    @apus_only
    def test_a_user_without_a_group_of_that_name(self):
        if not self.user_without_group():
            self.skipTest("the user nobody has a group of that name")
        self.refuses("events { } user nobody;", 'getgrnam("nobody") failed', 1,
                     hint='no group has the user\'s name: name another, as in "user nobody nogroup;"')

    def test_values(self):
        self.each((
            ("daemon yes;", 'invalid value "yes" in "daemon" directive, it must be "on" or "off"', 2),
            ("worker_processes 1x;", '"worker_processes" directive invalid value', 2),
            ("worker_processes -1;", '"worker_processes" directive invalid value', 2),
            ("worker_processes AUTO;", '"worker_processes" directive invalid value', 2),
            ("worker_rlimit_nofile many;", '"worker_rlimit_nofile" directive invalid number', 2),
            ("worker_rlimit_nofile -1;", '"worker_rlimit_nofile" directive invalid number', 2),
            ("worker_rlimit_nofile 9223372036854775808;", '"worker_rlimit_nofile" directive invalid number', 2),
            ("worker_rlimit_core 1x;", '"worker_rlimit_core" directive invalid value', 2),
            ("worker_shutdown_timeout soon;", '"worker_shutdown_timeout" directive invalid value', 2),
            ("debug_points never;", 'invalid value "never"', 2),
            ("user nosuchuser;", 'getpwnam("nosuchuser") failed', 2),
            ("user nobody nosuchgroup;", 'getgrnam("nosuchgroup") failed', 2),
            *self.user_without_group(),
            ("worker_priority x;", '"worker_priority" directive invalid number', 2),
            ("worker_cpu_affinity 012;", 'invalid character "2" in "worker_cpu_affinity"', 2),
        ), lambda text: "events { }\n" + text)
        self.each((
            ("worker_connections many;", 'invalid number "many"', 2),
            ("worker_connections 1;\nworker_connections 1;", '"worker_connections" directive is duplicate', 3),
            ("use carrier_pigeon;", 'invalid event type "carrier_pigeon"', 2),
            ("multi_accept 1;", 'invalid value "1" in "multi_accept" directive, it must be "on" or "off"', 2),
            ("accept_mutex_delay x;", '"accept_mutex_delay" directive invalid value', 2),
        ), lambda text: "events {\n" + text + "\n}")

    def test_times(self):
        good = ("1", "0", "00", "1ms", "1h30m", '"1h 30m"', "1m1ms", "1h30", "1m30", "1ms1", "1s1", "1ms500", '"1 "',
                '"1s "', '"1 1"', '" 1"', '"1m s"', "1w2d3h4m5s6ms")
        bad = ('""', "s", "ms", "1S", "1.5s", "30m1h", "1h1h", "1ms1s", '"1 30m"', '"5 s"', '"1h30 s"', "-1", "1M", "1y",
               "1m1M", "99999999999999999999", "9223372036854775807w", "+1", "1h-1m")
        if REFERENCE:  # what older nginx makes of some of these is another matter
            bad = [value for value in bad if value not in ("9223372036854775807w",)]
        for value in good:
            with self.subTest(value):
                self.accepts(f"events {{ }} worker_shutdown_timeout {value};")
        for value in bad:
            with self.subTest(value):
                self.refuses(f"events {{ }}\nworker_shutdown_timeout {value};",
                             '"worker_shutdown_timeout" directive invalid value', 2)

    def test_handlers_complain_once_more_is_late(self):
        self.refuses("events { }\nload_module nothing.so;", '"load_module" directive is specified too late', 2)

    @apus_only
    def test_modules_of_nginx(self):
        for name in ("modules/ngx_mail_module.so", "/usr/lib/nginx/modules/ngx_mail_module.so",
                     "modules/ngx_stream_module.so"):
            with self.subTest(name):
                done = self.run_test(f"load_module {name};\nevents {{ }}")
                self.assertEqual(done.returncode, 0, done.stderr)
        done = self.run_test("load_module modules/other.so;\nevents { }")
        self.assertEqual(done.returncode, 1)

    @apus_only
    def test_foreign_blocks(self):
        foreign = 'http { server { listen 80; location / { return 200 "a } b { c"; } } # }\n}\nstream { }\n'
        for block in ("http", "stream"):
            with self.subTest(block):
                done = self.run_test(f"events {{ }}\n{block} {{ }}")
                first = done.stderr.decode().splitlines()[0]
                self.assertEqual(done.returncode, 1)
                self.assertRegex(first, rf"^{NAME}: \[emerg\] .*{block}.*foreign_blocks.* in {self.conf}:2$")
        self.accepts("foreign_blocks ignore;\nevents { }\n" + foreign + "worker_processes 1;")
        self.refuses("foreign_blocks ignore;\nevents { }\n" + foreign + "worker_processes x;",
                     '"worker_processes" directive invalid value', 6)

    def test_connections_for_the_listening_sockets(self):
        self.refuses("events { worker_connections 2; } mail { auth_http 127.0.0.1:1/; server { protocol imap; "
                     "listen 127.0.0.1:12001; listen 127.0.0.1:12002; } }",
                     "2 worker_connections are not enough for 2 listening sockets")


class Include(ConfigTest):

    def test_nested_and_globs(self):
        os.mkdir(self.dir / "d")
        self.file("d/one.conf", "worker_processes 3;")
        self.file("d/two.conf", "include d/inner/*.conf;")
        self.accepts("events { } include d/*.conf; include d/nothing*.conf; include nowhere/*.conf;")

    def test_a_missing_file(self):
        self.refuses("events { }\ninclude missing.conf;",
                     f'open() "{self.dir}/missing.conf" failed (2: No such file or directory)', 2)

    def test_errors_name_the_included_file(self):
        self.file("part.conf", "\n\nbad_one;\n")
        done = self.run_test("events { }\ninclude part.conf;")
        self.assertRegex(done.stderr.decode().splitlines()[0],
                         rf'^{NAME}: \[emerg\] unknown directive "bad_one".* in {self.dir}/part\.conf:3$')
        part = f"{self.dir}/part.conf"
        for text, message, line in (
            ("}", 'unexpected "}"', 1),
            ("worker_processes 1", 'unexpected end of file, expecting ";" or "}"', 1),
            ("mail {\n", 'unexpected end of file, expecting "}"', 2),
        ):
            with self.subTest(text):
                self.file("part.conf", text)
                self.refuses("events { }\ninclude part.conf;", message, line, "emerg", part)

    def test_the_same_file_again_is_a_duplicate(self):
        self.file("part.conf", "worker_processes 1;")
        self.refuses("events { }\ninclude part.conf;\ninclude part.conf;", '"worker_processes" directive is duplicate', 1,
                     "emerg", f"{self.dir}/part.conf")

    @apus_only  # Debian's nginx overflows its stack
    def test_itself(self):
        self.file("loop.conf", "include loop.conf;")
        done = self.run_test("events { }\ninclude loop.conf;")
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"[emerg]", done.stderr)

    def test_in_every_context(self):
        self.file("e.conf", "worker_connections 32;")
        self.file("m.conf", "auth_http 127.0.0.1:1/; server { include s.conf; }")
        self.file("s.conf", "listen 127.0.0.1:12003; protocol imap;")
        self.accepts("events { include e.conf; } mail { include m.conf; }")

    def test_a_matched_directory(self):
        os.mkdir(self.dir / "x.d")
        done = self.run_test("events { } include *.d;")
        self.assertEqual(done.stderr.decode().splitlines()[0],
                         f'{NAME}: [crit] pread() "{self.dir}/x.d" failed (21: Is a directory)')


class ErrorLog(ConfigTest):

    def test_levels(self):
        for words in ("e debug", "e info", "e notice", "e warn", "e error", "e crit", "e alert", "e emerg", "e", "stderr",
                      "stderr info", "e debug_mail debug_core"):
            with self.subTest(words):
                self.accepts(f"events {{ }} error_log {words};")

    def test_errors(self):
        self.each((
            ("e bogus", 'invalid log level "bogus"', 2),
            ("e INFO", 'invalid log level "INFO"', 2),
            ("e info warn", 'duplicate log level "warn"', 2),
            ("e info info", 'duplicate log level "info"', 2),
            ("e info debug_mail", 'invalid log level "debug_mail"', 2),
            ("e json", 'invalid log level "json"', 2),
            ("syslog:", 'unknown syslog parameter ""', 2),
            ("syslog:tag=x", "no syslog server specified", 2),
            ("syslog:server=127.0.0.1,", 'unknown syslog parameter ""', 2),
            ("syslog:server=127.0.0.1,server=127.0.0.1", 'duplicate syslog "server"', 2),
            ("syslog:server=127.0.0.1,facility=mail,facility=mail", 'duplicate syslog "facility"', 2),
            ("syslog:server=127.0.0.1,facility=post", 'unknown syslog facility "post"', 2),
            ("syslog:server=127.0.0.1,severity=info,severity=info", 'duplicate syslog "severity"', 2),
            ("syslog:server=127.0.0.1,severity=loud", 'unknown syslog severity "loud"', 2),
            ("syslog:server=127.0.0.1,tag=a,tag=b", 'duplicate syslog "tag"', 2),
            ("syslog:server=127.0.0.1,tag=" + "a" * 33, "syslog tag length exceeds 32", 2),
            ("syslog:server=127.0.0.1,tag=a-b", 'syslog "tag" only allows alphanumeric characters and underscore', 2),
            ("syslog:server=127.0.0.1,colour=red", 'unknown syslog parameter "colour=red"', 2),
            ("syslog:Server=127.0.0.1", 'unknown syslog parameter "Server=127.0.0.1"', 2),
            ("syslog:server=127.0.0.1:99999", 'invalid port in syslog server "127.0.0.1:99999"', 2),
            ("syslog:server=unix:", 'no path in the unix domain socket in syslog server "unix:"', 2),
        ), lambda text: f"events {{ }} error_log main.log;\nerror_log {text};")

    @apus_only
    def test_rates(self):
        for text in ("rate=5", "info rate=5", "rate=5m/s debug", "info rate=0"):
            with self.subTest(text):
                self.accepts(f"events {{ }} error_log stderr {text};")
        for text, message in (("rate=", 'invalid log rate "rate="'), ("rate=5/s", 'invalid log rate "rate=5/s"'),
                              ("rate=-1", 'invalid log rate "rate=-1"'), ("rate=x", 'invalid log rate "rate=x"'),
                              ("rate=1 info rate=2", 'duplicate log rate "rate=2"')):
            with self.subTest(text):
                self.refuses(f"events {{ }}\nerror_log stderr {text};", message, 2)

    def test_a_log_that_cannot_be_opened(self):
        self.refuses("events { } error_log no/such/dir/x.log;",
                     f'open() "{self.dir}/no/such/dir/x.log" failed (2: No such file or directory)')

    def test_a_pid_file_that_cannot_be_opened(self):
        self.file("apus.conf", "events { } pid no/such/dir/pid;")
        done = subprocess.run([BINARY, "-t", "-p", f"{self.dir}/", "-c", "apus.conf", "-e", "b"], capture_output=True,
                              text=True, timeout=DEADLINE)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f'{NAME}: [emerg] open() "{self.dir}/no/such/dir/pid" failed (2: No such file or directory)\n',
                      done.stderr)


# What tables say in one word.
DUPLICATE, NUMBER, VALUE, COUNT, FLAG = "is duplicate", "invalid number", "invalid value", "the number of words", "on or off"


class Mail(ConfigTest):
    """Directives of mail and server."""

    def mail(self, text, server="listen 127.0.0.1:12010; protocol imap;", auth="auth_http 127.0.0.1:1/auth;"):
        return f"events {{ }}\nmail {{ {auth}\n{text}\nserver {{\n{server}\n}} }}"

    def test_values(self):
        self.each((
            ("timeout soon;", '"timeout" directive invalid value', 3),
            ("timeout 1;\ntimeout 1;", '"timeout" directive is duplicate', 4),
            ("max_errors few;", '"max_errors" directive invalid number', 3),
            ("max_errors 1; max_errors 1;", '"max_errors" directive is duplicate', 3),
            ("server_name a; server_name b;", '"server_name" directive is duplicate', 3),
            ("protocol imap;", '"protocol" directive is not allowed here', 3),
            ("imap_auth plain digest;", 'invalid value "digest"', 3),
            ("imap_client_buffer 1g;", '"imap_client_buffer" directive invalid value', 3),
            ("imap_client_buffer 1k; imap_client_buffer 1k;", '"imap_client_buffer" directive is duplicate', 3),
            ("imap_client_buffer -1;", '"imap_client_buffer" directive invalid value', 3),
            ("imap_client_buffer k;", '"imap_client_buffer" directive invalid value', 3),
            ("imap_client_buffer 9223372036854775807m;", '"imap_client_buffer" directive invalid value', 3),
            ("imap_capabilities;", 'invalid number of arguments in "imap_capabilities" directive', 3),
            ("proxy_buffer x;", '"proxy_buffer" directive invalid value', 3),
            ("proxy_timeout x;", '"proxy_timeout" directive invalid value', 3),
            ("proxy_pass_error_message maybe;",
             'invalid value "maybe" in "proxy_pass_error_message" directive, it must be "on" or "off"', 3),
            ("proxy maybe;", 'invalid value "maybe" in "proxy" directive, it must be "on" or "off"', 3),
            ("auth_http_timeout x;", '"auth_http_timeout" directive invalid value', 3),
            ("auth_http_timeout 1; auth_http_timeout 1;", '"auth_http_timeout" directive is duplicate', 3),
            ("auth_http_pass_client_cert x;",
             'invalid value "x" in "auth_http_pass_client_cert" directive, it must be "on" or "off"', 3),
            ("auth_http_header X;", 'invalid number of arguments in "auth_http_header" directive', 3),
            ("set_real_ip_from 10.0.0.0/33;", 'host not found in set_real_ip_from "10.0.0.0/33"', 3),
            ("starttls maybe;", 'invalid value "maybe"', 3),
            ("ssl_protocols TLSv9;", 'invalid value "TLSv9"', 3),
            ("ssl_verify_client maybe;", 'invalid value "maybe"', 3),
            ("ssl_verify_depth x;", '"ssl_verify_depth" directive invalid number', 3),
            ("ssl_prefer_server_ciphers x;",
             'invalid value "x" in "ssl_prefer_server_ciphers" directive, it must be "on" or "off"', 3),
            ("ssl_session_timeout 1ms;", '"ssl_session_timeout" directive invalid value', 3),
            ("ssl_session_cache what;", 'invalid session cache "what"', 3),
            ("ssl_session_cache builtin:x;", 'invalid session cache "builtin:x"', 3),
            ("ssl_session_cache shared:;", 'invalid session cache "shared:"', 3),
            ("ssl_session_cache shared:A;", 'invalid session cache "shared:A"', 3),
            ("ssl_session_cache shared:A:x;", 'invalid session cache "shared:A:x"', 3),
            ("ssl_session_cache shared:A:4k;", 'session cache "shared:A:4k" is too small', 3),
            ("ssl_password_file none.txt;", f'open() "{self.dir}/none.txt" failed (2: No such file or directory)', 3),
        ), self.mail)

    @apus_only
    def test_values_newer_than_debians_nginx(self):
        self.each((
            ("proxy_protocol v3;", 'invalid value "v3"', 3),
        ), self.mail)

    def test_a_value_named_twice_is_a_warning(self):
        self.accepts(self.mail("imap_auth plain PLAIN;"), [f'[warn] duplicate value "PLAIN" in {self.conf}:3'])
        self.accepts(self.mail("set_real_ip_from 10.1.2.3/8;"),
                     [f"[warn] low address bits of 10.1.2.3/8 are meaningless in {self.conf}:3"])

    def test_what_is_fine(self):
        for text in ("timeout 1m30s; proxy on; proxy_buffer 16k; proxy_timeout 1h;",
                     "imap_auth PLAIN Login cram-md5; imap_auth external;", "imap_client_buffer 4K;",
                     "server_name ''; max_errors 0;", "set_real_ip_from unix:;", "auth_http_header X 'a b';",
                     "error_log mail.log info; ssl_certificate none.pem; ssl_certificate_key none.key;"):
            with self.subTest(text):
                self.accepts(self.mail(text))

    def test_protocol(self):
        for server in ("listen 127.0.0.1:12011; protocol IMAP;", "protocol jmap; listen 127.0.0.1:12011;"):
            with self.subTest(server):
                word = re.search(r"protocol (\w+)", server)[1]
                self.refuses(self.mail("", server), f'unknown protocol "{word}"', 5, hint="known: .*imap.*")
        self.refuses(self.mail("", "listen 127.0.0.1:12011;"), f"unknown mail protocol for server in {self.conf}:4",
                     hint='no protocol belongs to its ports: name one, as in "protocol imap;"')
        self.accepts(self.mail("", "protocol imap; listen 127.0.0.1:12011; protocol imap;"))

    def test_listen(self):
        self.each((
            ("127.0.0.1:0", 'invalid port in "127.0.0.1:0" of the "listen" directive', 5),
            ("127.0.0.1:65536", 'invalid port in "127.0.0.1:65536" of the "listen" directive', 5),
            ("127.0.0.1:x", 'invalid port in "127.0.0.1:x" of the "listen" directive', 5),
            (":143", 'no host in ":143" of the "listen" directive', 5),
            ("127.0.0.1/143", 'invalid host in "127.0.0.1/143" of the "listen" directive', 5),
            ("127.0.0.1:20-10", 'invalid port range in "127.0.0.1:20-10" of the "listen" directive', 5),
            ("[::g]:143", 'invalid IPv6 address in "[::g]:143" of the "listen" directive', 5),
            ("[::1:143", 'invalid host in "[::1:143" of the "listen" directive', 5),
            ("nosuchhost.invalid:143", 'host not found in "nosuchhost.invalid:143" of the "listen" directive', 5),
            ("unix:", 'no path in the unix domain socket in "unix:" of the "listen" directive', 5),
            ("unix:/" + "x" * 120, 'too long path in the unix domain socket in "unix:/' + "x" * 120
             + '" of the "listen" directive', 5),
            *((f"127.0.0.1:12012 {word}" if ":" not in word else word,
               f'the invalid "{word.split()[-1]}" parameter' if REFERENCE else f'invalid parameter "{word.split()[-1]}"', 5)
              for word in ("sll", "reuseport", "default_server", "SSL", "[::1]:12012 ipv6only=x")),
            ("127.0.0.1:12012 backlog=0", 'invalid backlog "backlog=0"', 5),
            ("127.0.0.1:12012 backlog=x", 'invalid backlog "backlog=x"', 5),
            ("127.0.0.1:12012 rcvbuf=x", 'invalid rcvbuf "rcvbuf=x"', 5),
            ("127.0.0.1:12012 sndbuf=x", 'invalid sndbuf "sndbuf=x"', 5),
            ("127.0.0.1:12012 so_keepalive=::", 'invalid so_keepalive value: "::"', 5),
            ("127.0.0.1:12012 so_keepalive=maybe", 'invalid so_keepalive value: "maybe"', 5),
            ("127.0.0.1:12012; listen 127.0.0.1:12012", 'duplicate "127.0.0.1:12012" address and port pair', 5),
            ("12012; listen *:12012", 'duplicate "0.0.0.0:12012" address and port pair', 5),
            ("127.0.0.1:12012-12014; listen 127.0.0.1:12013", 'duplicate "127.0.0.1:12013" address and port pair', 5),
        ), lambda text: self.mail("", f"protocol imap; listen {text};"))

    def test_listen_that_is_fine(self):
        for text in ("127.0.0.1:12012 backlog=100 rcvbuf=8k sndbuf=8k bind", "127.0.0.1:12012 so_keepalive=on",
                     "127.0.0.1:12012 so_keepalive=30m::10", "127.0.0.1:12012-12014", "[::1]:12012 ipv6only=on",
                     "localhost:12012", "127.0.0.1:12012 proxy_protocol", "unix:@dir@/x.sock".replace("@dir@", str(self.dir)),
                     "12012; listen 127.0.0.1:12012", "127.0.0.1:12012 backlog=1 backlog=2", "0127.0.0.1:012012"):
            with self.subTest(text):
                self.accepts(self.mail("", f"protocol imap; listen {text};"))

    def test_no_auth(self):
        message = f'no "auth_http" is defined for server in {self.conf}:4'
        done = self.run_test(self.mail("", auth=""))
        self.assertEqual(done.returncode, 1)
        first = done.stderr.decode().splitlines()[0]
        if REFERENCE:
            self.assertEqual(first, f"{NAME}: [emerg] {message}")
        else:  # auth_passwd_file would do as well, and the message may say so
            self.assertRegex(first, rf'^{NAME}: \[emerg\] no "auth_http".* is defined for server in {self.conf}:4$')

    def test_auth_http(self):
        self.each((
            ("", "no host in auth_http \"\"", 3),
            ("http://", "no host in auth_http \"\"", 3),
            ("127.0.0.1:0/", 'invalid port in auth_http "127.0.0.1:0/"', 3),
            ("127.0.0.1:99999", 'invalid port in auth_http "127.0.0.1:99999"', 3),
            ("https://127.0.0.1/", 'invalid port in auth_http "https://127.0.0.1/"', 3),
            ("nosuchhost.invalid/", 'host not found in auth_http "nosuchhost.invalid/"', 3),
            ("[::g]:80/", 'invalid IPv6 address in auth_http "[::g]:80/"', 3),
            ("unix:", 'no path in the unix domain socket in auth_http "unix:"', 3),
        ), lambda text: self.mail(f"auth_http '{text}';"))

    def test_a_server_may_define_its_own(self):
        self.accepts(self.mail("", "protocol imap; listen 127.0.0.1:12012; auth_http 127.0.0.1:9/;", auth=""))

    def test_bind_failures_in_a_test(self):
        self.refuses(self.mail("", "protocol imap; listen 192.0.2.1:12012;"),
                     "bind() to 192.0.2.1:12012 failed (99: Cannot assign requested address)")

    def test_checks_come_in_order(self):
        # protocol, then TLS, then auth
        self.refuses("events { }\nmail {\nserver { listen 127.0.0.1:12012 ssl;\n}\n}",
                     f"unknown mail protocol for server in {self.conf}:3")
        self.refuses("events { }\nmail {\nserver { protocol imap;\nlisten 127.0.0.1:12012 ssl;\n}\n}",
                     f'no "ssl_certificate" is defined for the "listen ... ssl" directive in {self.conf}:4')

    def rows(self, refused, accepted=(), warned=(), build=None):
        """The rows of one table of directives: `refused` with a message each, `accepted` as they are, `warned` with one.

        Where the message is the reason alone, it is about the row's first word."""
        build = build or self.mail
        line = 3 if build == self.mail else 5
        for text, message in refused:
            with self.subTest(text=text[:80]):
                if message in (DUPLICATE, NUMBER, VALUE):
                    message = f'"{text.split()[0]}" directive {message}'
                elif message == COUNT:
                    message = f'invalid number of arguments in "{text.split()[0]}" directive'
                elif message == FLAG:
                    name, value = text.split()
                    message = f'invalid value "{value}" in "{name}" directive, it must be "on" or "off"'
                self.refuses(build(text + ";"), message, line)
        for text in accepted:
            with self.subTest(text=text[:80]):
                self.accepts(build(text + ";"))
        for text, message in warned:
            with self.subTest(text=text[:80]):
                self.accepts(build(text + ";"), [f"[warn] {message} in {self.conf}:{line}"])

    def test_core_directives(self):
        self.rows((
            ("timeout 1M", VALUE), ("timeout 1y", VALUE), ('timeout ""', VALUE), ("timeout 1; timeout 2", DUPLICATE),
            ("server_name", COUNT), ("server_name a b", COUNT), ("max_errors -1", NUMBER),
            ("max_errors 99999999999999999999", NUMBER), ("max_errors 1x", NUMBER),
            ("listen 143", '"listen" directive is not allowed here'),
            ("include nope.conf", f'open() "{self.dir}/nope.conf" failed (2: No such file or directory)'),
        ), ("max_errors 0", "server_name ''", "include *.nope", "timeout 0"))

    def test_imap_directives(self):
        self.rows((
            ("imap_auth", COUNT), ("imap_auth apop", 'invalid value "apop"'), ('imap_client_buffer ""', VALUE),
            ("imap_client_buffer 1kb", VALUE), ("imap_capabilities", COUNT),
        ), ("imap_client_buffer 0", 'imap_capabilities ""', "imap_capabilities a; imap_capabilities b",
            "imap_auth plain; imap_auth login"), (("imap_auth plain plain", 'duplicate value "plain"'),))

    def test_pop3_directives(self):
        self.rows((
            ("pop3_auth", COUNT), ("pop3_auth login", 'invalid value "login"'), ("pop3_capabilities", COUNT),
        ), ("pop3_auth apop cram-md5 plain external", "pop3_capabilities a; pop3_capabilities b"),
            (("pop3_auth apop APOP", 'duplicate value "APOP"'),))

    def test_smtp_directives(self):
        self.rows((
            ("smtp_auth", COUNT), ("smtp_auth apop", 'invalid value "apop"'), ("smtp_client_buffer 1g", VALUE),
            ("smtp_client_buffer 1k; smtp_client_buffer 1k", DUPLICATE), ("smtp_greeting_delay x", VALUE),
            ("smtp_greeting_delay 1; smtp_greeting_delay 1", DUPLICATE), ("smtp_capabilities", COUNT),
        ), ("smtp_auth plain login cram-md5 external none", "smtp_capabilities a; smtp_capabilities 'SIZE 1'",
            "smtp_greeting_delay 500ms"), (("smtp_auth none none", 'duplicate value "none"'),))

    def test_sieve_directives(self):
        self.rows((
            ("sieve_auth", COUNT), ("sieve_auth apop", 'invalid value "apop"'), ("sieve_capabilities", COUNT),
            ("sieve_capabilities SIEVE=a; sieve_capabilities SIEVE=b", DUPLICATE),
            ("sieve_capabilities NOTIFY=mailto", 'no "SIEVE" in "sieve_capabilities"'),
            ("sieve_capabilities SIEVE", 'no "SIEVE" in "sieve_capabilities"'),
            ("sieve_capabilities SIEVE=a fileinto,", 'invalid capability "fileinto,"'),
            ('sieve_capabilities SIEVE=a ""', 'invalid capability ""'),
            ("sieve_capabilities 'SIEVE=a\\r\\nOK'", 'invalid capability "SIEVE=a\\r\\nOK"'),
            ("sieve_capabilities SIEVE=a SASL=PLAIN", '"SASL=PLAIN" cannot be listed, it is added as it applies'),
            ("sieve_capabilities SIEVE=a starttls", '"starttls" cannot be listed, it is added as it applies'),
            ("sieve_capabilities SIEVE=a X=1 X=2", 'duplicate capability "X=2"'),
        ), ("sieve_auth plain login cram-md5 external xoauth2 oauthbearer", "sieve_capabilities SIEVE= OWNER",
            "sieve_capabilities 'SIEVE=fileinto \"reject\"' IMPLEMENTATION=x VERSION=2.0"),
            (("sieve_auth plain PLAIN", 'duplicate value "PLAIN"'),))

    def test_authentication_directives(self):
        long = "unix:/" + "x" * 120
        self.rows((
            ("auth_http", COUNT), ("auth_http a b", COUNT), ("auth_http_header a b c", COUNT),
            ("auth_http_timeout -1", VALUE),
            ("auth_http http://[::1/", 'invalid host in auth_http "[::1/"'),
            ("auth_http HTTP://127.0.0.1/", 'invalid port in auth_http "HTTP://127.0.0.1/"'),
            ("auth_http http:///x", 'no host in auth_http "/x"'),
            ("auth_http 127.0.0.1:x", 'invalid port in auth_http "127.0.0.1:x"'),
            (f"auth_http {long}", f'too long path in the unix domain socket in auth_http "{long}"'),
            ("auth_http_pass_client_cert on; auth_http_pass_client_cert on", DUPLICATE),
        ), ("auth_http 127.0.0.1:1/x; auth_http 127.0.0.1:2", "auth_http http://[::1]:80/", "auth_http unix:/tmp/x",
            "auth_http http://unix:/tmp/x:/uri", "auth_http 127.0.0.1?x", "auth_http_header a 'b c'; auth_http_header a b"))

    def test_proxy_directives(self):
        self.rows((
            ("proxy x", FLAG), ("proxy on; proxy on", DUPLICATE), ("proxy_buffer", COUNT),
            ("proxy_buffer 1; proxy_buffer 1", DUPLICATE), ("proxy_timeout 1; proxy_timeout 1", DUPLICATE),
            ("proxy_pass_error_message on; proxy_pass_error_message on", DUPLICATE), ("proxy_smtp_auth x", FLAG),
            ("proxy_smtp_auth on; proxy_smtp_auth on", DUPLICATE), ("xclient maybe", FLAG),
            ("xclient on; xclient on", DUPLICATE), ("proxy_protocol on; proxy_protocol on", DUPLICATE),
        ), ("proxy OFF", "xclient Off", "proxy_protocol off"))

    def test_client_address_directives(self):
        self.rows((
            ("set_real_ip_from", COUNT), ("set_real_ip_from ::1/129", 'host not found in set_real_ip_from "::1/129"'),
            ("set_real_ip_from 10.0.0.0/x", 'host not found in set_real_ip_from "10.0.0.0/x"'),
            ("set_real_ip_from unix:/x", 'host not found in set_real_ip_from "unix:/x"'),
            ("set_real_ip_from nosuchhost.invalid", 'host not found in set_real_ip_from "nosuchhost.invalid"'),
        ), ("set_real_ip_from 10.0.0.0/8", "set_real_ip_from 127.0.0.1", "set_real_ip_from ::1", "set_real_ip_from localhost",
            "set_real_ip_from unix:; set_real_ip_from 2001:db8::/32"), (
                ("set_real_ip_from 10.0.0.1/8", "low address bits of 10.0.0.1/8 are meaningless"),
                ("set_real_ip_from ::1/64", "low address bits of ::1/64 are meaningless"),
            ))

    def test_tls_directives(self):
        names = ("ssl_dhparam", "ssl_ecdh_curve", "ssl_ciphers", "ssl_client_certificate", "ssl_trusted_certificate", "ssl_crl")
        self.rows((
            *((f"{name} a; {name} b", DUPLICATE) for name in names), *((f"{name} a b", COUNT) for name in names),
            ("starttls on; starttls on", DUPLICATE), ("ssl_certificate a b", COUNT), ("ssl_certificate_key", COUNT),
            ("ssl_conf_command a", COUNT), ("ssl_conf_command a b c", COUNT), ("ssl_protocols", COUNT),
            ("ssl_prefer_server_ciphers on; ssl_prefer_server_ciphers on", DUPLICATE),
            ("ssl_session_cache", COUNT), ("ssl_session_cache a b c", COUNT),
            ("ssl_session_cache builtin:-1", 'invalid session cache "builtin:-1"'),
            ("ssl_session_cache shared::1m", 'invalid session cache "shared::1m"'),
            ("ssl_session_cache shared:A:1g", 'invalid session cache "shared:A:1g"'),
            ("ssl_session_tickets x", FLAG), ("ssl_session_timeout 1ms", VALUE),
            ("ssl_verify_client on; ssl_verify_client on", DUPLICATE), ("ssl_verify_depth -1", NUMBER),
            ("ssl_verify_depth 1; ssl_verify_depth 2", DUPLICATE),
            ("starttls ONLY", 'no "ssl_certificate" is defined for the "starttls" directive'),
        ), ("starttls OFF", "ssl_verify_client Optional_No_CA", "ssl_session_timeout 1y1d", "ssl_session_timeout 1M",
            "ssl_session_cache off none", "ssl_session_cache builtin shared:A:1m", "ssl_session_cache none",
            "ssl_session_ticket_key none; ssl_session_ticket_key other", "ssl_protocols TLSv1; ssl_protocols TLSv1.3"),
            (("ssl_protocols TLSv1.2 TLSv1.2", 'duplicate value "TLSv1.2"'),))

    def test_forms_of_listen(self):
        def of(reason, word):
            return word, f'{reason} in "{word}" of the "listen" directive'

        keepalive = "127.0.0.1:12013 so_keepalive="
        self.rows((
            of("invalid port", "127.0.0.1:"), of("invalid port", "*:"), of("host not found", "110-"),
            of("host not found", "12020-x"), of("invalid port range", "12022-12020"), of("invalid port", "12020-70000"),
            of("invalid port", "0-5"), of("host not found", "256.0.0.1:12013"), of("invalid host", "[::1]x:12013"),
            of("invalid port", "[::1]:"), of("no host", "[]:12013"), of("invalid host", "127.0.0.1:12013?x"),
            ("[::]:12013 ipv6only=ox", 'invalid ipv6only flags "ox"'),
            *((f"127.0.0.1:12013 backlog={value}", f'invalid backlog "backlog={value}"') for value in ("", "-1", "1x")),
            *((f"127.0.0.1:12013 {name}=", f'invalid {name} "{name}="') for name in ("rcvbuf", "sndbuf")),
            *((keepalive + value, f'invalid so_keepalive value: "{value}"')
              for value in ("", ":", "1:2:3:4", "x:2", "0:0:0", "1ms")),
            ("127.0.0.1:12013; listen localhost:12013", 'duplicate "127.0.0.1:12013" address and port pair'),
            ("127.0.0.1:12013 ssl", 'no "ssl_certificate" is defined for the "listen ... ssl" directive'),
        ), ("*:12013", "12013", "[::]:12013 ipv6only=off", "12020-12022", "127.0.0.1:12020-12020", "127.0.0.1",
            f"UNIX:{self.dir}/y.sock", "00127.0.0.1:012013", "127.1:12013", "127.0.0.1:12013 rcvbuf=0 sndbuf=1m",
            "127.0.0.1:12013 bind bind", keepalive + "1:2:3", keepalive + "::5", keepalive + "on"),
            build=lambda text: self.mail("", f"protocol imap; listen {text}"))

    def test_a_mail_block_without_servers_is_fine(self):
        self.accepts("events { } mail { timeout 5s; }")
        self.accepts("events { } mail { }")


class TLSFiles(ConfigTest):
    """Certificates and keys that are missing, wrong, or do not fit."""

    NO_FILE = (r"\(SSL: error:80000002:system library::No such file or directory:calling fopen\({}, r\) "
               r"error:10000080:BIO routines::no such file\)")

    def setUp(self):
        super().setUp()
        self.cert, self.key = self_signed(self.dir / "a.pem", self.dir / "a.key", "mail.example.com")
        self_signed(self.dir / "b.pem", self.dir / "b.key", "other.example.com")

    def tls(self, text, server="listen 127.0.0.1:12020 ssl; protocol imap;"):
        return f"events {{ }}\nmail {{ auth_http 127.0.0.1:1/;\n{text}\nserver {{\n{server}\n}} }}"

    def refuses_like(self, text, pattern):
        done = self.run_test(text)
        first = [line for line in done.stderr.decode("latin-1").splitlines() if "syntax is ok" not in line][0]
        self.assertEqual(done.returncode, 1, first)
        self.assertRegex(first, rf"^{NAME}: \[emerg\] {pattern}$")

    def test_missing_directives(self):
        for mode, server, settings, line in (
            ("listen ... ssl", "listen 127.0.0.1:12020 ssl; protocol imap;", "", 5),
            ("starttls", "listen 127.0.0.1:12020; protocol imap;", "starttls on;", 3),
            ("starttls", "listen 127.0.0.1:12020; protocol imap; starttls only;", "", 5),
        ):
            with self.subTest(mode=mode, server=server):
                self.refuses(self.tls(settings, server),
                             f'no "ssl_certificate" is defined for the "{mode}" directive in {self.conf}:{line}')
                self.refuses(self.tls(settings + " ssl_certificate a.pem;", server),
                             f'no "ssl_certificate_key" is defined for the "{mode}" directive in {self.conf}:{line}')
                self.refuses(
                    self.tls(settings + " ssl_certificate a.pem; ssl_certificate_key a.key; ssl_certificate b.pem;", server),
                    'no "ssl_certificate_key" is defined for certificate "b.pem"'
                    f' and the "{mode}" directive in {self.conf}:{line}')

    def test_missing_files(self):
        d = re.escape(str(self.dir))
        self.refuses_like(self.tls("ssl_certificate no.pem; ssl_certificate_key a.key;"),
                          rf'cannot load certificate "{d}/no\.pem": BIO_new_file\(\) failed ' + self.NO_FILE.format(
                              rf"{d}/no\.pem"))
        self.refuses_like(self.tls("ssl_certificate a.pem; ssl_certificate_key no.key;"),
                          rf'cannot load certificate key "{d}/no\.key": BIO_new_file\(\) failed ' + self.NO_FILE.format(
                              rf"{d}/no\.key"))

    def test_wrong_contents(self):
        d = re.escape(str(self.dir))
        self.file("junk", "not a certificate\n")
        self.refuses_like(self.tls("ssl_certificate junk; ssl_certificate_key a.key;"),
                          rf'cannot load certificate "{d}/junk": PEM_read_bio_X509_AUX\(\) failed \(SSL: error:.*\)')
        self.refuses_like(self.tls("ssl_certificate a.pem; ssl_certificate_key junk;"),
                          rf'cannot load certificate key "{d}/junk": PEM_read_bio_PrivateKey\(\) failed \(SSL: error:.*\)')

    def test_a_key_of_another_certificate(self):
        d = re.escape(str(self.dir))
        self.refuses_like(self.tls("ssl_certificate a.pem; ssl_certificate_key b.key;"),
                          rf'SSL_CTX_use_PrivateKey\("{d}/b\.key"\) failed \(SSL: error:.*key values mismatch.*\)')

    def test_other_files_and_values(self):
        good = "ssl_certificate a.pem; ssl_certificate_key a.key; "
        d = re.escape(str(self.dir))
        for text, pattern in (
            ("ssl_ciphers nothing;", r'SSL_CTX_set_cipher_list\("nothing"\) failed \(SSL: error:.*no cipher match\)'),
            ("ssl_ecdh_curve nocurve;", r'SSL_CTX_set1_curves_list\("nocurve"\) failed( \(SSL: .*\))?'),
            ("ssl_dhparam no.dh;", rf'BIO_new_file\("{d}/no\.dh"\) failed \(SSL: error:.*\)'),
            ("ssl_conf_command Bogus x;", r'SSL_CONF_cmd\("Bogus", "x"\) failed \(SSL: .*\)'),
            ("ssl_session_ticket_key no.key;",
             rf'(BIO_new_file|open\(\)|open) ?\(?"{d}/no\.key"\)? failed \(.*\)( in .*)?'),
            ("ssl_verify_client on;", "no ssl_client_certificate (or ssl_trusted_certificate )?for ssl_(client_verify|verify_client)"),
            ("ssl_client_certificate no.ca; ssl_verify_client on;", rf'.*"{d}/no\.ca".* failed \(SSL: error:.*\)'),
            ("ssl_trusted_certificate no.ca; ssl_verify_client optional_no_ca;", rf'.*"{d}/no\.ca".* failed \(SSL: error:.*\)'),
            ("ssl_crl no.crl; ssl_client_certificate a.pem; ssl_verify_client on;", rf'.*"{d}/no\.crl".* failed \(SSL: error:.*\)'),
        ):
            with self.subTest(text):
                self.refuses_like(self.tls(good + text), pattern)

    def test_a_ticket_key_of_the_wrong_size(self):
        self.file("short.key", "x" * 47)
        self.refuses_like(self.tls("ssl_certificate a.pem; ssl_certificate_key a.key; ssl_session_ticket_key short.key;"),
                          rf'"{re.escape(str(self.dir))}/short\.key" must be 48 or 80 bytes( in .*)?')

    def test_session_cache_conflicts(self):
        good = "ssl_certificate a.pem; ssl_certificate_key a.key; "
        self.refuses_like(
            self.tls(good, "listen 127.0.0.1:12020 ssl; protocol imap; ssl_session_cache shared:A:1m; }\n"
                           "server { listen 127.0.0.1:12021 ssl; protocol imap; ssl_session_cache shared:A:2m;"),
            r'the size 2097152 of shared memory zone "A" conflicts with already declared size 1048576 in .*:6')

    def test_without_tls_nothing_is_loaded(self):
        self.accepts(self.tls("ssl_certificate no.pem; ssl_certificate_key no.key;",
                              "listen 127.0.0.1:12020; protocol imap;"))

    def test_everything_right(self):
        openssl("genpkey", "-quiet", "-aes256", "-pass", "pass:opensesame", "-algorithm", "EC", "-pkeyopt",
                "ec_paramgen_curve:P-256", "-out", self.dir / "locked.key")
        openssl("req", "-x509", "-new", "-key", self.dir / "locked.key", "-passin", "pass:opensesame", "-subj", "/CN=l",
                "-out", self.dir / "locked.pem")
        self.file("passwords", "wrong\n\nopensesame\r\n")
        pem, key = (self.dir / "a.pem").read_text(), (self.dir / "a.key").read_text()
        for text in (
            "ssl_certificate a.pem; ssl_certificate_key a.key;",
            "ssl_certificate a.pem; ssl_certificate_key a.key; ssl_certificate b.pem; ssl_certificate_key b.key;",
            "ssl_password_file passwords; ssl_certificate locked.pem; ssl_certificate_key locked.key;",
            *(() if REFERENCE else (f'ssl_certificate "data:{pem}"; ssl_certificate_key "data:{key}";',)),
            "ssl_certificate a.pem; ssl_certificate_key a.key; ssl_protocols TLSv1.2 TLSv1.3; ssl_ciphers HIGH:!aNULL; "
            "ssl_prefer_server_ciphers on; ssl_ecdh_curve prime256v1:secp384r1; ssl_session_cache builtin:100 "
            "shared:B:1m; ssl_session_tickets off; ssl_session_timeout 1d; ssl_conf_command Options PrioritizeChaCha;",
            "ssl_certificate a.pem; ssl_certificate_key a.key; ssl_client_certificate b.pem; ssl_verify_client optional; "
            "ssl_verify_depth 2;",
        ):
            with self.subTest(text[:60]):
                self.accepts(self.tls(text))


class Starting(ConfigTest):
    """Errors at start, not in a test."""

    def test_an_address_in_use(self):
        import socket
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            proxy = self.prepare(f"mail {{ auth_http 127.0.0.1:1/; server {{ protocol imap; listen 127.0.0.1:{port}; }} }}")
            proxy.launch()
            self.assertEqual(proxy.wait_end(), 1)
        bind = f"[emerg] bind() to 127.0.0.1:{port} failed (98: Address already in use)"
        still = "[emerg] still could not bind()"
        self.assertEqual(proxy.stderr.read_text().splitlines(), [f"{NAME}: {bind}"] * 5 + [f"{NAME}: {still}"])
        log = proxy.log() + proxy.log("builtin.log")
        self.assertEqual(len(re.findall(r"\[notice\] .*try again to bind\(\) after 500ms", log)), 5)

    def test_a_privileged_port_as_an_ordinary_user(self):
        if os.geteuid() != 0 or int(open("/proc/sys/net/ipv4/ip_unprivileged_port_start").read()) <= 143:
            self.skipTest("needs root, and ports that are privileged")
        import shutil
        shutil.chown(self.dir, "nobody")
        proxy = self.prepare("mail { auth_http 127.0.0.1:1/; server { listen 127.0.0.1:143; } }", run_as="nobody")
        proxy.launch()
        self.assertEqual(proxy.wait_end(), 1)
        told = proxy.stderr.read_text().splitlines()
        self.assertIn(f"{NAME}: [emerg] bind() to 127.0.0.1:143 failed (13: Permission denied)", told)
        if not REFERENCE:
            self.assertEqual(told[-1], f"{NAME}: [notice] low ports need root or the capability CAP_NET_BIND_SERVICE")
