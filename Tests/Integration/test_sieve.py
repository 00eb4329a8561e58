"""ManageSieve before the login, the login at the server behind, and real clients with a real Pigeonhole behind."""

import base64
import hashlib
import hmac
import os
import re
import shutil
import socket
import subprocess
import unittest

from certs import Authority, client_context
from dovecot import Dovecot
from harness import DEADLINE, ProxyTest, apus_only, b64, both_users, plain
from scripted import AuthService, accept, drain, hold, refuse
from sieve import (
    ARGUMENTS, ERROR, INVALID, LITERAL, READY, SYNTAX, UNAVAILABLE, UNKNOWN, SieveBackend, SieveTest, capabilities)

LOGIN = f'AUTHENTICATE "PLAIN" "{plain("bob", "wonderland")}"'
LISTED = 'OK "Capabilities listed"'
DONE = 'OK "Done"'


class SecureSieveTest(SieveTest):

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("mail.example.com")

    def secure(self, mail="", **options):
        return self.arrange(f"ssl_certificate {self.certificate}; ssl_certificate_key {self.key}; {mail}", **options)


@both_users
class FirstWords(SieveTest):

    def test_the_greeting(self):
        self.arrange()
        wire = self.connect(self.proxy.ports["sieve"])
        wire.hears(*capabilities(), READY)
        wire.hears_nothing()

    def test_each_command(self):
        self.arrange()
        wire = self.client()
        for line, answer in (
            ("CAPABILITY", [*capabilities(), LISTED]),
            ("capability", [*capabilities(), LISTED]),
            ("CAPABILITY x", [ARGUMENTS]),
            ("NOOP", [DONE]),
            ('NOOP "STARTTLS-SYNC-42"', ['OK (TAG "STARTTLS-SYNC-42") "Done"']),
            ("NOOP {16+}\r\nSTARTTLS-SYNC-42", ['OK (TAG "STARTTLS-SYNC-42") "Done"']),
            (r'noop "say \"a\" \\ \b"', [r'OK (TAG "say \"a\" \\ b") "Done"']),
            ("NOOP {4+}\r\na\r\nb", ["OK (TAG {4}", "a", 'b) "Done"']),
            ("STARTTLS", ['NO "TLS is not available"']),
            ("AUTHENTICATE", [ARGUMENTS]),
            ('AUTHENTICATE "GSSAPI"', [UNAVAILABLE]),
            ('HAVESPACE "main" 435', ['NO "Log in first"']),
            ('PUTSCRIPT "main" {8+}\r\nLOGOUT\r\n', ['NO "Log in first"']),
            ("LISTSCRIPTS", ['NO "Log in first"']),
            ('SETACTIVE "main"', ['NO "Log in first"']),
            ('GETSCRIPT "main"', ['NO "Log in first"']),
            ('DELETESCRIPT "main"', ['NO "Log in first"']),
            ('RENAMESCRIPT "main" "other"', ['NO "Log in first"']),
            ("CHECKSCRIPT {5+}\r\nkeep;", ['NO "Log in first"']),
            ("UNAUTHENTICATE", ['NO "Log in first"']),
            ("NOOP", [DONE]),
        ):
            with self.subTest(line):
                wire.says(line)
                wire.hears(*answer)

    def test_logout(self):
        self.arrange()
        for line in ("LOGOUT\r\n", "logout\nNOOP\r\n"):
            with self.subTest(line):
                wire = self.client()
                wire.sends(line)
                wire.hears('OK "Logged out"')
                wire.hears_end()

    def test_refusals_of_the_parser_are_counted_and_others_not(self):
        self.arrange("max_errors 3;")
        wire = self.client()
        wire.says("STARTTLS", "AUTHENTICATE", 'AUTHENTICATE "GSSAPI"', 'AUTHENTICATE "PLAIN" "!"', "LISTSCRIPTS", "FOO",
                  "NOOP", " NOOP", "NOOP", "a1 NOOP", "NOOP")
        wire.hears('NO "TLS is not available"', ARGUMENTS, UNAVAILABLE, INVALID, 'NO "Log in first"', UNKNOWN, DONE,
                   SYNTAX, DONE, SYNTAX, 'BYE "Too many errors"')
        wire.hears_end()
        self.proxy.wait_log(r"\[info\] .* client sent too many invalid commands while in auth state")

    def test_what_is_no_command(self):
        self.arrange("max_errors 1000;")
        wire = self.client()
        for line in ("", "\0", "NOOP\0", '"NOOP"', "{4+}\r\nNOOP", "NOOP\t", "NOOP\r", 'NOOP "a', 'NOOP "a\0"', 'NOOP "a"b',
                     "NOOP {3+} ", "NOOP {3", "NOOP {3+}\r\nabcd", "NOOP 1 2 3 4", "\xff\xfe", "\x16\x03\x01\x02"):
            with self.subTest(line):
                wire.says(line)
                if line.startswith("{"):
                    # What follows a literal that is none is not looked at.
                    wire.hears(LITERAL)
                    wire.hears_end()
                    wire = self.client()
                else:
                    wire.hears(SYNTAX)
                    wire.says("NOOP")
                    wire.hears(DONE)
        self.serves_others()

    def test_literals_that_cannot_be_read(self):
        self.arrange()
        for size in ("", "+", "-1", "3++", " 3+", "18446744073709551616", "4294967296+", "99999999999999999999999+",
                     "9999999+", "4096+"):
            with self.subTest(size):
                wire = self.client()
                wire.says(f"NOOP {{{size}}}", "NOOP")
                wire.hears(LITERAL)
                wire.hears_end()
        self.serves_others()

    def test_a_command_may_have_4096_bytes(self):
        self.arrange()
        wire = self.client()
        wire.says('STARTTLS "' + "x" * 4083 + '"')
        wire.hears(ARGUMENTS)
        wire.tries_to_send('STARTTLS "' + "x" * 4084 + '"\r\n')
        wire.hears('BYE "Command too long"')
        wire.hears_end()
        self.proxy.wait_log(r'client sent too long command "STARTTLS .x+')

    def test_endless_garbage(self):
        self.arrange()
        for data in (b"\0" * 100_000, b"A" * 100_000, b'"' * 100_000, b"NOOP " * 20_000):
            with self.subTest(data[:5]):
                wire = self.client()
                wire.tries_to_send(data)
                wire.hears('BYE "Command too long"')
                wire.hears_end()
        self.serves_others()

    def test_no_script_and_no_password_is_in_the_log(self):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        for number, (line, shown) in enumerate((("AUTHENTICATE PLAIN ", "AUTHENTICATE"), ("PUTSCRIPT main ", "PUTSCRIPT"),
                                                ("", "..."))):
            with self.subTest(line):
                wire = self.client()
                wire.tries_to_send(line + "wonderland" * 2000 + "\r\n")
                wire.hears('BYE "Command too long"')
                wire.hears_end()
                wrote = self.proxy.wait_log("client sent too long command", number + 1)[-1]
                self.assertIn(f'command "{shown} ..."' if line else 'command "..."', wrote)

    def test_a_burst_of_short_commands_is_not_too_long(self):
        self.arrange()
        wire = self.client()
        wire.sends("NOOP\r\n" * 900)
        wire.hears(*[DONE] * 900)

    def test_too_many_commands(self):
        self.arrange("max_commands 2;")
        wire = self.client()
        wire.says("NOOP", "NOOP", "NOOP", "NOOP")
        wire.hears(DONE, DONE, 'BYE "Too many commands"')
        wire.hears_end()

    def test_silence(self):
        self.arrange("timeout 300ms;")
        for data in (b"", b"NOO", b"NOOP {5+}\r\nab", b'AUTHENTICATE "PLAIN"\r\n'):
            with self.subTest(data):
                wire = self.client()
                wire.sends(data)
                if data.endswith(b"\n"):
                    wire.hears('""')
                wire.hears('BYE "Too slow to log in"')
                wire.hears_end()
        self.proxy.wait_log(r"client timed out \(110: Connection timed out\)", 4)

    def test_who_reads_nothing_is_let_go_too(self):
        self.arrange("timeout 300ms; max_commands 1000000;")
        wire = self.connect(self.proxy.ports["sieve"], buffer=4096)
        for _ in range(200):
            wire.tries_to_send("CAPABILITY\r\n" * 200)
            if self.proxy.lines("client timed out"):
                break
        self.proxy.wait_log("client timed out")
        self.serves_others()

    def serves_others(self):
        wire = self.client()
        wire.says("NOOP")
        wire.hears(DONE)
        wire.closes()


