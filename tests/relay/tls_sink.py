# SPDX-License-Identifier: Apache-2.0
"""Mail servers with STARTTLS for the tests: several on loopback, at one port and different addresses, each with a certificate of its own."""
import hashlib
import pathlib
import ssl
import subprocess

from remote import Listener


def make_certificate(folder, name):
    """A self-signed certificate for DNS:name; (certificate, key, SHA-256 of its public key)."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN={name[:60]}",
                    "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    public = subprocess.run(["openssl", "x509", "-in", certificate, "-noout", "-pubkey"], check=True, capture_output=True).stdout
    der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], check=True, capture_output=True, input=public).stdout
    return certificate, key, hashlib.sha256(der).hexdigest()


def fingerprint(certificate):
    """SHA-256 of it, as TLSA x 0 1 has it."""
    der = subprocess.run(["openssl", "x509", "-in", certificate, "-outform", "DER"], check=True, capture_output=True).stdout
    return hashlib.sha256(der).hexdigest()


class TlsSink(Listener):
    """Takes every message; `taken` has (recipient, text, whether it came under TLS). certificate None: no STARTTLS; authority: shown behind it."""

    def __init__(self, address, port, certificate=None, key=None, authority=None):
        self.taken, self.context = [], None
        if certificate:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            chain = pathlib.Path(f"{certificate}.chain")
            chain.write_text("".join(pathlib.Path(c).read_text() for c in (certificate, authority) if c))
            self.context.load_cert_chain(chain, key)
        super().__init__(address, port)

    def serve(self, connection, secure=False):
        with connection.makefile("rwb") as f:
            def say(text):
                f.write(text.encode() + b"\r\n")
                f.flush()
            if not secure:
                say("220 sink.test")
            recipient = ""
            for line in f:
                word = line[:4].upper()
                if word == b"EHLO":
                    say("250-sink.test\r\n250 STARTTLS" if self.context and not secure else "250 sink.test")
                elif word == b"STAR":
                    say("220 go")
                    with self.context.wrap_socket(connection, server_side=True) as inner:
                        return self.serve(inner, True)
                elif word == b"RCPT":
                    recipient = line.decode().split("<")[1].split(">")[0]
                    say("250 ok")
                elif word == b"DATA":
                    say("354 go on")
                    text = b""
                    for piece in f:
                        if piece == b".\r\n":
                            break
                        text += piece
                    self.taken.append((recipient, text, secure))
                    say("250 taken")
                elif word == b"QUIT":
                    say("221 bye")
                    return None
                else:
                    say("250 ok")
        return None


def make_authority(folder):
    """Who signs certificates; its own certificate and key."""
    certificate, key = folder / "ca.pem", folder / "ca.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=authority",
                    "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


def make_signed(folder, name, names, authority):
    """A certificate for these DNS names, signed by the authority; (certificate, key)."""
    request, certificate, key, extensions = (folder / f"{name}.{end}" for end in ("csr", "pem", "key", "ext"))
    extensions.write_text("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\n")
    subprocess.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                    "-keyout", key, "-out", request], check=True, capture_output=True)
    subprocess.run(["openssl", "x509", "-req", "-in", request, "-CA", authority[0], "-CAkey", authority[1], "-CAcreateserial", "-days", "30",
                    "-extfile", extensions, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class PolicySite(Listener):
    """An HTTPS server: answers maps a Host to what is written to whoever asks (bytes, or a generator of bytes)."""

    def __init__(self, address, certificate, key, answers):
        self.answers, self.asked = answers, []
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        super().__init__(address)

    def serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as inner, inner.makefile("rwb") as f:
            lines = [line.decode().strip() for line in iter(f.readline, b"\r\n")]
            host = next(line[6:] for line in lines if line.startswith("Host: ")).split(":")[0]
            self.asked.append((host, lines[0]))
            answer = self.answers[host]
            for piece in [answer] if isinstance(answer, bytes) else answer():
                f.write(piece)
                f.flush()
