"""Differences from nginx: each row of the manual's table, and the tests that show it."""

import importlib
import subprocess
import unittest

from harness import BINARY, DEADLINE, ROOT, apus_only

# The beginning of what nginx does, as the manual has it, and the tests of what Apus does instead: a method of these tests,
# or a file below Tests and the name of a test in it. In the order of Sources/ApusDaemon/Differences.swift.
SHOWN_BY = (
    ("A worker that hangs", "test_workers.Hanging.test_is_ended_and_replaced", "test_workers.Crashing.test_the_report"),
    ("Workers keep capabilities", "test_workers.AmbientCapabilities.test_the_workers_do_not_keep_them",
     "test_workers.Privileges.test_nobody_looks_into_their_memory"),
    ("The program's name", "test_cli.Information.test_version"),
    ("Listening sockets are inherited", "test_process.Listening.test_sockets_inherited_from_nginx",
     "test_takeover.Replacing.test_no_connection_attempt_is_lost"),
    ("`http {}` and `stream {}`",
     "test_config_errors.Language.test_foreign_blocks",
     "test_config_errors.Language.test_modules_of_nginx"),
    ("An error of the configuration is one line",
     "test_config_errors.Language.test_the_nearest_known_directive_is_named"),
    ("A comment of more than 4096", "test_config_errors.Language.test_a_long_comment_is_fine"),
    ("Control characters in decoded SASL",
     "test_imap_commands.BadResponses.test_control_bytes_in_decoded_credentials_reach_nobody",
     "test_smtp.Commands.test_control_characters_go_nowhere"),
    ("Control characters of a login",
     "test_bad_input.Logins.test_control_bytes_are_escaped_in_the_log",
     "test_bad_input.Logins.test_control_bytes_of_other_peers_too"),
    ("Where a server behind repeats", "ProxyTests/ReplyForLogTests.swift:end before the password",
     "test_backend.Failures.test_no_password_that_it_repeats_is_in_the_log",
     "test_smtp.Upstream.test_no_password_that_it_repeats_is_in_the_log"),
    ("EXTERNAL with an initial response",
     "test_imap_commands.Authenticate.test_external_not_listed_is_refused_with_an_initial_response_too",
     "test_imap_commands.Authenticate.test_strict_takes_nothing_unlisted"),
    ("An empty IMAP literal size", "test_imap_commands.ParserRefusals.test_an_empty_literal_size_is_refused"),
    ("NUL and other control characters in the arguments of HELO",
     "test_smtp.Commands.test_control_characters_go_nowhere"),
    ("`client was rejected` quotes", "test_smtp.GreetingDelay.test_no_password_is_logged"),
    ("Commands sent together with a MAIL", "test_smtp.Commands.test_mail_without_a_login_is_refused"),
    ("An SMTP server behind that sends several replies",
     "SMTPTests/BackendTests.swift:follows the table, at every split"),
    ("XCLIENT gives `unix:`", "test_smtp.Upstream.test_a_unix_client", "test_postfix.BehindApus.test_a_client_on_a_unix_socket"),
    ("An IMAP literal of no bytes", "test_imap_commands.Login.test_a_literal_of_no_bytes_is_an_empty_string"),
    ("A quoted string that ends",
     "test_imap_commands.ParserRefusals.test_a_quoted_string_cut_off_by_the_line_end_is_refused",
     "IMAPTests/CommandTests.swift:are read whole, byte by byte and cut anywhere"),
    ("NUL in the arguments of IMAP",
     "test_bad_input.Clients.test_nul_everywhere",
     "IMAPTests/CommandTests.swift:are read whole, byte by byte and cut anywhere"),
    ("Invalid Base64 in the user name", "test_imap_commands.BadResponses.test_a_bad_user_name_in_the_login_exchange"),
    ("A response to AUTHENTICATE", "test_imap_commands.Authenticate.test_a_long_response_within_its_own_limit"),
    ("A response to POP3's AUTH", "test_pop3.Login.test_a_long_response_within_its_own_limit"),
    ("Control characters in the arguments of USER",
     "test_pop3.Login.test_control_characters_reach_nobody",
     "POP3Tests/BackendTests.swift:sends no control characters, whoever they came from"),
    ("`client sent too long command` quotes", "test_pop3.FirstWords.test_a_password_too_long_is_not_in_the_log"),
    ("At level `debug`", "test_bad_input.Logins.test_passwords_are_in_no_log_at_the_debug_level"),
    ("The lines after a login that failed",
     "test_imap_commands.BadResponses.test_a_broken_exchange_names_nobody_in_the_log"),
    ("The server behind fails the login when it sends more than the reply",
     "test_backend.Dialog.test_bytes_of_the_server_behind_its_ok_reach_the_client"),
    ("The server behind fails the login when it sends more than one untagged",
     "test_backend.Dialog.test_several_untagged_lines_too_and_in_pieces",
     "IMAPTests/BackendTests.swift:follows the table, at every split"),
    ("An IMAP server behind is sent user and password",
     "test_backend.Dialog.test_a_server_with_literal_plus_may_get_everything_at_once"),
    ("Pipelined commands longer",
     "test_imap_commands.TooLong.test_a_pipelined_burst_of_short_commands_is_not_too_long",
     "test_pop3.FirstWords.test_a_burst_of_short_commands_is_not_too_long"),
    ("`imap_client_buffer`, `smtp_client_buffer` and", "test_limits.Buffers.test_buffers_larger_than_all_memory"),
    ("A client may give any number of commands", "test_sasl.Commands.test_a_thousand_by_default"),
    ("There are no password files",
     "test_passwd_file.Mechanisms.test_external_is_refused",
     "test_passwd_file.Mechanisms.test_external_with_a_verified_certificate_of_that_user"),
    ("Of several faults", "test_tls_settings.Authorities.test_an_unknown_authority_hides_no_other_fault"),
    ("An answer of the authentication service without", "test_auth_http.Answers.test_no_status_is_an_error"),
    ("An empty `Auth-Status` accepts", "test_smtp.Auth.test_an_empty_status_refuses"),
    ("An answer that ends before", "test_auth_http.Misbehaving.test_half_an_answer_then_the_end"),
    ("A server behind that closes", "test_backend.Failures.test_closes_at_once"),
    ("`proxy_pass_error_message` passes on", "test_backend.Failures.test_a_password_that_is_not_the_clients_is_not_passed_on"),
    ("TLS sessions are resumed where another",
     "test_tls.ClientCertificates.test_a_session_from_where_nobody_minds_does_not_resume_where_it_is_revoked"),
    ("`Auth-Error-Code` may be", "AuthTests/HTTPAuthAnswerTests.swift:the whole at once"),
    ("The HTTP status of an answer",
     "test_auth_http.Answers.test_other_than_2xx_never_accepts",
     "test_auth_http.Answers.test_a_refusal_with_another_status_is_honoured"),
    ("Control characters in `Auth-Status`", "test_auth_http.Answers.test_control_bytes_in_any_field_are_refused"),
    ("An answer may have 1 KiB", "test_auth_http.Answers.test_16_kib_of_headers_are_read"),
    ("Each login makes a connection",
     "test_auth_http.KeptConnections.test_reused_when_the_answer_allows_it",
     "test_auth_http.KeptConnections.test_keepalive_0_is_nginx"),
    ("An answer of a `resolver` server that is nonsense", "test_resolver.Rows.test_answers_that_are_none"),
    ("A `resolver` server that refuses", "test_resolver.Servers.test_a_dead_server_is_followed_by_the_next"),
    ("The name of an IPv4 client", "test_resolver.Families.test_ipv4_inside_ipv6_is_ipv4"),
    ("A reverse name that is an alias", "test_resolver.Rows.test_an_alias_of_the_reverse_name_alone_is_followed"),
    ("A client that leaves while its name", "test_resolver.Session.test_who_leaves_meanwhile"),
    ("`WAIT` without `Auth-Wait`",
     "test_auth_http.Wait.test_without_auth_wait_there_is_a_pause_and_an_end",
     "test_auth_http.Wait.test_waiting_for_ever_is_bounded"),
    ("Workers open log files", "test_process.Users.test_workers_have_no_file_open_but_logs"),
    ("USR1 makes a worker", "test_process.Logs.test_a_worker_asks_the_master_to_reopen"),
    ("`env TZ=ZONE`", "test_directives.Environment.test_tz_is_kept_and_can_be_replaced"),
    ("A reload tells the old workers",
     "test_process.Reload.test_new_workers_and_the_log_of_it",
     "test_process.Reload.test_no_connection_fails_while_it_reloads"),
    ("The master stays when no worker",
     "test_process.Respawn.test_a_start_whose_workers_cannot_begin_fails",
     "test_process.Daemon.test_workers_that_cannot_begin_show_in_the_exit_status"),
    ("Orders to a running master",
     "test_control.Orders.test_a_reload_that_fails_says_why",
     "test_control.Upgrades.test_it_crashes_at_start"),
    ("A service manager hears",
     "test_systemd.Notices.test_ready_when_all_workers_accept",
     "test_systemd.Upgrades.test_the_service_moves_on_when_the_old_master_quits",
     "test_systemd.Activation.test_the_sockets_are_taken_by_their_address"),
    ("USR2 is refused", "test_upgrade.Beside.test_again_and_again", "test_upgrade.Beside.test_while_older_ones_drain"),
    ("HUP to a master whose", "test_upgrade.Beside.test_winch_and_hup_to_an_upgraded_master"),
    ("Sockets inherited from another master",
     "test_upgrade.Kept.test_a_unix_socket_that_is_not_wanted_any_more",
     "test_process.Listening.test_sockets_of_nginx_that_are_not_named",
     "test_takeover.BesideTheWeb.test_on_demand_they_are_closed"),
    ("A reload reads the configuration", "test_process.Rehearsal.test_the_master_goes_on_meanwhile"),
    ("TLS tickets are lost", "test_tls.Resumption.test_tickets_in_all_workers", "test_upgrade.Kept.test_tls_tickets"),
    ("When `worker_connections` run out", "test_limits.Connections.test_silent_clients_give_way"),
    ("A PROXY header that comes",
     "test_proxy_protocol.Slow.test_split_at_every_byte",
     "test_proxy_protocol.Slow.test_half_a_header"),
    ("Commands that come in one segment", "test_proxy_protocol.Accepted.test_commands_behind_the_header"),
    ("A client of a UNIX socket whose", "test_proxy_protocol.Told.test_version_2_for_unix_sockets"),
    ("`proxy_timeout` counts", "test_backend.Relay.test_traffic_from_the_backend_alone_does_too"),
    ("Sockets have neither", "test_limits.Speed.test_20_logins_do_not_wait_for_delayed_acks"),
    ("`worker_shutdown_timeout` ends", "test_process.Signals.test_worker_shutdown_timeout"),
    ("A quitting worker drops", "test_process.Reload.test_no_connection_fails_while_it_reloads"),
    ("Unix sockets: a session", "test_imap_commands.UnixSocket.test_the_last_reply_is_not_lost_in_a_reset"),
)