class Capabilities(SecureSieveTest):

    def hears(self, *lines):
        wire = self.connect(self.proxy.ports["sieve"])
        wire.hears(*lines, READY)
        wire.says("CAPABILITY")
        wire.hears(*lines, LISTED)
        return wire

    def test_those_of_the_servers_behind(self):
        self.arrange('sieve_capabilities "IMPLEMENTATION=Cyrus \\"timsieved\\"" "SIEVE=fileinto copy" MAXREDIRECTS=5 OWNER;')
        self.hears('"IMPLEMENTATION" "Cyrus \\"timsieved\\""', '"SIEVE" "fileinto copy"', '"MAXREDIRECTS" "5"', '"OWNER"',
                   '"SASL" "PLAIN"', '"VERSION" "1.0"')

    def test_every_mechanism(self):
        self.arrange("sieve_auth oauthbearer xoauth2 external cram-md5 login plain;")
        self.hears(*capabilities("PLAIN LOGIN CRAM-MD5 EXTERNAL XOAUTH2 OAUTHBEARER"))

    def test_unlisted_mechanisms(self):
        self.arrange("sieve_auth external;")
        wire = self.hears(*capabilities("EXTERNAL"))
        wire.says('AUTHENTICATE "CRAM-MD5"', 'AUTHENTICATE "LOGIN"', '"*"')
        wire.hears(UNAVAILABLE, '"VXNlcm5hbWU6"', 'NO "Authentication cancelled"')

    def test_strict(self):
        self.arrange("sieve_auth external; auth_strict on;")
        wire = self.hears(*capabilities("EXTERNAL"))
        wire.says('AUTHENTICATE "PLAIN"', LOGIN)
        wire.hears(UNAVAILABLE, UNAVAILABLE)

    def test_starttls_on(self):
        self.secure("starttls on;")
        self.hears(*capabilities(starttls=True))

    def test_starttls_only(self):
        self.secure("starttls only; sieve_auth plain external;")
        wire = self.hears(*capabilities("", starttls=True))
        for line in (LOGIN, 'AUTHENTICATE "PLAIN"', f'AUTHENTICATE "EXTERNAL" "{b64("bob")}"'):
            wire.says(line)
            wire.hears('NO (ENCRYPT-NEEDED) "Use STARTTLS first"')
        wire.says("NOOP")
        wire.hears(DONE)
        self.assertEqual(self.auth.requests, [])

    def test_the_port_tells_the_protocol(self):
        proxy = self.prepare("mail { auth_http 127.0.0.1:1; server { listen 127.0.0.1:4190; } }")
        done = proxy.run("-t")
        self.assertEqual(done.returncode, 0, done.stderr)


