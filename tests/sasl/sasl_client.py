# SPDX-License-Identifier: Apache-2.0
"""SASL exchanges over submission, IMAP and POP3, step by step, right or wrong; SCRAM and bearer tokens made by hand."""
import base64
import hashlib
import hmac
import json
import os
import socket
import ssl
import subprocess
import time

from house import PASSWORD

SCRAM = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


def unb64(text):
    return base64.b64decode(text, validate=True)


class Wire:
    """One connection. begin() and respond() return ("more", challenge), ("ok", text) or ("no", text)."""

    PORTS = {"smtp": ("submission", "submissions"), "imap": ("imap", "imaps"), "pop3": ("pop3", "pop3s")}

    def __init__(self, server, protocol, tls=False, client=None, version=None):
        self.protocol = protocol
        self.socket = socket.create_connection(("127.0.0.1", server.port(self.PORTS[protocol][bool(tls)])), 30)
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            if client:
                context.load_cert_chain(*client)
            if version:
                context.maximum_version = version
            self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")
        self.line()
        if protocol == "smtp":
            self.mechanisms = next(x.split()[1:] for x in self.ehlo() if x.startswith("AUTH"))
        elif protocol == "imap":
            self.mechanisms = [w[5:] for w in self.imap("CAPABILITY")[0].split() if w.startswith("AUTH=")]
        else:
            self.mechanisms = next(x.split()[1:] for x in self.capa() if x.startswith("SASL "))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.file.close()
        self.socket.close()

    def line(self):
        return self.file.readline().decode("utf-8", "replace").rstrip("\r\n")

    def send(self, text):
        self.socket.sendall(text.encode() + b"\r\n")

    def ehlo(self):
        self.send("EHLO c.test")
        lines = []
        while True:
            lines.append(self.line())
            if lines[-1][3:4] != "-":
                return [x[4:] for x in lines]

    def imap(self, command):
        self.send("x " + command)
        lines = []
        while not (lines[-1:] and lines[-1].startswith("x ")):
            lines.append(self.line())
        return lines

    def capa(self):
        self.send("CAPA")
        lines = []
        while (line := self.line()) != ".":
            lines.append(line)
        return lines

    def answer(self):
        while True:
            line = self.line()
            if self.protocol == "smtp":
                return ("more", unb64(line[4:])) if line.startswith("334") else ("ok" if line.startswith("235") else "no", line)
            if line.startswith("+ "):
                return ("more", unb64(line[2:]))
            if self.protocol == "imap" and line.startswith("*"):
                continue
            good = line.startswith("a OK" if self.protocol == "imap" else "+OK")
            return ("ok" if good else "no", line)

    def begin(self, mechanism, initial=None):
        words = {"smtp": "AUTH ", "imap": "a AUTHENTICATE ", "pop3": "AUTH "}[self.protocol] + mechanism
        if initial is not None:
            words += " " + (b64(initial) or "=")
        self.send(words)
        return self.answer()

    def respond(self, data):
        self.send(data if data == "*" else b64(data))
        return self.answer()


class Scram:
    """The client's side; each part can be made wrong. bind: "tls-server-end-point", flag: "n", "y"."""

    def __init__(self, mechanism, user, password=PASSWORD, flag="n", binding=b"", authzid="", nonce=None):
        self.digest = SCRAM[mechanism.removesuffix("-PLUS")]
        self.user, self.password, self.binding = user, password, binding
        self.gs2 = f"{flag},{'a=' + authzid if authzid else ''},"
        self.nonce = nonce or b64(os.urandom(18))

    def first(self):
        name = self.user.replace("=", "=3D").replace(",", "=2C")
        self.bare = f"n={name},r={self.nonce}"
        return (self.gs2 + self.bare).encode()

    def mac(self, key, text):
        return hmac.new(key, text, self.digest).digest()

    def final(self, server_first, nonce=None):
        self.server_first = server_first.decode()
        parts = dict(p.split("=", 1) for p in self.server_first.split(","))
        self.salt, self.iterations = parts["s"], int(parts["i"])
        assert parts["r"].startswith(self.nonce) and len(parts["r"]) > len(self.nonce) + 16
        salted = hashlib.pbkdf2_hmac(self.digest, self.password.encode(), unb64(self.salt), self.iterations)
        client = self.mac(salted, b"Client Key")
        without = f"c={b64(self.gs2.encode() + self.binding)},r={nonce or parts['r']}"
        message = f"{self.bare},{self.server_first},{without}".encode()
        signature = self.mac(hashlib.new(self.digest, client).digest(), message)
        self.expected = b"v=" + b64(self.mac(self.mac(salted, b"Server Key"), message)).encode()
        return f"{without},p={b64(bytes(a ^ b for a, b in zip(client, signature)))}".encode()


