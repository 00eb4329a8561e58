"""The command line: options, messages, exit statuses."""

import os
import re
import subprocess

from harness import BINARY, DEADLINE, NAME, REFERENCE, ProxyTest, apus_only, binary_for, both_users, wait_until

EMPTY = "events { }\n"


class CommandLine(ProxyTest):

    def call(self, *words, cwd=None, env=None, user=None):
        return subprocess.run([binary_for(user), *words], capture_output=True, text=True, errors="replace",
                              timeout=DEADLINE, cwd=cwd or self.dir, user=user, extra_groups=[] if user else None,
                              env=env)


class Options(CommandLine):

    def refused(self, *words, message):
        done = self.call(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr.splitlines()[0], f"{NAME}: {message}")

    def test_what_is_no_option(self):
        for word in ("x", "conf", "", "+t"):
            with self.subTest(word):
                self.refused(word, message=f'invalid option: "{word}"')

    def test_unknown_letters(self):
        for word, letter in (("-x", "x"), ("--help", "-"), ("-tx", "x"), ("-vx", "x"), ("-Z", "Z"), ("--", "-")):
            with self.subTest(word):
                self.refused(word, message=f'invalid option: "{letter}"')

    def test_missing_values(self):
        for letter, what in (("p", "directory name"), ("e", "file name"), ("c", "file name"), ("g", "parameter"),
                             ("s", "parameter")):
            with self.subTest(letter):
                self.refused(f"-{letter}", message=f'option "-{letter}" requires {what}')
                self.refused(f"-t{letter}", message=f'option "-{letter}" requires {what}')

    def test_unknown_signals(self):
        for name in ("foo", "STOP", "", "reload "):
            with self.subTest(name):
                self.refused("-s", name, message=f'invalid option: "-s {name}"')

    def test_the_program_name_is_fixed_whatever_it_was_called(self):
        other = self.dir / "somethingelse"
        os.symlink(os.path.realpath(BINARY), other)
        done = subprocess.run([other, "-x"], capture_output=True, text=True, timeout=DEADLINE)
        self.assertEqual(done.stderr.splitlines()[0], f'{NAME}: invalid option: "x"')

    def test_an_error_suppresses_the_information(self):
        done = self.call("-v", "-x")
        self.assertNotIn("version", done.stderr)


class Information(CommandLine):

    VERSION = rf"^{NAME} version: {NAME if REFERENCE else 'Apus'}/[0-9.]+( \(.+\))?$"

    def informed(self, *words):
        done = self.call(*words)
        self.assertEqual((done.returncode, done.stdout), (0, ""))
        lines = done.stderr.split("\n")
        self.assertRegex(lines[0], self.VERSION)
        return lines

    def test_version(self):
        self.assertEqual(len(self.informed("-v")), 2)

    def test_help(self):
        for word in ("-h", "-?"):
            with self.subTest(word):
                lines = self.informed(word)
                self.assertRegex(lines[1], rf"^Usage: {NAME} \[-\?hvVtTqw?\] \[-s signal\] \[-p prefix\]")
                text = "\n".join(lines)
                for option in ("-?,-h ", "-v ", "-V ", "-t ", "-T ", "-q ", "-s signal ", "-p prefix ", "-e filename ",
                               "-c filename ", "-g directives "):
                    self.assertIn("\n  " + option, text)
                self.assertEqual(lines[-2:], ["", ""])

    def test_configuration(self):
        lines = self.informed("-V")
        self.assertTrue(any(line.startswith("built with OpenSSL ") for line in lines))
        self.assertIn("TLS SNI support enabled", lines)
        if not REFERENCE:
            self.assertIn("protocols: imap pop3 smtp sieve", lines)
        arguments = [line for line in lines if line.startswith("configure arguments:")]
        self.assertEqual(len(arguments), 1)
        self.assertIn("--with-mail_ssl_module", arguments[0])
        self.assertIn("--prefix=", arguments[0])

    def test_several_at_once_show_the_version_once(self):
        text = "\n".join(self.informed("-hV"))
        self.assertEqual(text.count(" version: "), 1)
        self.assertLess(text.index("Usage:"), text.index("configure arguments:"))

    def test_information_comes_before_a_signal(self):
        self.informed("-v", "-s", "stop")

    def test_information_with_a_test(self):
        self.file("apus.conf", EMPTY + f"pid {self.dir}/pid;\n")
        done = self.call("-vt", "-p", f"{self.dir}/", "-c", "apus.conf", "-e", "log")
        self.assertEqual(done.returncode, 0)
        self.assertRegex(done.stderr.splitlines()[0], self.VERSION)
        self.assertIn("test is successful", done.stderr)