@both_users
class TLS(SecureSieveTest):

    def test_implicit(self):
        self.secure(listen="ssl")
        wire = self.client(tls=client_context(alpn=["managesieve"]))
        self.assertEqual(wire.sock.selected_alpn_protocol(), "managesieve")
        wire.says("STARTTLS", "CAPABILITY")
        wire.hears('NO "TLS is on already"', *capabilities(), LISTED)
        self.log_in(wire)
        self.assertEqual(self.auth.requests[0].header("Auth-SSL"), "on")

    def test_starttls(self):
        for policy in ("on", "only"):
            with self.subTest(policy):
                self.setUp()
                self.secure(f"starttls {policy};")
                wire = self.client()
                wire.says("STARTTLS")
                wire.hears('OK "Begin TLS negotiation"')
                wire.starts_tls(client_context())
                # Without being asked (RFC 5804, 2.2).
                wire.hears(*capabilities(), 'OK "TLS started"')
                wire.hears_nothing()
                wire.says("STARTTLS", "CAPABILITY")
                wire.hears('NO "TLS is on already"', *capabilities(), LISTED)
                self.log_in(wire)
                self.proxy.wait_log(r"client logged in, client: 127\.0\.0\.1 using starttls, ")

    def test_bytes_behind_starttls_are_discarded(self):
        self.secure("starttls on;")
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.sends(f'STARTTLS\r\n{LOGIN}\r\nNOOP "injected"\r\n')
        wire.hears('OK "Begin TLS negotiation"')
        wire.starts_tls(client_context())
        wire.hears(*capabilities(), 'OK "TLS started"')
        wire.hears_nothing()
        wire.says('NOOP "mine"')
        wire.hears('OK (TAG "mine") "Done"')
        self.assertEqual(self.auth.requests, [])

    def test_an_exchange_does_not_outlive_starttls(self):
        self.secure("starttls on;")
        wire = self.client()
        # STARTTLS is the response of the exchange, and no command.
        wire.says('AUTHENTICATE "PLAIN"', "STARTTLS", "STARTTLS")
        wire.hears('""', INVALID, 'OK "Begin TLS negotiation"')
        wire.starts_tls(client_context())
        self.hears_list(wire, 'OK "TLS started"')
        wire.says(f'"{plain("bob", "wonderland")}"', "NOOP")
        wire.hears(SYNTAX, DONE)

    def test_another_application_protocol(self):
        self.secure(listen="ssl")
        with self.assertRaises(OSError):
            self.connect(self.proxy.ports["sieve"], tls=client_context(alpn=["imap"]))
        self.proxy.allow("no application protocol")

    def test_a_certificate_that_is_missing(self):
        self.secure(f"ssl_verify_client on; ssl_client_certificate {self.authority.certificate};", listen="ssl")
        wire = self.client(tls=client_context(), greeting=None)
        wire.hears('BYE "No required SSL certificate"')
        wire.hears_end()


