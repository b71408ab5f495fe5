# SPDX-License-Identifier: Apache-2.0
"""A mail server that does as it is told: SMTP or LMTP, over TCP or a Unix socket, with or without TLS. What it was told is kept for each connection."""
import base64
import hashlib
import hmac
import os
import re
import socket
import ssl
import subprocess
import threading
import time


def certificate(folder, names=("mx.test",)):
    """A self-signed certificate for these names, as a context of a server."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={names[0]}",
                    "-addext", "subjectAltName=" + ",".join(f"DNS:{n}" for n in names), "-keyout", folder / "key.pem", "-out", folder / "certificate.pem"],
                   check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return context


class Session:
    def __init__(self, peer):
        self.peer, self.commands, self.messages, self.chunks = peer, [], [], 0
        self.tls, self.user, self.hello = False, None, None


class Scripted:
    """answers: {WORD: reply, or a function of (session, line)}; for the message the word is "END", in LMTP it is asked for each recipient, with its RCPT. A reply of
    None closes the connection. offers: keywords of EHLO."""

    def __init__(self, address=("127.0.0.1", 0), offers=("PIPELINING", "8BITMIME", "SIZE"), answers=None, lmtp=False, tls=None, implicit=False, login=None):
        self.offers, self.answers, self.lmtp, self.tls, self.implicit, self.login = list(offers), dict(answers or {}), lmtp, tls, implicit, login
        self.sessions, self.stopping, self.lock = [], False, threading.Lock()
        if isinstance(address, tuple):
            self.listener = socket.create_server(address, family=socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
            self.port = self.listener.getsockname()[1]
        else:
            self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.listener.bind(str(address))
            os.chmod(address, 0o600)  # as root only the supervisor gets in
            self.listener.listen(16)
        threading.Thread(target=self.run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping = True
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    def messages(self):
        return [m for s in self.sessions for m in s.messages]

    def wait(self, count=1, seconds=30):
        end = time.time() + seconds
        while len(self.messages()) < count:
            assert time.time() < end, f"{len(self.messages())} messages came: {[s.commands for s in self.sessions]}"
            time.sleep(0.02)
        return self.messages()

    def run(self):
        while not self.stopping:
            try:
                c, peer = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c, peer), daemon=True).start()

    def serve(self, c, peer):
        s = Session(peer[0] if peer else "")
        try:
            c.settimeout(30)
            if self.implicit:
                c = self.tls.wrap_socket(c, server_side=True)
                s.tls = True
            with self.lock:
                self.sessions.append(s)
            self.talk(s, c)
        except (OSError, ValueError):
            pass
        finally:
            c.close()

    def talk(self, s, c):
        f = c.makefile("rwb")
        f.write(self.answer(s, "GREETING", "", "220 scripted ESMTP").encode() + b"\r\n")
        f.flush()
        recipients = []
        while True:
            line = f.readline().decode("utf-8", "surrogateescape").rstrip("\r\n")
            if not line:
                return
            word = line.split(" ")[0].upper()
            s.commands.append(line)
            if word in ("EHLO", "LHLO") and word == ("LHLO" if self.lmtp else "EHLO"):
                s.hello = line.split(" ")[1]
                words = self.offers + (["STARTTLS"] if self.tls and not s.tls else [])
                reply = "\r\n".join(f"250{'-' if i < len(words) else ' '}{w}" for i, w in enumerate(["scripted"] + words))
            elif word == "STARTTLS" and self.tls:
                f.write(b"220 go\r\n")
                f.flush()
                c = self.tls.wrap_socket(c, server_side=True)
                f, s.tls = c.makefile("rwb"), True
                continue
            elif word == "AUTH":
                reply = self.auth(s, f, line)
            elif word == "MAIL":
                recipients, reply = [], "250 2.1.0 ok"
            elif word == "RCPT":
                reply = self.answer(s, word, line, "250 2.1.5 ok")
                if reply.startswith("2"):
                    recipients.append(line)
                f.write(reply.encode() + b"\r\n")
                f.flush()
                continue
            elif word == "DATA":
                reply = self.answer(s, word, line, "354 go" if recipients else "554 5.5.1 nobody")
                f.write(reply.encode() + b"\r\n")
                f.flush()
                if reply.startswith("354"):
                    body = b""
                    while (text := f.readline()) != b".\r\n":
                        if not text:
                            return
                        body += text[1:] if text.startswith(b".") else text
                    self.end(s, f, body, recipients)
                continue
            elif word == "BDAT":
                body = f.read(int(line.split(" ")[1]))
                s.chunks += 1
                refused = self.answer(s, "BDAT", line, "")
                if refused:
                    f.write(refused.encode() + b"\r\n")
                    f.flush()
                else:
                    self.end(s, f, body, recipients)
                continue
            elif word == "QUIT":
                f.write(b"221 bye\r\n")
                f.flush()
                return
            else:
                reply = "250 2.0.0 ok"
            f.write(self.answer(s, word, line, reply).encode() + b"\r\n")
            f.flush()

    def answer(self, s, word, line, good):
        a = self.answers.get(word, good)
        a = a(s, line) if callable(a) else a
        if a is None:
            raise ValueError("closed")
        return a or good

    def end(self, s, f, body, recipients):
        taken = False
        for of in recipients if self.lmtp else [""]:
            reply = self.answer(s, "END", of, "250 2.0.0 taken")
            taken |= reply.startswith("2")
            f.write(reply.encode() + b"\r\n")
        if taken:
            s.messages.append(body)
        f.flush()

    # ---- AUTH: login = (name, password)

    def auth(self, s, f, line):
        def ask(text):
            f.write(b"334 " + base64.b64encode(text) + b"\r\n")
            f.flush()
            return base64.b64decode(f.readline().strip())
        words = line.split(" ")
        way, first = words[1].upper(), base64.b64decode(words[2]) if len(words) > 2 else None
        name, password = (x.encode() for x in self.login)
        if way == "PLAIN":
            good = first == b"\0" + name + b"\0" + password
        elif way == "LOGIN":
            good = ask(b"Username:") == name and ask(b"Password:") == password
        elif way == "SCRAM-SHA-256":
            good = self.scram(ask, first, name, password)
        else:
            good = False
        s.user = name.decode() if good else None
        return "235 2.7.0 welcome" if good else "535 5.7.8 no"

    @staticmethod
    def scram(ask, first, name, password):
        bare = first[3:]
        m = re.fullmatch(rb"n=([^,]*),r=(.+)", bare)
        salt, rounds = os.urandom(12), 4096
        nonce = m[2] + b"server"
        server_first = b"r=" + nonce + b",s=" + base64.b64encode(salt) + b",i=%d" % rounds
        final = ask(server_first)
        without, proof = final.rsplit(b",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", password, salt, rounds)
        key = hmac.digest(salted, b"Client Key", "sha256")
        message = bare + b"," + server_first + b"," + without
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        if m[1] != name.replace(b"=", b"=3D").replace(b",", b"=2C") or bytes(a ^ b for a, b in zip(key, signature)) != base64.b64decode(proof):
            return False
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        return ask(b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))) == b""