@apus_only
class FromNginx(CommandLine):
    """--from-nginx: what becomes of the text is for test_existing_configurations and ConfigTests/TranslationTests."""

    def made(self, *words, cwd=None):
        done = self.call(*words, cwd=cwd)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def refused(self, message, *words):
        done = self.call(*words)
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(done.stderr, f"apus: {message}\n")

    def test_where_names_start(self):
        os.mkdir(self.dir / "conf")
        path = self.file("conf/nginx.conf", "error_log logs/e.log;\nmail { ssl_crl c.pem; include part; }\n")
        self.file("conf/part", "server {}")
        crl = f"ssl_crl {self.dir}/conf/c.pem;"
        unknown = "# Left out (the name starts at nginx's prefix, which `-p` has to tell): error_log logs/e.log;\n"
        for words, cwd in (((path,), "/"), (("nginx.conf",), self.dir / "conf"), (("conf/nginx.conf",), self.dir)):
            with self.subTest(words):
                text = self.made("--from-nginx", *words, cwd=cwd)
                self.assertIn(crl, text)
                self.assertIn(unknown, text)
                self.assertIn("server {}", text)
        for words, cwd in ((("-p", str(self.dir), "--from-nginx", "conf/nginx.conf"), "/"),
                           (("--from-nginx", "conf/nginx.conf", "-p", "."), self.dir)):
            with self.subTest(words):
                text = self.made(*words, cwd=cwd).replace("/./", "/")
                self.assertIn(f"\nerror_log {self.dir}/logs/e.log;\n", text)
                self.assertIn(crl, text)

    def test_only_the_differences_that_matter(self):
        def told(text):
            return self.made("--from-nginx", self.file("nginx.conf", text))

        imap = told("mail { auth_http 127.0.0.1:9/; server { listen 143; } server { listen [::]:993; } }\n")
        for word in ('"protocol imap":', '"auth_http":', "In general:"):
            self.assertEqual(imap.count(word), 1, imap)
        for word in ('"protocol smtp"', '"protocol pop3"', '"resolver"', '"ssl_certificate"', '"http"'):
            self.assertNotIn(word, imap)
        other = told("mail { resolver 127.0.0.1; server { listen 143 proxy_protocol; protocol smtp; } } http {}\n")
        for word in ('"protocol smtp":', '"resolver":', '"listen ... proxy_protocol":', '"http":'):
            self.assertEqual(other.count(word), 1, other)
        self.assertNotIn('"protocol imap"', other)

    def test_what_is_wrong(self):
        path = self.file("nginx.conf", "events {}\nmail {\n")
        self.refused(f'[emerg] unexpected end of file, expecting "}}" in {path}:3', "--from-nginx", path)
        path = self.file("nginx.conf", "events {}\nhttp { }\n")
        self.refused(f'[emerg] no "mail" section in configuration {path}', "--from-nginx", path)
        self.refused(f'[emerg] open() "{self.dir}/gone" failed (2: No such file or directory)', "--from-nginx", "gone")
        self.refused(f'[crit] pread() "{self.dir}/" failed (21: Is a directory)', "--from-nginx", f"{self.dir}/")

    def test_options(self):
        self.refused('option "--from-nginx" requires file name', "--from-nginx")
        self.refused('option "--from-nginx" requires file name', "--from-nginx", "")
        for words in (("-t",), ("-c", "x"), ("-s", "stop"), ("-g", "daemon off;"), ("-v",), ("-e", "stderr")):
            with self.subTest(words):
                self.refused('option "--from-nginx" goes with "-p" only', "--from-nginx", "x", *words)
                self.refused('option "--from-nginx" goes with "-p" only', *words, "--from-nginx", "x")


