# SPDX-License-Identifier: Apache-2.0
"""Debian's Dovecot as a peer: its imap program alone, on two pipes, already logged in, with a mailbox in a folder of its own. No port, no daemon."""
import os
import pathlib
import shutil
import subprocess

PROGRAM = "/usr/lib/dovecot/imap"


class Dovecot:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "dovecot"
        self.folder.mkdir()
        (self.folder / "conf").write_text(f"mail_location = sdbox:~/mail\nlog_path = {self.folder}/log\nssl = no\nnamespace inbox {{\n  inbox = yes\n}}\n")
        self.drop = {}
        if os.geteuid() == 0:  # it does not read mail as root
            shutil.chown(self.folder, "nobody", "nogroup")
            for p in [self.folder, *self.folder.parents]:
                if str(p).startswith("/tmp/"):
                    p.chmod(p.stat().st_mode | 0o011)
            self.drop = {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def start(self):
        """A process that speaks IMAP on its pipes."""
        return subprocess.Popen([PROGRAM, "-c", self.folder / "conf"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                env={"USER": "peer", "HOME": str(self.folder), "TZ": "UTC", "PATH": "/usr/bin:/bin"}, cwd="/", **self.drop)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""
