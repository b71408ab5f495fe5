# SPDX-License-Identifier: Apache-2.0
"""What a client may believe: sessions change one mailbox in turn; a client that only hears VANISHED, EXISTS and FETCH keeps a model of it, and one that comes back
with an old change number gets from there to the same state (RFC 7162 3.2.5)."""
import random
import re

import pytest
from imap_dialog import PLAIN, Client


class Model:
    """The mailbox by what the server said: UIDs with flags and change numbers."""

    def __init__(self, uids=None, modseq=0):
        self.flags = dict(uids or {})
        self.modseq = modseq
        self.fetched = 0  # UIDs up to here were asked for

    def copy(self):
        other = Model(self.flags, self.modseq)
        other.fetched = self.fetched
        return other

    def hear(self, r):
        """RFC 7162 6: the highest MODSEQ that was seen counts, unless HIGHESTMODSEQ says otherwise."""
        seen, said = [], None
        for u in [*r.untagged, f"* OK {r.text}".encode()]:
            if m := re.match(rb"\* VANISHED (\(EARLIER\) )?([\d:,]+)$", u):
                for part in m[2].decode().split(","):
                    low, _, high = part.partition(":")
                    for uid in range(int(low), int(high or low) + 1):
                        assert m[1] or uid in self.flags or uid > self.fetched, u
                        self.flags.pop(uid, None)
            elif m := re.match(rb"\* (\d+) FETCH \(UID (\d+) (?:FLAGS \(([^)]*)\) )?MODSEQ \((\d+)\)\)$", u):
                if m[3] is not None:
                    self.flags[int(m[2])] = frozenset(m[3].decode().split()) - {"\\Recent"}
                seen.append(int(m[4]))
            elif m := re.match(rb"\* OK \[HIGHESTMODSEQ (\d+)\]", u):
                said = int(m[1])
            assert not u.endswith(b" EXPUNGE")
        self.fetched = max([self.fetched, *self.flags])
        self.modseq = said if said is not None else max([self.modseq, *seen])


    def ask(self, c, command):
        """One command, and what is new."""
        if "SILENT" in command and 5 in self.flags:  # of one's own change nothing but its number is told
            self.flags[5] |= {"\\Draft"}
        self.hear(c.do(command))
        self.hear(c.do(f"UID FETCH {self.fetched + 1}:* (FLAGS MODSEQ)"))


def truth(c):
    """A mailbox as a new session sees it."""
    c.ok("UNSELECT")
    c.ok("SELECT INBOX")
    r = c.ok("UID FETCH 1:* (FLAGS)")
    return {int(m[1]): frozenset(m[2].decode().split()) - {"\\Recent"} for u in r.untagged if (m := re.match(rb"\* \d+ FETCH \(UID (\d+) FLAGS \(([^)]*)\)", u))}


def change(rng, c):
    what = rng.random()
    uids = f"{rng.randint(1, 60)}:{rng.randint(1, 60)}" if rng.random() < .3 else str(rng.randint(1, 60))
    if what < .35:
        c.append(PLAIN)
    elif what < .85:
        flag = rng.choice(["\\Seen", "\\Flagged", "\\Deleted", "$One", "$Two"])
        return c.ok(f"UID STORE {uids} {rng.choice(['+FLAGS', '-FLAGS', '+FLAGS.SILENT', '-FLAGS.SILENT'])} ({flag})")
    else:
        return c.ok(rng.choice(["EXPUNGE", f"UID EXPUNGE {uids}"]))


@pytest.mark.parametrize("seed", range(8))
def test_models_agree(server, account, connect, seed):
    rng = random.Random(seed)
    writers = [connect(account) for _ in range(2)]
    for w in writers:
        w.ok("SELECT INBOX")
    for _ in range(10):
        writers[0].append(PLAIN)
    reader = connect(account)
    reader.ok("ENABLE QRESYNC")
    r = reader.ok("SELECT INBOX")
    validity = int(re.search(rb"UIDVALIDITY (\d+)", r.of(rb"UIDVALIDITY")[0])[1])
    live = Model()
    live.hear(r)
    live.ask(reader, "NOOP")
    kept = [live.copy()]
    for step in range(120):
        change(rng, rng.choice(writers))
        if rng.random() < .3:
            live.ask(reader, rng.choice(["NOOP", "UID FETCH 1:3 (FLAGS MODSEQ)", "FETCH 1 (UID FLAGS MODSEQ)", "STORE 1 +FLAGS (\\Answered)", "UID STORE 5 +FLAGS.SILENT (\\Draft)"]))
        if rng.random() < .1:
            kept.append(live.copy())
    live.ask(reader, "NOOP")
    live.ask(reader, "NOOP")
    now = truth(writers[0])
    assert live.flags == now
    for old in kept:
        c = Client(server.port("imap")).login(account)
        c.ok("ENABLE QRESYNC")
        old.ask(c, f"SELECT INBOX (QRESYNC ({validity} {old.modseq}))")
        c.close()
        assert old.flags == now
