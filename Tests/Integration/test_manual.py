"""The manual: it is current, complete and can be rendered."""

import re
import shutil
import subprocess
import unittest

from harness import BINARY, DEADLINE, ROOT, apus_only

DOC = ROOT / "contrib/doc"
PRINTED = {"markdown": "apus.conf.md", "man": "apus.conf.5"}


def call(*words):
    return subprocess.run([BINARY, *words], capture_output=True, text=True, timeout=DEADLINE)


@apus_only
class Manual(unittest.TestCase):

    def printed(self, form):
        done = call("--manual", form)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout

    def test_the_committed_files_are_current(self):
        for form, name in PRINTED.items():
            with self.subTest(name):
                # Not assertEqual: the difference of two long texts says less than how to mend it.
                self.assertTrue((DOC / name).read_text() == self.printed(form),
                                f"contrib/doc/{name} is out of date; renew it: apus --manual {form} > contrib/doc/{name}")

    def test_every_directive_has_a_paragraph(self):
        text = self.printed("markdown")
        directives = text.partition("## Differences from nginx")[0].partition("\n## ")[2]
        entries = [part for part in re.split(r"(?m)^##(?=#? )", directives) if part.startswith("# ")]
        self.assertGreater(len(entries), 70)
        names = [entry.partition("\n")[0].strip("# `") for entry in entries]
        for name in ("mail", "server", "listen", "auth_http", "auth_passwd_file", "proxy_pass", "ssl_certificate",
                     "imap_capabilities", "error_log", "worker_processes", "worker_connections", "include"):
            self.assertIn(name, names)
        roff = self.printed("man")
        for name, entry in zip(names, entries):
            with self.subTest(name):
                heading, facts, paragraph = entry.strip().split("\n\n", 2)
                self.assertRegex(facts, r"^- Syntax: ")
                self.assertIn("\n- Context: ", facts)
                self.assertRegex(paragraph, r"\A[A-Z`].{20,}\.\Z")
                self.assertIn(f"\n.SS {name}\n", roff)

    def test_differences_are_a_table_and_paragraphs(self):
        table = self.printed("markdown").partition("## Differences from nginx\n\n")[2].splitlines()
        self.assertEqual(table[:2], ["| nginx | Apus |", "|---|---|"])
        for row in table[2:]:
            # A bar inside a cell is escaped.
            self.assertRegex(row, r"^\| ([^|]|\\\|)+ \| ([^|]|\\\|)+ \|$")
        paragraphs = self.printed("man").partition('.SH "DIFFERENCES FROM NGINX"\n')[2]
        self.assertEqual(len(re.findall(r"(?m)^nginx: ", paragraphs)), len(table) - 2)
        self.assertEqual(len(re.findall(r"(?m)^Apus: ", paragraphs)), len(table) - 2)

    def test_pages_render_without_warnings(self):
        groff = shutil.which("groff")
        if not groff:
            print("skipped: the manual pages are not rendered, groff is not installed")
            self.skipTest("groff is not installed")
        for name in ("apus.conf.5", "apus.8"):
            with self.subTest(name):
                done = subprocess.run([groff, "-man", "-ww", "-Tascii", "-P-cbou", DOC / name], capture_output=True,
                                      text=True, timeout=DEADLINE)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("NAME", done.stdout)

    def test_the_page_of_the_command_has_every_option(self):
        listed = re.findall(r"(?m)^  (-\S+)", call("-h").stderr)
        options = [option for word in listed for option in word.split(",")]
        self.assertGreaterEqual(len(options), 13)
        page = (DOC / "apus.8").read_text().replace("\\-", "-")
        described = re.findall(r"(?m)^\.TP\n(\..*)$", page.partition(".SH OPTIONS")[2].partition(".SH SIGNALS")[0])
        for option in options:
            with self.subTest(option):
                self.assertTrue(any(re.search(rf"(?<![\w-]){re.escape(option)}(?![\w])", line) for line in described),
                                f"contrib/doc/apus.8 does not describe {option}")

    def test_a_form_that_is_none(self):
        for words in (("--manual",), ("--manual", "html"), ("--manual", "man", "-t")):
            with self.subTest(words):
                done = call(*words)
                self.assertEqual((done.returncode, done.stdout, done.stderr),
                                 (1, "", 'apus: option "--manual" requires "markdown" or "man"\n'))