@both_users
class Login(SieveTest):

    RESPONSE = plain("bob", "wonderland")
    FORMS = (
        (f'AUTHENTICATE "PLAIN" "{RESPONSE}"\r\n', []),
        (f'authenticate "plain" "{RESPONSE}"\n', []),
        (f"AUTHENTICATE PLAIN {RESPONSE}\r\n", []),
        (f'AUTHENTICATE "PLAIN" {{{len(RESPONSE)}+}}\r\n{RESPONSE}\r\n', []),
        (f'AUTHENTICATE "PLAIN" {{{len(RESPONSE)}}}\r\n{RESPONSE}\r\n', []),
        (f'AUTHENTICATE {{5+}}\r\nPLAIN "{RESPONSE}"\r\n', []),
        (f'AUTHENTICATE "PLAIN"\r\n"{RESPONSE}"\r\n', ['""']),
        (f'AUTHENTICATE "PLAIN"\r\n{{{len(RESPONSE)}+}}\r\n{RESPONSE}\r\n', ['""']),
        (f'AUTHENTICATE "LOGIN"\r\n"{b64("bob")}"\r\n"{b64("wonderland")}"\r\n', ['"VXNlcm5hbWU6"', '"UGFzc3dvcmQ6"']),
        (f'AUTHENTICATE "LOGIN" "{b64("bob")}"\r\n"{b64("wonderland")}"\r\n', ['"UGFzc3dvcmQ6"']),
    )

    def logs_in(self, send):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        for data, replies in self.FORMS:
            with self.subTest(data):
                wire = self.client()
                send(wire, data.encode())
                wire.hears(*replies, 'OK "Logged in."')
                self.assertEqual(self.backend.logins[-1], ("bob", "wonderland"))
                self.assertEqual(self.auth.requests[-1].header("Auth-Method"), "plain")
                self.assertEqual(self.auth.requests[-1].header("Auth-Protocol"), "sieve")
                wire.says("LISTSCRIPTS")
                wire.hears('OK "done"')
                wire.says("LOGOUT")
                wire.hears('OK "bye"')
                wire.hears_end()

    def test_whole(self):
        self.logs_in(lambda wire, data: wire.sends(data))

    def test_byte_by_byte(self):
        def slowly(wire, data):
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in data:
                wire.sends(bytes([byte]))

        self.logs_in(slowly)

    def test_split_at_every_byte(self):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        data = f'NOOP {{3+}}\r\na b\r\nAUTHENTICATE "PLAIN" {{{len(self.RESPONSE)}+}}\r\n{self.RESPONSE}\r\nNOOP\r\n'.encode()
        for cut in range(1, len(data)):
            wire = self.client()
            wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.sends(data[:cut])
            if cut >= 17:
                wire.hears('OK (TAG "a b") "Done"')
            wire.sends(data[cut:])
            if cut < 17:
                wire.hears('OK (TAG "a b") "Done"')
            wire.hears('OK "Logged in."', 'OK "done"')
            wire.closes()
        self.assertEqual(set(self.backend.logins), {("bob", "wonderland")})

    def test_pipelined_commands_go_to_the_server_behind(self):
        self.arrange()
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says("NOOP", LOGIN, "LISTSCRIPTS", 'GETSCRIPT "main"', "LOGOUT")
        wire.hears(DONE, 'OK "Logged in."', 'OK "done"', 'OK "done"', 'OK "bye"')
        wire.hears_end()

    def test_the_service_replaces_user_and_password(self):
        backend = SieveBackend()
        self.arrange(backend=backend, answer=lambda _: accept(backend.port, Auth_User="robert", Auth_Pass="other one"))
        self.log_in(self.client())
        self.assertEqual(backend.logins, [("robert", "other one")])

    def test_control_characters_reach_nobody(self):
        self.arrange("sieve_auth plain login external;")
        wire = self.client()
        for line in (f'AUTHENTICATE "PLAIN" "{plain("bob", "x" + chr(13) + chr(10) + "LOGOUT")}"',
                     f'AUTHENTICATE "PLAIN" "{plain("bob" + chr(10), "x")}"',
                     f'AUTHENTICATE "PLAIN" "{b64(chr(0) + "bob" + chr(0) + "x" + chr(0) + "y")}"',
                     f'AUTHENTICATE "LOGIN" "{b64("b" + chr(0) + "b")}"', f'AUTHENTICATE "EXTERNAL" "{b64("bob" + chr(13))}"'):
            with self.subTest(line):
                wire.says(line)
                wire.hears(INVALID)
        self.assertEqual((self.auth.requests, self.backend.connections), ([], []))

    def test_a_long_response_within_its_own_limit(self):
        self.arrange()
        secret = "p" * 6000
        self.proxy.keep_secret(secret)
        response = plain("bob", secret)
        for lines, replies in (
            ((f'AUTHENTICATE "PLAIN" "{response}"',), []),
            ((f'AUTHENTICATE "PLAIN" {{{len(response)}+}}', response), []),
            (('AUTHENTICATE "PLAIN"', f'"{response}"'), ['""']),
        ):
            with self.subTest(replies=replies, lines=len(lines)):
                wire = self.client()
                wire.says(*lines)
                wire.hears(*replies, 'OK "Logged in."')
                # For the server behind it is a literal: a quoted string has 1024 bytes at most.
                self.assertEqual(self.backend.logins[-1], ("bob", secret))

    def test_a_response_beyond_any_limit(self):
        self.arrange()
        for data, reply in (('"' + "A" * 20000 + '"\r\n', 'BYE "Command too long"'), ("{20000+}\r\nAAAA", LITERAL)):
            with self.subTest(reply):
                wire = self.client()
                wire.says('AUTHENTICATE "PLAIN"')
                wire.hears('""')
                wire.tries_to_send(data)
                wire.hears(reply)
                wire.hears_end()
        self.assertEqual(self.auth.requests, [])

    def test_bad_responses(self):
        self.arrange("sieve_auth plain login cram-md5 external; max_errors 1;")
        wire = self.client()
        for number, (mechanism, responses, message) in enumerate((
            ("PLAIN", ["!"], "invalid base64 encoding in AUTH PLAIN"),
            ("PLAIN", [""], "invalid login in AUTH PLAIN"),
            ("PLAIN", [b64("\0bob")], "invalid password in AUTH PLAIN"),
            ("LOGIN", [b64("bob"), "!"], "invalid base64 encoding in AUTH LOGIN"),
            ("CRAM-MD5", [b64("bob 1234")], "invalid CRAM-MD5 hash in AUTH CRAM-MD5"),
            ("EXTERNAL", ["!"], "invalid base64 encoding in AUTH EXTERNAL"),
        ), 1):
            with self.subTest(mechanism=mechanism, responses=responses):
                wire.says(f'AUTHENTICATE "{mechanism}"')
                for response in responses:
                    wire.hears_match('".*"')
                    wire.says(f'"{response}"')
                wire.hears(INVALID)
                line = self.proxy.wait_log("client sent invalid", number)[-1]
                self.assertIn(f"client sent {message} command while in auth state", line)
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "EXTERNAL"):
            wire.says(f'AUTHENTICATE "{mechanism}"')
            wire.hears_match('".*"')
            wire.says('"*"')
            wire.hears('NO "Authentication cancelled"')
        self.assertEqual(len(self.proxy.lines("client sent invalid")), number)

    def test_behind_a_balancer(self):
        def script(wire):
            wire.hears(f"PROXY TCP4 192.0.2.7 127.0.0.1 4711 {self.proxy.ports['sieve']}")
            backend.usual(wire)

        backend = SieveBackend(script)
        self.arrange("set_real_ip_from 127.0.0.0/8; proxy_protocol on;", listen="proxy_protocol", backend=backend,
                     answer=lambda _: accept(backend.port))
        self.proxy.keep_secret("wonderland")
        wire = self.client(greeting=None)
        wire.sends(f"PROXY TCP4 192.0.2.7 127.0.0.1 4711 4190\r\n{LOGIN}\r\n")
        self.hears_list(wire, READY)
        wire.hears('OK "Logged in."')
        self.assertEqual(self.auth.requests[0].header("Client-IP"), "192.0.2.7")
        self.proxy.wait_log(r"client logged in, client: 192\.0\.2\.7, server: .*login: \"bob\"")