@both_users
class Testing(CommandLine):
    """-t, -T, -q"""

    def setUp(self):
        super().setUp()
        self.path = self.file("apus.conf", f"events {{ }} pid {self.dir}/apus.pid; error_log {self.dir}/error.log;\n")

    def test_it(self, *words, status=0):
        """Not only a test: also the helper of the others."""
        done = self.call(*words or ("-t",), "-p", f"{self.dir}/", "-c", "apus.conf", "-e", "builtin.log", user=self.run_as)
        self.assertEqual(done.returncode, status, done.stderr)
        if not words:
            self.assertEqual(done.stderr, f"{NAME}: the configuration file {self.dir}/apus.conf syntax is ok\n"
                                          f"{NAME}: configuration file {self.dir}/apus.conf test is successful\n")
            self.assertEqual(done.stdout, "")
        return done

    def test_success_leaves_the_files_a_start_would_make(self):
        self.test_it("-t")
        self.assertEqual((self.dir / "apus.pid").read_text(), "")
        for name in ("error.log", "builtin.log"):
            self.assertTrue((self.dir / name).exists(), name)

    def test_an_existing_pid_file_is_left_alone(self):
        self.file("apus.pid", "4711\n")
        self.test_it("-t")
        self.assertEqual((self.dir / "apus.pid").read_text(), "4711\n")

    def test_quiet(self):
        done = self.test_it("-tq")
        self.assertEqual((done.stdout, done.stderr), ("", ""))
        done = self.test_it("-q", "-t")
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_failure(self):
        self.file("apus.conf", "events { }\nbogus;\n")
        for flags in ("-t", "-tq", "-T"):
            with self.subTest(flags):
                done = self.test_it(flags, status=1)
                self.assertEqual(done.stdout, "")
                self.assertEqual(len(done.stderr.splitlines()), 2)
                self.assertRegex(done.stderr.splitlines()[0],
                                 rf'^{NAME}: \[emerg\] unknown directive "bogus".* in {self.dir}/apus.conf:2$')
                self.assertEqual(done.stderr.splitlines()[1],
                                 f"{NAME}: configuration file {self.dir}/apus.conf test failed")
        self.assertRegex((self.dir / "builtin.log").read_text(), r'\[emerg\] \d+#\d+: unknown directive "bogus"')

    def test_syntax_may_be_ok_where_the_test_fails(self):
        self.file("apus.conf", f"pid {self.dir}/apus.pid;\n")
        done = self.test_it("-t", status=1)
        self.assertEqual(done.stderr.splitlines(), [
            f"{NAME}: the configuration file {self.dir}/apus.conf syntax is ok",
            f'{NAME}: [emerg] no "events" section in configuration',
            f"{NAME}: configuration file {self.dir}/apus.conf test failed"])

    def test_dump(self):
        self.file("part-b.conf", "# b, without an end of line")
        self.file("part-a.conf", "# a\n")
        text = f"# main\ninclude part-?.conf;\ninclude part-a.conf;\nevents {{ }} pid {self.dir}/apus.pid;\n"
        self.file("apus.conf", text)
        done = self.test_it("-Tq")
        self.assertEqual(done.stderr, "")
        d = self.dir
        self.assertEqual(done.stdout, f"# configuration file {d}/apus.conf:\n{text}\n"
                                      f"# configuration file {d}/part-a.conf:\n# a\n\n"
                                      f"# configuration file {d}/part-b.conf:\n# b, without an end of line\n")
        done = self.test_it("-T")
        self.assertIn("test is successful", done.stderr)

    def test_no_such_file(self):
        os.unlink(self.path)
        done = self.test_it("-t", status=1)
        self.assertEqual(done.stderr.splitlines()[0],
                         f'{NAME}: [emerg] open() "{self.dir}/apus.conf" failed (2: No such file or directory)')

    def test_a_directory(self):
        os.unlink(self.path)
        os.mkdir(self.path)
        os.chmod(self.path, 0o755)
        done = self.test_it("-t", status=1)
        self.assertEqual(done.stderr.splitlines()[0],
                         f'{NAME}: [crit] pread() "{self.dir}/apus.conf" failed (21: Is a directory)')

    def test_with_a_signal_it_is_a_test_of_the_syntax(self):
        done = self.test_it("-t", "-s", "stop")
        self.assertEqual(done.stderr.splitlines(), [
            f"{NAME}: the configuration file {self.dir}/apus.conf syntax is ok",
            f"{NAME}: configuration file {self.dir}/apus.conf test is successful"])

    def test_a_running_server_does_not_disturb(self):
        proxy = self.start("mail { auth_http 127.0.0.1:1/; server { listen 127.0.0.1:@imap@; protocol imap; } }")
        done = proxy.run("-t")
        self.assertEqual((done.returncode, done.stderr.splitlines()[-1]),
                         (0, f"{NAME}: configuration file {proxy.conf} test is successful"))


