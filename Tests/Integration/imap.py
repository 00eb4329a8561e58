"""The usual arrangement of an IMAP test: auth service, server behind, and the proxy between them."""

from harness import ProxyTest
from scripted import AuthService, Backend, accept

GREETING = "* OK IMAP4 ready"


class IMAPTest(ProxyTest):
    """`arrange()` starts all three; `client()` connects and has heard the greeting."""

    def arrange(self, mail="", server="", main="", answer=None, backend=None, keep=False, listen="", **options):
        self.backend = self.serve(backend if backend is not None else Backend())
        if answer is None:
            answer = accept(self.backend.port)
        self.auth = self.serve(AuthService(answer, keep=keep))
        return self.run_proxy(mail, server, main, listen, **options)

    def run_proxy(self, mail="", server="", main="", listen="", **options):
        ports = {"auth": self.auth.port, **options.pop("ports", {})}
        if getattr(self, "backend", None) is not None:
            ports.setdefault("backend", self.backend.port)
        self.proxy = self.start(
            f"""
            {main}
            mail {{
                server_name mail.example.com;
                auth_http 127.0.0.1:@auth@/auth;
                {mail}
                server {{
                    listen 127.0.0.1:@imap@ {listen};
                    protocol imap;
                    {server}
                }}
            }}
            """, ports=ports, **options)
        return self.proxy

    def client(self, port="imap", greeting=GREETING, **options):
        wire = self.connect(self.proxy.ports[port], **options)
        if greeting:
            wire.hears(greeting)
        return wire

    def log_in(self, wire, user="bob", password="wonderland", tag="a1"):
        self.proxy.keep_secret(password)
        wire.says(f"{tag} LOGIN {user} {password}")
        wire.hears(f"{tag} OK Logged in")
        return wire

    def serves_others(self):
        """After whatever happened, the next user is served."""
        wire = self.client()
        wire.says("z1 NOOP")
        wire.hears("z1 OK completed")
        wire.closes()