class OtherMechanisms(SieveTest):

    def accepts(self, _):
        return accept(self.backend.port, Auth_Pass="the-clear-one")

    def prepared(self, methods, answer=None):
        self.backend = SieveBackend()
        self.arrange(f"sieve_auth {methods};", backend=self.backend, answer=answer or self.accepts)
        self.proxy.keep_secret("the-clear-one")
        return self.client()

    def told(self, number=0):
        request = self.auth.requests[number]
        return [request.header("Auth-" + name) for name in ("Method", "User", "Pass", "Login-Attempt")]

    def test_cram_md5_after_a_refusal(self):
        wire = self.prepared("cram-md5", [refuse("Not yet", Auth_Wait=1), self.accepts])
        for number, answer in enumerate(('NO "Not yet"', 'OK "Logged in."')):
            wire.says('AUTHENTICATE "CRAM-MD5"')
            challenge = wire.hears_match('"(.*)"')[1]
            salt = base64.b64decode(challenge)
            self.assertRegex(salt, rb"<\d+\.\d+@mail\.example\.com>")
            digest = hmac.new(b"wonderland", salt, hashlib.md5).hexdigest()
            wire.says(f'"{b64("bob " + digest)}"')
            wire.hears(answer)
            self.assertEqual(self.told(number), ["cram-md5", "bob", digest, str(number + 1)])
            self.assertEqual(self.auth.requests[number].header("Auth-Salt"), salt.decode())
        self.assertEqual(self.backend.logins, [("bob", "the-clear-one")])

    def test_external(self):
        wire = self.prepared("external")
        wire.says(f'AUTHENTICATE "EXTERNAL" "{b64("bob")}"')
        wire.hears('OK "Logged in."')
        self.assertEqual(self.told(), ["external", "bob", "", "1"])

    def test_tokens(self):
        for mechanism, token, acknowledgement in (
            ("XOAUTH2", "user=bob\1auth=Bearer tok-4711\1\1", '""'),
            ("OAUTHBEARER", "n,a=bob,\1auth=Bearer tok-4711\1\1", '"AQ=="'),
        ):
            with self.subTest(mechanism):
                self.setUp()
                wire = self.prepared("xoauth2 oauthbearer", [
                    refuse("Expired", Auth_Wait=1, Auth_Error_SASL=b64("{}")), self.accepts])
                self.proxy.keep_secret("tok-4711")
                wire.says(f'AUTHENTICATE "{mechanism}" "{b64(token)}"')
                wire.hears(f'"{b64("{}")}"')
                wire.says(acknowledgement, "NOOP", f'AUTHENTICATE "{mechanism}"')
                wire.hears('NO "Expired"', DONE, '""')
                wire.says(f'"{b64(token)}"')
                wire.hears('OK "Logged in."')
                self.assertEqual(self.told(1), [mechanism.lower(), "bob", "tok-4711", "2"])

    def test_tokens_refused_for_good(self):
        wire = self.prepared("xoauth2", refuse("Expired", Auth_Error_SASL=b64("{}")))
        token = b64("user=bob\1auth=Bearer tok\1\1")
        wire.says(f'AUTHENTICATE "XOAUTH2" "{token}"')
        wire.hears(f'"{b64("{}")}"')
        wire.says('""')
        wire.hears('NO "Expired"', 'BYE "Login refused"')
        wire.hears_end()


class Refused(SieveTest):

    def test_the_text_then_the_end(self):
        self.arrange(answer=refuse('Invalid "login" or \\password'))
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says(LOGIN, "NOOP")
        wire.hears(r'NO "Invalid \"login\" or \\password"', 'BYE "Login refused"')
        wire.hears_end()
        self.proxy.wait_log(r'client login failed: ".*" while in http auth state, .*login: "bob"$')

    def test_a_text_too_long_for_quotes(self):
        self.arrange(answer=refuse("x" * 2000))
        wire = self.client()
        wire.says(LOGIN)
        wire.hears("NO {2000}", "x" * 2000, 'BYE "Login refused"')
        wire.hears_end()

    def test_with_a_wait_the_session_goes_on(self):
        backend = SieveBackend()
        self.arrange(backend=backend, answer=[refuse("No", Auth_Wait=1), lambda _: accept(backend.port)])
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says(LOGIN, "NOOP", LOGIN)
        wire.hears('NO "No"', DONE, 'OK "Logged in."')

    def test_a_service_that_fails(self):
        self.arrange(answer=[None])
        wire = self.client()
        wire.says(LOGIN)
        wire.hears(ERROR)
        wire.hears_end()

    def test_a_service_that_knows_no_password(self):
        backend = SieveBackend()
        self.arrange("sieve_auth external;", backend=backend, answer=lambda _: accept(backend.port))
        wire = self.client()
        wire.says(f'AUTHENTICATE "EXTERNAL" "{b64("bob")}"')
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log(r"\[error\] .*auth http server .* did not send password")


