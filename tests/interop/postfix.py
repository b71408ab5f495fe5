# SPDX-License-Identifier: Apache-2.0
"""Debian's Postfix as a peer: its own folder, its own port, on loopback or in a network namespace. Needs root, as Postfix does."""
import os
import pathlib
import re
import shutil
import socket
import subprocess
import time


class Postfix:
    """Takes mail for `domain` (mailboxes listed in users) into Maildirs, relays the rest by `transport` {domain: "host:port"}. before: words in
    front of its commands, such as ip netns exec NAME."""

    def __init__(self, folder, port, domain, users=(), transport=None, address="127.0.0.1", before=()):
        self.folder = pathlib.Path(folder)
        self.address, self.before = address, list(before)
        self.port, self.domain = port, domain
        self.conf = self.folder / "conf"
        for name in ("conf", "spool", "data", "mail"):
            (self.folder / name).mkdir(parents=True)
        for p in [self.folder, *self.folder.parents]:
            if str(p).startswith("/tmp/"):
                p.chmod(p.stat().st_mode | 0o055)
        shutil.chown(self.folder / "data", "postfix")
        shutil.chown(self.folder / "mail", "nobody", "nogroup")
        (self.conf / "mailboxes").write_text("".join(f"/^{re.escape(u)}@{re.escape(domain)}$/ {u}/Maildir/\n" for u in users))
        (self.conf / "transport").write_text("".join(f"/@{re.escape(d)}$/ smtp:[{h.split(':')[0]}]:{h.split(':')[1]}\n" for d, h in (transport or {}).items()))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=peer.test",
                        "-keyout", self.conf / "key.pem", "-out", self.conf / "cert.pem"], check=True, capture_output=True)
        uid = shutil.os.stat(self.folder / "mail").st_uid
        gid = shutil.os.stat(self.folder / "mail").st_gid
        (self.conf / "main.cf").write_text(f"""compatibility_level = 3.6
queue_directory = {self.folder}/spool
data_directory = {self.folder}/data
myhostname = peer.test
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = {address}
inet_protocols = ipv4
smtpd_peername_lookup = no
smtp_dns_support_level = disabled
smtpd_tls_cert_file = {self.conf}/cert.pem
smtpd_tls_key_file = {self.conf}/key.pem
smtpd_tls_security_level = may
smtpd_tls_received_header = yes
smtp_tls_security_level = may
virtual_mailbox_domains = {domain}
virtual_mailbox_base = {self.folder}/mail
virtual_mailbox_maps = regexp:{self.conf}/mailboxes
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
virtual_minimum_uid = 1
virtual_transport = virtual
transport_maps = regexp:{self.conf}/transport
maillog_file = {self.folder}/maillog
maillog_file_prefixes = /tmp
""")
        master = pathlib.Path("/usr/share/postfix/master.cf.dist").read_text()
        lines = [f"{address}:{port}" + l[4:] if l.startswith("smtp      inet") else l for l in master.splitlines()]
        (self.conf / "master.cf").write_text("\n".join(re.sub(r"^(\S+\s+(?:inet|unix)\s+\S+\s+\S+\s+)y", r"\1n", l) for l in lines) + "\n")

    def start(self):
        r = subprocess.run([*self.before, "postfix", "-c", self.conf, "start"], capture_output=True, text=True, timeout=60)
        assert r.returncode == 0, r.stdout + r.stderr
        end = time.time() + 20
        while time.time() < end and not self.before:  # who is in another namespace waits for an answer himself
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                time.sleep(0.1)
        assert self.before, "Postfix does not listen\n" + self.log()
        return self

    def stop(self):
        subprocess.run([*self.before, "postfix", "-c", self.conf, "stop"], capture_output=True, timeout=60)

    def log(self):
        p = self.folder / "maillog"
        return p.read_text() if p.exists() else ""

    def mail(self, user):
        """What is in a user's Maildir, oldest first."""
        return [p.read_bytes() for p in sorted((self.folder / "mail" / user / "Maildir/new").glob("*"), key=os.path.getmtime)]

    def wait_mail(self, user, count=1, seconds=20):
        end = time.time() + seconds
        while time.time() < end:
            got = self.mail(user) if (self.folder / "mail" / user).exists() else []
            if len(got) >= count:
                return got
            time.sleep(0.1)
        raise AssertionError(f"{user} has no {count} messages at Postfix\n{self.log()}")
