# SPDX-License-Identifier: Apache-2.0
"""Debian's Dovecot as a peer: its imap program alone, on two pipes, already logged in, with a mailbox in a folder of its own. No port, no daemon."""
import os
import pathlib
import shutil
import subprocess
import tempfile

PROGRAM = "/usr/lib/dovecot/imap"


class Dovecot:
    """Its folder is right under /tmp: pytest shuts its own folders to other users, and Dovecot does not read mail as root."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="compared-"))
        (self.folder / "conf").write_text(f"mail_location = sdbox:~/mail\nlog_path = /dev/stderr\nssl = no\nnamespace inbox {{\n  inbox = yes\n}}\n")
        self.drop = {}
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody", "nogroup")
            self.drop = {"user": "nobody", "group": "nogroup", "extra_groups": []}

    def start(self):
        """A process that speaks IMAP on its pipes."""
        return subprocess.Popen([PROGRAM, "-c", self.folder / "conf"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=open(self.folder / "log", "ab"),
                                env={"USER": "peer", "HOME": str(self.folder), "TZ": "UTC", "PATH": "/usr/bin:/bin"}, cwd="/", **self.drop)

    def log(self):
        path = self.folder / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def remove(self):
        shutil.rmtree(self.folder)
