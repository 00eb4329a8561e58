"""Certificates for tests, made with the openssl command."""

import pathlib
import subprocess
import ssl


def openssl(*words, **options):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"openssl {words}: {done.stderr}")
    return done.stdout


class Authority:
    """A certificate authority in a directory; every certificate gets an EC key unless told otherwise."""

    def __init__(self, directory, name="Test CA"):
        self.dir = pathlib.Path(directory)
        self.name = name
        self.slug = name.lower().replace(" ", "-")
        self.certificate = self.dir / f"{self.slug}.pem"
        self.key = self.dir / f"{self.slug}.key"
        self_signed(self.certificate, self.key, name, authority=True)
        self.serial = 0x1000

    def issue(self, name, rsa=False, subject=None, alternatives=None):
        """(certificate, key) of a leaf signed by this authority; `alternatives` as OpenSSL writes a subjectAltName."""
        self.serial += 1
        base = self.dir / name.replace(" ", "-")
        certificate, key, request = (base.with_name(base.name + suffix) for suffix in (".pem", ".key", ".csr"))
        make_key(key, rsa)
        more = ["-addext", f"subjectAltName={alternatives}"] if alternatives else []
        openssl("req", "-new", "-key", key, "-subj", subject or f"/CN={name}", "-out", request, *more)
        openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-copy_extensions", "copy",
                "-set_serial", str(self.serial), "-days", "30", "-sha256", "-out", certificate)
        return certificate, key


def make_key(path, rsa=False):
    if rsa:
        openssl("genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", path)
    else:
        openssl("genpkey", "-quiet", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path)
    path.chmod(0o644)


def self_signed(certificate, key, name, authority=False, rsa=False):
    make_key(pathlib.Path(key), rsa)
    words = ["req", "-x509", "-new", "-key", key, "-subj", f"/CN={name}", "-days", "30", "-sha256", "-out", certificate]
    if not authority:
        words += ["-addext", "basicConstraints=critical,CA:FALSE"]
    openssl(*words)
    return certificate, key


def client_context(certificate=None, key=None, minimum=None, maximum=None, alpn=None, ciphers=None):
    """A client that does not verify the server: what it accepts is not what these tests are about."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(certificate, key)
    if minimum:
        context.minimum_version = minimum
    if maximum:
        context.maximum_version = maximum
    if alpn:
        context.set_alpn_protocols(alpn)
    if ciphers:
        context.set_ciphers(ciphers)
    return context