class ServerBehind(SieveTest):

    def meets(self, script, mail=""):
        self.arrange(mail, backend=SieveBackend(script, patient=True))
        self.proxy.keep_secret("wonderland")
        wire = self.client()
        wire.says(LOGIN)
        return wire

    @staticmethod
    def refuses(*replies):
        def script(wire):
            for reply in replies[:-1]:
                wire.says(reply)
                wire.hears_line()
            wire.says(replies[-1])
            wire.hears_end()
        return script

    GREETING = '"SASL" "PLAIN"\r\nOK "hi"'
    CASES = ((('BYE "busy"',), None), (('"SASL" ""\r\nNO "busy"',), 'NO "busy"'), (("* OK imap",), None),
             (("+OK pop3",), None), (("220 smtp",), None), (("",), None), (("HTTP/1.0 400 Bad",), None),
             (('"SASL" "PL\r\nOK',), '"SASL" "PL'), (('"SASL" {}\r\nOK',), '"SASL" {}'),
             (('"SASL" {18446744073709551616}\r\nOK',), '"SASL" {18446744073709551616}'),
             (('OK "\0"',), 'OK "\\x00"'),
             ((GREETING, 'NO "wrong"'), None), ((GREETING, 'NO (ENCRYPT-NEEDED) "no"'), None),
             ((GREETING, 'BYE (TRYLATER) "no"'), None), ((GREETING, '""'), None), ((GREETING, "+OK"), None))

    def test_what_it_refuses_is_an_internal_error(self):
        for replies, quoted in self.CASES:
            with self.subTest(replies):
                self.setUp()
                wire = self.meets(self.refuses(*replies))
                wire.hears(ERROR)
                wire.hears_end()
                shown = re.escape(quoted or replies[-1])
                self.proxy.wait_log(
                    rf'\[error\] .*upstream sent invalid response: "{shown}" while reading response from upstream')

    def test_no_password_that_it_repeats_is_in_the_log(self):
        def script(wire):
            wire.says(self.GREETING)
            line = wire.hears_line().replace('"', "'")
            wire.says(f'NO "unknown: {line}"')
            wire.hears_end()

        wire = self.meets(script)
        wire.hears(ERROR)
        wire.hears_end()
        self.proxy.wait_log("upstream sent invalid response: \"NO \"unknown: AUTHENTICATE 'PLAIN' '...\"")

    def test_nonsense_is_not_passed_on(self):
        for replies in (("* OK imap",), ('OK\r\nOK "Logged in."',), (self.GREETING, "+OK")):
            with self.subTest(replies):
                self.setUp()
                wire = self.meets(self.refuses(*replies), "proxy_pass_error_message on;")
                wire.hears(ERROR)
                wire.hears_end()
                self.proxy.wait_log(r"\[error\] .*upstream sent invalid response: ")

    def test_its_words_with_proxy_pass_error_message(self):
        for replies in ((self.GREETING, 'NO "wrong"'), (self.GREETING, 'NO {5}\r\nwrong'), ('BYE "busy"',)):
            with self.subTest(replies):
                self.setUp()
                wire = self.meets(self.refuses(*replies), "proxy_pass_error_message on;")
                wire.hears(*replies[-1].split("\r\n"))
                wire.hears_end()
                self.proxy.wait_log(r"\[info\] .*upstream sent invalid response: ")

    def test_replies_in_pieces(self):
        def script(wire):
            for reply in (b'"NOTIFY" {6}\r\nOK\r\nNO\r\n"SASL" "PLAIN \\"OK\\""\r\nOK (X {2}\r\n\r\n) "hi"\r\n',
                          b'OK (SASL "cnNwYXV0aD0=") "in"\r\n'):
                for byte in reply:
                    wire.sends(bytes([byte]))
                if b"NOTIFY" in reply:
                    wire.hears(LOGIN)
            drain(wire)

        wire = self.meets(script)
        wire.hears('OK (SASL "cnNwYXV0aD0=") "in"')
        wire.closes()

    def test_what_follows_its_reply_is_relayed(self):
        def script(wire):
            wire.says(self.GREETING)
            wire.hears(LOGIN)
            wire.sends('OK "in"\r\n"SIEVE" "fileinto"\r\nOK "new capabilities"\r\n')
            drain(wire)

        wire = self.meets(script)
        wire.hears('OK "in"', '"SIEVE" "fileinto"', 'OK "new capabilities"')

    def test_more_than_a_greeting(self):
        wire = self.meets(lambda wire: (wire.sends('OK\r\nOK "Logged in."\r\n'), drain(wire)))
        wire.hears(ERROR)
        wire.hears_end()
        self.assertNotIn(b"AUTHENTICATE", bytes(self.backend.connections[0].received))

    def test_an_endless_greeting(self):
        for line in ('"NAME" "value"\r\n', "x", "{4000000000}\r\n", '"'):
            with self.subTest(line):
                self.setUp()
                wire = self.meets(lambda wire: (wire.tries_to_send(line * (10_000 // len(line))), drain(wire)))
                wire.hears(ERROR)
                wire.hears_end()
                self.proxy.wait_log(r"\[error\] .*upstream sent (too long response line|invalid response)")

    def test_a_greeting_of_a_server_with_many_extensions(self):
        greeting = '"SIEVE" "' + "x" * 3900 + '"\r\nOK'
        wire = self.meets(lambda wire: (wire.says(greeting), wire.hears(LOGIN), wire.says("OK"), drain(wire)))
        wire.hears("OK")

    def test_silence(self):
        for replies, activity in (((), "connecting to upstream"), ((self.GREETING,), "sending AUTHENTICATE command to upstream"),
                                  (('"SASL" "PLAIN"',), "reading response from upstream")):
            with self.subTest(activity):
                self.setUp()

                def script(wire):
                    for reply in replies:
                        wire.says(reply)
                    hold(wire)

                wire = self.meets(script, "timeout 500ms;")
                wire.hears(ERROR)
                wire.hears_end()
                self.proxy.wait_log(rf"upstream timed out \(110: Connection timed out\) while {activity}, ")

    def test_it_leaves(self):
        for script in (lambda wire: None, lambda wire: wire.says('"SASL" "PLAIN"'), lambda wire: wire.says(self.GREETING)):
            with self.subTest():
                self.setUp()
                wire = self.meets(script)
                wire.hears(ERROR)
                wire.hears_end()


SCRIPT = 'require "fileinto";\r\nif header :contains "subject" "swift" { fileinto "birds"; }\r\n'


@unittest.skipUnless(os.access("/usr/lib/dovecot/managesieve", os.X_OK),
                     "needs Pigeonhole (apt-get install dovecot-managesieved dovecot-sieve)")
@apus_only
class RealServer(ProxyTest):
    """Clients as they are edit the scripts of a user on a real Pigeonhole."""

    @classmethod
    def setUpClass(cls):
        cls.dovecot = Dovecot()
        cls.addClassCleanup(cls.dovecot.stop)
        cls.dovecot.start()

    def setUp(self):
        super().setUp()
        self.authority = Authority(self.dir)
        self.certificate, self.key = self.authority.issue("localhost", alternatives="DNS:localhost,IP:127.0.0.1")
        self.start_proxy()
        self.proxy.keep_secret(self.dovecot.password)

    def users(self):
        def verdict(request):
            if request.header("Auth-Protocol") == "sieve" and request.header("Auth-Pass") == self.dovecot.password:
                return accept(self.dovecot.sieve_port)
            return refuse("Wrong password")

        return f"auth_http 127.0.0.1:{self.serve(AuthService(verdict)).port}/auth;"

    def start_proxy(self):
        self.proxy = self.start(
            f"""
            mail {{
                {self.users()}
                sieve_auth plain login;
                ssl_certificate {self.certificate};
                ssl_certificate_key {self.key};
                server {{ listen 127.0.0.1:@sieve@; protocol sieve; starttls only; }}
                server {{ listen 127.0.0.1:@clear@; protocol sieve; }}
                server {{ listen 127.0.0.1:@sieves@ ssl; protocol sieve; }}
            }}
            """, workers=2)

    def wire(self, port="clear", **options):
        wire = self.connect(self.proxy.ports[port], **options)
        SieveTest.hears_list(wire, READY)
        return wire

    def log_in(self, wire, password=None, user="bob"):
        wire.says(f'AUTHENTICATE "PLAIN" "{plain(user, password or self.dovecot.password)}"')
        return wire

    def test_a_session_by_hand(self):
        wire = self.log_in(self.wire("sieves", tls=client_context()), user="hand")
        wire.hears('OK "Logged in."')
        wire.says('HAVESPACE "main" 200')
        wire.hears_match('OK ?.*')
        wire.says(f'PUTSCRIPT "main" {{{len(SCRIPT)}+}}')
        wire.sends(SCRIPT + "\r\n")
        wire.hears_match("OK .*")
        wire.says("CHECKSCRIPT {9+}", "nonsense;")
        self.assertRegex(self.rest_of_reply(wire), r"\ANO .*unknown command")
        wire.says("LISTSCRIPTS")
        wire.hears('"main"')
        wire.hears_match("OK .*")
        wire.says('SETACTIVE "main"')
        wire.hears_match("OK .*")
        wire.says("LISTSCRIPTS")
        wire.hears('"main" ACTIVE')
        wire.hears_match("OK .*")
        wire.says('GETSCRIPT "main"')
        wire.hears(f"{{{len(SCRIPT)}}}")
        wire.hears_exactly(SCRIPT + "\r\n")
        wire.hears_match("OK .*")
        wire.says('SETACTIVE ""', 'RENAMESCRIPT "main" "other"', 'DELETESCRIPT "other"')
        for _ in range(3):
            wire.hears_match("OK .*")
        wire.says("LISTSCRIPTS", "LOGOUT")
        wire.hears_match("OK .*")
        wire.hears_match("OK .*")
        wire.hears_end()

    @staticmethod
    def rest_of_reply(wire):
        """A reply that may hold a literal, as text."""
        line = wire.hears_line()
        if line.endswith("}"):
            line += wire.hears_bytes(int(line[line.rindex("{") + 1:-1])).decode() + wire.hears_line()
        return line

    def test_the_default_capabilities_are_those_of_pigeonhole(self):
        def lists(wire):
            lines = []
            while not (lines and lines[-1].startswith("OK")):
                lines.append(wire.hears_line())
            return sorted(line for line in lines if line.startswith(('"SIEVE"', '"NOTIFY"', '"SASL"', '"VERSION"')))

        self.assertEqual(lists(self.connect(self.proxy.ports["clear"])), lists(self.connect(self.dovecot.sieve_port)))

    def test_a_large_script(self):
        wire = self.log_in(self.wire(), user="large")
        wire.hears('OK "Logged in."')
        script = SCRIPT + "# " + "\r\n# ".join("x" * 70 for _ in range(8000)) + "\r\n"
        self.assertGreater(len(script), 512 << 10)
        wire.says(f'PUTSCRIPT "large" {{{len(script)}+}}')
        wire.sends(script + "\r\n")
        wire.hears_match("OK .*")
        wire.says('GETSCRIPT "large"')
        wire.hears(f"{{{len(script)}}}")
        wire.hears_exactly(script + "\r\n")
        wire.hears_match("OK .*")

    def test_a_wrong_password(self):
        wire = self.log_in(self.wire(), "something else")
        wire.hears_match('NO ".+"')

    def run_client(self, *words, status=0, **options):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=3 * DEADLINE, cwd=self.dir,
                              env={"PATH": os.environ["PATH"], "HOME": str(self.dir), "LC_ALL": "C"}, **options)
        told = done.stdout + done.stderr
        self.assertEqual(done.returncode, status, told) if status == 0 else self.assertNotEqual(done.returncode, 0, told)
        return told

    @unittest.skipUnless(shutil.which("sieve-connect"), "needs sieve-connect (apt-get install sieve-connect)")
    def test_sieve_connect(self):
        def connects(*words, password=self.dovecot.password, status=0, ca=self.authority.certificate):
            return self.run_client(
                "/usr/bin/sieve-connect", "--server", "localhost", "-4", "--port", self.proxy.ports["sieve"], "--user", "connie",
                "--tlscafile", ca, "--passwordfd", "0", *words, input=password + "\n", status=status)

        local = self.file("local.sieve", SCRIPT)
        connects("--checkscript", "--localsieve", local)
        connects("--upload", "--localsieve", local, "--remotesieve", "filter")
        self.assertRegex(connects("--list"), r'"filter"')
        connects("--activate", "--remotesieve", "filter")
        self.assertRegex(connects("--list"), r'"filter" ACTIVE')
        connects("--download", "--remotesieve", "filter", "--localsieve", self.dir / "back.sieve")
        self.assertEqual((self.dir / "back.sieve").read_bytes().replace(b"\r\n", b"\n"), SCRIPT.replace("\r\n", "\n").encode())
        connects("--deactivate")
        connects("--delete", "--remotesieve", "filter")
        self.assertNotIn("filter", connects("--list"))
        self.assertIn("Authentication refused", connects("--list", password="something else", status=1))
        stranger = Authority(self.dir, "Another CA").certificate
        connects("--list", status=1, ca=stranger)

    SIEVELIB = """
import sys
from sievelib.managesieve import Client
port, password, script = int(sys.argv[1]), sys.argv[2], open(sys.argv[3]).read()
for mechanism in ("PLAIN", "LOGIN"):
    client = Client("127.0.0.1", port)
    assert client.connect("libby", password, starttls=True, authmech=mechanism), client.errmsg
    assert "fileinto" in client.get_sieve_capabilities()
    assert client.havespace("main", len(script))
    assert client.putscript("main", script), client.errmsg
    assert not client.putscript("bad", "nonsense;")
    assert client.setactive("main")
    assert client.listscripts() == ("main", []), client.listscripts()
    assert client.getscript("main").split() == script.split(), client.getscript("main")
    assert client.setactive("")
    assert client.renamescript("main", "other")
    assert client.deletescript("other")
    client.logout()
client = Client("127.0.0.1", port)
assert not client.connect("libby", "something else", starttls=True)
assert client.errmsg, client.errmsg
print("all done")
"""

    def test_sievelib(self):
        python = "/usr/bin/python3"
        if subprocess.run([python, "-c", "import sievelib"], capture_output=True).returncode != 0:
            self.skipTest("needs sievelib (apt-get install python3-sievelib)")
        told = self.run_client(python, "-W", "ignore", "-c", self.SIEVELIB, self.proxy.ports["sieve"],
                               self.dovecot.password, self.file("script", SCRIPT))
        self.assertIn("all done", told)


class RealServerAndPasswordFile(RealServer):

    def users(self):
        import crypt
        hashed = crypt.crypt(self.dovecot.password, "$6$rounds=1000$saltsalt")
        # A line with a host alone: the port is the one of this protocol's `proxy_pass`.
        self.file("users", "".join(
            f"{name}:{{SHA512-CRYPT}}{hashed}::::::{extra}\n"
            for name, extra in (("bob", ""), ("hand", "host=127.0.0.1"), ("large", ""), ("connie", ""), ("libby", ""))))
        return f"auth_passwd_file {self.dir}/users; proxy_pass 127.0.0.1:{self.dovecot.sieve_port};"

    def test_a_wrong_password(self):
        wire = self.log_in(self.wire(), "something else")
        wire.hears_match('NO ".+"')
        wire = self.log_in(self.wire(), user="nobody-known")
        wire.hears_match('NO ".+"')


if __name__ == "__main__":
    unittest.main()
