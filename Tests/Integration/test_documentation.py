"""The articles of ApusMail's documentation: their code is that of the examples, which are built and run (`test_example_protocol`,
`test_example_provider`). That every page builds, and every public symbol has one, `contrib/documentation --check` shows."""

import os
import re
import unittest

from certs import self_signed
from harness import ROOT, ProxyTest, as_root

ARTICLES = ROOT / "Sources/ApusMail/ApusMail.docc"


def code(article):
    """The files of an article: the Swift code under each name, in order."""
    files = {}
    name = None
    for block in re.finditer(r"^\*(\S+\.swift)\*$|^```swift\n(.*?)^```$", (ARTICLES / article).read_text(), re.M | re.S):
        if block[1]:
            name = block[1]
        else:
            files.setdefault(name, []).append(block[2])
    return {name: "\n".join(parts) for name, parts in files.items()}


class Articles(unittest.TestCase):

    def compare(self, article, example):
        written = code(article)
        files = {str(path.relative_to(example)): path.read_text() for path in example.rglob("*.swift")
                 if ".build" not in path.parts}
        self.assertEqual(sorted(written), sorted(files))
        for name, text in files.items():
            self.assertEqual(written[name], text, name)

    def test_declaring_a_protocol(self):
        self.compare("DeclaringAProtocol.md", ROOT / "contrib/example-protocol")

    def test_an_auth_provider(self):
        self.compare("AnAuthProvider.md", ROOT / "contrib/example-provider")


@as_root  # who may listen on their ports
class Configurations(ProxyTest):

    def accepts(self, article, binary):
        blocks = re.findall(r"^```\n(events \{\}\n.*?)^```$", (ARTICLES / article).read_text(), re.M | re.S)
        self.assertEqual(len(blocks), 1)
        certificate, key = self_signed(self.dir / "news.pem", self.dir / "news.key", "news.example.com")
        text = blocks[0].replace("/etc/ssl/news.pem", str(certificate)).replace("/etc/ssl/news.key", str(key))
        done = self.prepare(text, binary=binary).run("-t")
        self.assertEqual(done.returncode, 0, done.stderr)

    @unittest.skipUnless(os.environ.get("APUS_EXAMPLES"), "contrib/test builds the example and names it in APUS_EXAMPLES")
    def test_declaring_a_protocol(self):
        self.accepts("DeclaringAProtocol.md", os.environ["APUS_EXAMPLES"].split(":")[0])

    @unittest.skipUnless(os.environ.get("APUS_EXAMPLE_PROVIDER"),
                         "contrib/test builds the example and names it in APUS_EXAMPLE_PROVIDER")
    def test_an_auth_provider(self):
        self.accepts("AnAuthProvider.md", os.environ["APUS_EXAMPLE_PROVIDER"])


if __name__ == "__main__":
    unittest.main()