@apus_only
class Differences(unittest.TestCase):

    def rows(self):
        done = subprocess.run([BINARY, "--manual", "markdown"], capture_output=True, text=True, timeout=DEADLINE)
        table = done.stdout.partition("## Differences from nginx\n\n")[2].splitlines()[2:]
        return [row.removeprefix("| ") for row in table]

    def test_every_row_has_its_tests(self):
        rows = self.rows()
        for row in rows:
            with self.subTest(row[:60]):
                named = [beginning for beginning, *_ in SHOWN_BY if row.startswith(beginning)]
                self.assertEqual(len(named), 1, f"name the tests of this difference, once, in {__name__}.SHOWN_BY: {row}")
        for beginning, *tests in SHOWN_BY:
            with self.subTest(beginning):
                self.assertTrue(any(row.startswith(beginning) for row in rows), "no longer a row of the manual")
                self.assertTrue(tests)

    def test_the_tests_exist(self):
        for beginning, *tests in SHOWN_BY:
            for test in tests:
                with self.subTest(test):
                    path, _, name = test.partition(":")
                    if name:
                        self.assertIn(f"func `{name}`", (ROOT / "Tests" / path).read_text())
                    else:
                        module, suite, method = test.split(".")
                        self.assertTrue(hasattr(getattr(importlib.import_module(module), suite), method))


if __name__ == "__main__":
    unittest.main()
