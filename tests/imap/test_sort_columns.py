# SPDX-License-Identifier: Apache-2.0
"""SORT, THREAD and searches for frequent words over a mailbox that has packs: the same answers as from facts and texts alone, with messages behind the
packs, some gone from the middle, while packs are made again, and when they are damaged."""
import random
import re
import struct
import subprocess
import time

from house import DOMAIN, PROGRAM

COUNT, PACKED = 2300, 2048
SUBJECTS = ["one", "Re: one", "Two", "fwd: two", "", "=?utf-8?q?Stra=C3=9Fe?=", "STRASSE", "x" * 1100 + "b", "x" * 1100 + "a"]
PEOPLE = ["Ann <ann@example.net>", "bob@example.net", '"Zoe Q" <z@example.net>', "", "no address", "=?utf-8?q?=C3=84nne?= <a@example.net>"]
WORDS = ["with", "within", "the", "other", "rare", "Straße", "a,b", "end"]
QUESTIONS = [
    "SORT (DATE) UTF-8 ALL", "SORT (REVERSE DATE) UTF-8 ALL", "SORT (SUBJECT) UTF-8 ALL", "SORT (REVERSE SUBJECT DATE) UTF-8 ALL", "SORT (FROM) UTF-8 ALL",
    "SORT (TO CC) UTF-8 ALL", "SORT (DISPLAYFROM REVERSE SIZE) UTF-8 ALL", "SORT (DISPLAYTO ARRIVAL) UTF-8 ALL", "UID SORT (SUBJECT FROM) UTF-8 100:2200",
    "SORT (REVERSE FROM) UTF-8 BODY with", "SORT (SUBJECT) UTF-8 1:300,1900:*",
    "THREAD REFERENCES UTF-8 ALL", "THREAD REFS UTF-8 ALL", "THREAD ORDEREDSUBJECT UTF-8 ALL", "UID THREAD REFERENCES UTF-8 50:2250",
    "SEARCH BODY with", "SEARCH BODY ith", "SEARCH TEXT with", "SEARCH NOT BODY other", "SEARCH BODY rare", 'SEARCH BODY "with the"', "SEARCH TEXT example", "SEARCH BODY h",
]


def message(rng, i):
    head = [f"Subject: {rng.choice(SUBJECTS)}", f"From: {rng.choice(PEOPLE)}", f"To: {rng.choice(PEOPLE)}", f"Cc: {rng.choice(PEOPLE)}"]
    head += [f"Date: {rng.randint(1, 28)} Nov 20{rng.randint(10, 26)} 10:{rng.randint(0, 59):02}:00 +0{rng.randint(0, 9)}00" if rng.random() < 0.9 else "Date: none"]
    head += [f"Message-ID: <{i if rng.random() < 0.9 else rng.randint(0, i)}@x>"] if rng.random() < 0.95 else []
    if rng.random() < 0.6:
        head += ["References: " + " ".join(f"<{max(0, i - rng.randint(-2, 30))}@x>" for _ in range(rng.randint(1, 1200 if rng.random() < 0.01 else 6)))]
    words = " ".join(rng.choice(WORDS[:4]) if rng.random() < 0.97 else rng.choice(WORDS) for _ in range(12))
    return "\r\n".join(head + ["", words, ""]).encode()


def answers(c):
    return [sorted(c.ok(q).of(rb"^\* (SEARCH|SORT|THREAD)")) for q in QUESTIONS]


def wait_packed(s, seconds=90):
    end = time.time() + seconds
    while s.json("search", "status", f"ann@{DOMAIN}")["packed"] < PACKED:
        assert time.time() < end, s.json("search", "status", f"ann@{DOMAIN}")
        time.sleep(0.2)


def set_index(s, on):
    s.stop()
    lines = [line for line in s.conf.read_text().splitlines() if not line.startswith("search.index")]
    s.conf.write_text("\n".join(lines + [f"search.index = {'yes' if on else 'no'}", ""]))
    s.start()


def damage(s):
    """Bytes of the keys (mail/sort_keys.h) of each whole pack (mail/search_pack.h) in the segment files; how many there were."""
    packs = 0
    for path in (p for p in s.data.rglob("*") if p.is_file() and "engine" not in p.parts):
        raw = path.read_bytes()
        for at in (m.start() for m in re.finditer(rb"\x03[\x01-\x0f]\0\0" + struct.pack("<I", PACKED), raw)):
            keys = at + struct.unpack_from("<I", raw, at + 24)[0]
            with open(path, "r+b") as f:
                for column in range(9):
                    offset, size = struct.unpack_from("<II", raw, keys + 8 + 12 * column)
                    f.seek(keys + offset + size // 2)
                    f.write(bytes([raw[keys + offset + size // 2] ^ 0x55]))
            packs += 1
    return packs


def test_same_answers(new_server, connect):
    rng = random.Random(11)
    s = new_server("imap.literal-bytes-max = 128k", accounts=("ann",))
    c = connect(f"ann@{DOMAIN}", on=s)
    for first in range(0, COUNT, 100):
        batch = [message(rng, i) for i in range(first, first + 100)]
        c.ok(b"APPEND INBOX" + b"".join(b" {%d+}\r\n%s" % (len(m), m) for m in batch))
    c.ok("SELECT INBOX")
    wait_packed(s)
    other = connect(f"ann@{DOMAIN}", on=s)
    other.ok("SELECT INBOX")
    gone = ",".join(str(n) for n in sorted(rng.sample(range(1, COUNT), 150)))
    other.ok(f"UID STORE {gone} +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    by_packs = answers(other)
    c.ok("NOOP")
    assert answers(c) == by_packs
    # all of them again, in the background
    rebuild = subprocess.Popen([PROGRAM, "-c", s.conf, "search", "rebuild", f"ann@{DOMAIN}"], stdout=subprocess.DEVNULL)
    looks = 0
    while rebuild.poll() is None or looks < 2:
        assert answers(c) == by_packs
        looks += 1
    assert rebuild.returncode == 0
    wait_packed(s)
    # without packs and texts
    set_index(s, False)
    c = connect(f"ann@{DOMAIN}", on=s)
    c.ok("SELECT INBOX")
    assert answers(c) == by_packs
    set_index(s, True)
    c = connect(f"ann@{DOMAIN}", on=s)
    c.ok("SELECT INBOX")
    assert answers(c) == by_packs
    assert damage(s) >= 1
    assert answers(c) == by_packs