class Places(CommandLine):
    """-p, -c, -e and what is relative to what."""

    def test_relative_prefix_and_file(self):
        os.makedirs(self.dir / "a/conf")
        os.makedirs(self.dir / "a/logs")
        self.file("a/conf/x.conf", "events { } pid logs/p; error_log logs/e; include more/*.conf; include sub.conf;\n")
        self.file("a/conf/sub.conf", "worker_processes 1;\n")
        for prefix in ("a", "a/"):
            with self.subTest(prefix):
                done = self.call("-t", "-p", prefix, "-c", "conf/x.conf", "-e", "logs/b")
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(f"{NAME}: the configuration file a/conf/x.conf syntax is ok\n", done.stderr)
        for name in ("p", "e", "b"):
            self.assertTrue((self.dir / "a/logs" / name).exists(), name)

    def test_an_empty_prefix_is_the_current_directory(self):
        self.file("x.conf", "events { } pid p; error_log e;\n")
        done = self.call("-t", "-p", "", "-c", "x.conf", "-e", "b")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{NAME}: configuration file x.conf test is successful\n", done.stderr)

    def test_values_in_the_same_word_or_the_next(self):
        self.file("x.conf", "events { } pid p; error_log e;\n")
        for words in (("-t", f"-p{self.dir}", "-cx.conf", "-eb"), (f"-tp{self.dir}", "-c", "x.conf", "-e", "b"),
                      ("-p", "nowhere", "-t", "-c", "y", "-p", str(self.dir), "-c", "x.conf", "-e", "b"),
                      ("-", "-t", "-p", str(self.dir), "-c", "x.conf", "-e", "b")):
            with self.subTest(words):
                done = self.call(*words)
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_log_to_stderr(self):
        self.file("x.conf", "bogus;\n")
        done = self.call("-p", f"{self.dir}/", "-c", "x.conf", "-e", "stderr")
        self.assertEqual(done.returncode, 1)
        lines = done.stderr.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], r'^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[emerg\] (\d+)#\1: unknown directive "bogus".* in ')

    def test_a_log_that_cannot_be_opened(self):
        self.file("x.conf", f"events {{ }} pid {self.dir}/p; error_log {self.dir}/e;\n")
        done = self.call("-t", "-p", f"{self.dir}/", "-c", "x.conf", "-e", "no/such/dir")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.splitlines()[0],
                         f'{NAME}: [alert] could not open error log file: open() "{self.dir}/no/such/dir" failed '
                         "(2: No such file or directory)")

    def test_an_error_is_shown_and_logged_once_each(self):
        self.file("x.conf", "events { }\nworker_processes x;\n")
        done = self.call("-p", f"{self.dir}/", "-c", "x.conf", "-e", "b")
        message = f'"worker_processes" directive invalid value in {self.dir}/x.conf:2'
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", f"{NAME}: [emerg] {message}\n"))
        log = (self.dir / "b").read_text().splitlines()
        self.assertEqual(len(log), 1)
        self.assertRegex(log[0], r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[emerg\] (\d+)#\1: " + re.escape(message) + "$")


class Directives(CommandLine):
    """-g"""

    def call_with(self, text, config=EMPTY):
        self.file("x.conf", config)
        return self.call("-t", "-p", f"{self.dir}/", "-c", "x.conf", "-e", "b", "-g", text)

    def test_taken(self):
        done = self.call_with(f"pid {self.dir}/p; # a comment\n worker_processes 2;")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((self.dir / "p").exists())

    def test_errors(self):
        for text, message in (
            ("daemon off", 'unexpected end of parameter, expecting ";" in command line'),
            ("events { }", "block directives are not supported in -g option in command line"),
            ("daemon off; }", 'unexpected "}" in command line'),
            ("daemon maybe;", 'invalid value "maybe" in "daemon" directive, it must be "on" or "off" in command line'),
            ("include nofile.conf;", f'open() "{self.dir}/nofile.conf" failed (2: No such file or directory) in command '
                                     "line"),
        ):
            with self.subTest(text):
                done = self.call_with(text)
                self.assertEqual(done.returncode, 1)
                self.assertEqual(done.stderr.splitlines()[0], f"{NAME}: [emerg] {message}")

    def test_a_directive_in_both_places_is_a_duplicate(self):
        done = self.call_with("daemon off;", "events { }\n\ndaemon off;\n")
        self.assertEqual(done.stderr.splitlines()[0],
                         f'{NAME}: [emerg] "daemon" directive is duplicate in {self.dir}/x.conf:3')


@both_users
class Signals(ProxyTest):
    """-s"""

    def running(self):
        return self.start("mail { auth_http 127.0.0.1:1/; server { listen 127.0.0.1:@imap@; protocol imap; } }")

    def test_stop_and_quit(self):
        for name, number, word, suffix in (("stop", 15, "SIGTERM", "exiting"), ("quit", 3, "SIGQUIT", "shutting down")):
            with self.subTest(name):
                proxy = self.running()
                done = proxy.run("-s", name)
                self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
                self.assertEqual(proxy.wait_end(), 0)
                self.assertTrue(proxy.lines(rf"\[notice\] {proxy.master}#{proxy.master}: signal {number} \({word}\) received "
                                            rf"from \d+, {suffix}$"), proxy.told())
                self.assertTrue(proxy.lines(r"\[notice\] \d+#\d+: signal process started$", "builtin.log"))
                self.assertFalse((proxy.dir / "apus.pid").exists())

    def test_reload(self):
        proxy = self.running()
        proxy.same_workers = False
        done = proxy.run("-s", "reload")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        proxy.wait_log(r"signal 1 \(SIGHUP\) received from \d+, reconfiguring$")
        wait_until(lambda: proxy.workers() and proxy.workers() != proxy.first_workers
                   and not set(proxy.workers()) & set(proxy.first_workers), "new workers")

    def test_reopen(self):
        proxy = self.running()
        os.rename(proxy.dir / "error.log", proxy.dir / "old.log")
        done = proxy.run("-s", "reopen")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        wait_until((proxy.dir / "error.log").exists, "the new log")
        proxy.wait_log(r"signal 10 \(SIGUSR1\) received from \d+, reopening logs$", name="old.log")

    def test_a_broken_file_sends_nothing(self):
        proxy = self.running()
        proxy.allow(r'unknown directive "broken"')
        proxy.write("broken;")
        for name in ("reload", "stop"):
            with self.subTest(name):
                done = proxy.run("-s", name)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stderr, rf'^{NAME}: \[emerg\] unknown directive "broken".* in ')
        self.assertEqual(proxy.lines("signal 1 |signal 15 "), [])

    def test_no_pid_file(self):
        proxy = self.prepare("events { }")
        done = proxy.run("-s", "stop")
        self.assertEqual((done.returncode, done.stderr),
                         (1, f'{NAME}: [error] open() "{proxy.dir}/apus.pid" failed (2: No such file or directory)\n'))

    def test_a_pid_file_with_nonsense(self):
        proxy = self.prepare("events { }")
        for content, shown in (("", ""), ("abc\n", "abc"), (" 12\n", " 12"), ("-1", "-1"), ("12 13\n", "12 13")):
            with self.subTest(content):
                self.file("apus.pid", content)
                done = proxy.run("-s", "reload")
                self.assertEqual((done.returncode, done.stderr), (
                    1, f'{NAME}: [error] invalid PID number "{shown}" in "{proxy.dir}/apus.pid"\n'))

    def test_no_such_process(self):
        proxy = self.prepare("events { }")
        gone = subprocess.Popen(["true"])
        gone.wait()
        self.file("apus.pid", f"{gone.pid}\n")
        done = proxy.run("-s", "reload")
        self.assertEqual((done.returncode, done.stderr), (
            1, f"{NAME}: [alert] kill({gone.pid}, 1) failed (3: No such process)\n"))


class OrdinaryUser(CommandLine):

    def test_user_is_only_a_warning(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become someone else")
        os.chmod(self.dir, 0o777)
        self.file("x.conf", f"user www-data nosuchgroup;\nevents {{ }} pid {self.dir}/p; error_log {self.dir}/e;\n")
        done = self.call("-t", "-p", f"{self.dir}/", "-c", "x.conf", "-e", "b", user="nobody")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr.splitlines()[0],
                         f'{NAME}: [warn] the "user" directive makes sense only if the master process runs with '
                         f"super-user privileges, ignored in {self.dir}/x.conf:1")