def scram(wire, mechanism, user, initial=True, **words):
    """A whole exchange; the last answer."""
    client = Scram(mechanism, user, **words)
    got = wire.begin(mechanism, client.first() if initial else None)
    if not initial and got == ("more", b""):
        got = wire.respond(client.first())
    if got[0] != "more":
        return got
    got = wire.respond(client.final(got[1]))
    if got[0] != "more":
        return got
    assert got[1] == client.expected
    return wire.respond(b"")


def end_point(wire):
    """tls-server-end-point of a certificate that was signed with SHA-256."""
    return hashlib.sha256(wire.socket.getpeercert(True)).digest()


# ---- tokens


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def der_to_raw(der):
    """ECDSA-Sig-Value -> R and S, 32 bytes each (RFC 7518 3.4)."""
    r_len = der[3]
    r, s = der[4:4 + r_len], der[6 + r_len:]
    return b"".join(int.from_bytes(x, "big").to_bytes(32, "big") for x in (r, s))


class Issuer:
    """Signs tokens with keys of its own, made with the openssl command."""

    SECRET = bytes(range(40))
    ISSUER, AUDIENCE = "https://id.example.test", "mail"

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.keys = {}
        for name, words in (("RS256", ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]), ("ES256", ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"])):
            self.keys[name] = folder / f"{name}.pem"
            subprocess.run(["openssl", "genpkey", "-algorithm", *words, "-out", self.keys[name]], check=True, capture_output=True)

    def public(self, name):
        return subprocess.run(["openssl", "pkey", "-in", self.keys[name], "-pubout"], check=True, capture_output=True).stdout.decode()

    def pem(self):
        path = self.folder / "public.pem"
        path.write_text(self.public("RS256") + self.public("ES256"))
        return path

    def jwks(self, *more):
        path = self.folder / "jwks.json"
        path.write_text(json.dumps({"keys": [{"kty": "oct", "kid": "shared", "k": b64url(self.SECRET)}, *more]}))
        return path

    def sign(self, algorithm, text, secret=None):
        if algorithm == "none":
            return b""
        if algorithm == "HS256":
            return hmac.new(secret or self.SECRET, text, "sha256").digest()
        made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.keys[algorithm]], input=text, check=True, capture_output=True).stdout
        return made if algorithm == "RS256" else der_to_raw(made)

    def token(self, address, algorithm="RS256", header=None, secret=None, **claims):
        now = int(time.time())
        body = {"iss": self.ISSUER, "aud": self.AUDIENCE, "email": address, "scope": "openid mail", "exp": now + 600, "iat": now}
        body = {k: v for k, v in {**body, **claims}.items() if v is not None}
        text = b64url(json.dumps({"alg": algorithm, "typ": "JWT", **(header or {})}).encode()) + "." + b64url(json.dumps(body).encode())
        return text + "." + b64url(self.sign(algorithm, text.encode(), secret))

    def conf(self, keys):
        return f"oauth.keys = {keys}\noauth.issuer = {self.ISSUER}\noauth.audience = {self.AUDIENCE}\noauth.scope = mail\noauth.discovery = {self.ISSUER}/.well-known/openid-configuration"


def bearer(user, token):
    return f"n,a={user},\1host=mail.example.test\1port=143\1auth=Bearer {token}\1\1"


def xoauth2(user, token):
    return f"user={user}\1auth=Bearer {token}\1\1"
