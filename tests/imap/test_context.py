# SPDX-License-Identifier: Apache-2.0
"""Searches whose results are kept up to date (RFC 5267), also with what NOTIFY adds to them (RFC 5465 7)."""
import random
import re

import pytest
from imap_dialog import PLAIN, Client

JUNK = PLAIN.replace(b"Hello World", b"junk")


def expand(text):
    """The numbers of a set, in its order."""
    out = []
    for part in text.split(","):
        low, _, high = part.partition(":")
        out += range(int(low), int(high or low) + 1)
    return out


class Results:
    """What a client believes of one search, from ESEARCH responses alone (and EXPUNGE, where it counts in numbers)."""

    def __init__(self, tag, by_uid):
        self.tag, self.by_uid, self.list = tag, by_uid, []

    def hear(self, line):
        m = re.match(rb'\* ESEARCH \(TAG "([^"]+)"\)( UID)?(.*)$', line)
        if m and m[1].decode() == self.tag:
            assert bool(m[2]) == self.by_uid
            if all_ := re.search(r" ALL ([\d:,]+)", m[3].decode()):
                self.list = expand(all_[1])
            for what, pairs in re.findall(r" (ADDTO|REMOVEFROM) \(([^)]*)\)", m[3].decode()):
                words = pairs.split()
                for position, numbers in zip(words[::2], words[1::2]):
                    self.change(what, int(position), expand(numbers))
        elif not self.by_uid and (m := re.match(rb"\* (\d+) EXPUNGE$", line)):
            gone = int(m[1])
            assert gone not in self.list, "REMOVEFROM comes before EXPUNGE"
            self.list = [n - (n > gone) for n in self.list]

    def change(self, what, position, numbers):
        if what == "REMOVEFROM" and position:
            assert self.list[position - 1:position - 1 + len(numbers)] == numbers, (self.list, position, numbers)
            del self.list[position - 1:position - 1 + len(numbers)]
        elif what == "REMOVEFROM":
            assert set(numbers) <= set(self.list)
            self.list = [n for n in self.list if n not in numbers]
        else:
            assert not set(numbers) & set(self.list)
            if position:
                self.list[position - 1:position - 1] = numbers
            else:
                self.list = sorted(self.list + numbers)


@pytest.fixture
def pair(inbox, connect):
    other = connect(inbox.user)
    for subject in (b"Hello World", b"junk", b"Hello World"):
        other.append(PLAIN.replace(b"Hello World", subject))
    other.ok("SELECT INBOX")
    inbox.ok("NOOP")
    return inbox, other


def test_what_comes_and_goes(pair):
    c, other = pair
    tag = c.start('UID SEARCH RETURN (COUNT UPDATE) SUBJECT hello UNFLAGGED')
    assert c.wait(tag).untagged == [b'* ESEARCH (TAG "%s") UID COUNT 2' % tag.encode()]
    other.append(PLAIN)
    other.append(JUNK)
    r = c.ok("NOOP")
    assert r.untagged[0] == b"* 5 EXISTS" and r.untagged[-1] == b'* ESEARCH (TAG "%s") UID ADDTO (0 4)' % tag.encode()
    other.ok("STORE 1,3 +FLAGS (\\Flagged)")
    r = c.ok("NOOP")  # RFC 5465 5.1: FETCH before ESEARCH
    assert [b"FETCH" in u for u in r.untagged] == [True, True, False]
    assert r.untagged[-1] == b'* ESEARCH (TAG "%s") UID REMOVEFROM (0 1,3)' % tag.encode()
    r = c.ok("STORE 3 -FLAGS (\\Flagged)")  # one's own changes count, too
    assert r.untagged[-1] == b'* ESEARCH (TAG "%s") UID ADDTO (0 3)' % tag.encode()
    other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    r = c.ok("NOOP")
    assert r.untagged[-2:] == [b'* ESEARCH (TAG "%s") UID REMOVEFROM (0 3)' % tag.encode(), b"* 3 EXPUNGE"]
    assert c.ok(f'CANCELUPDATE "{tag}"').text
    other.append(PLAIN)
    assert not c.ok("NOOP").of(rb"ESEARCH")


def test_removed_before_the_number_goes(pair):
    """RFC 5267 A.3: REMOVEFROM comes at once, EXPUNGE when a command allows it."""
    c, other = pair
    tag = c.start("SEARCH RETURN (UPDATE ALL) ALL")
    assert c.wait(tag).untagged == [b'* ESEARCH (TAG "%s") ALL 1:3' % tag.encode()]
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    for _ in range(100):
        if (r := c.ok("FETCH 3 UID")).of(rb"ESEARCH"):
            break
    assert r.of(rb"ESEARCH")[-1:] == [b'* ESEARCH (TAG "%s") REMOVEFROM (0 2)' % tag.encode()] and not r.of(rb"EXPUNGE")
    assert c.ok("NOOP").of(rb"EXPUNGE|ESEARCH") == [b"* 2 EXPUNGE"]
    assert c.ok("NOOP").untagged == []


def test_sorted(pair):
    c, other = pair
    tag = c.start("UID SORT RETURN (ALL UPDATE) (REVERSE SUBJECT) UTF-8 UNFLAGGED")
    assert c.wait(tag).untagged == [b'* ESEARCH (TAG "%s") UID ALL 2,1,3' % tag.encode()]
    other.append(PLAIN.replace(b"Hello World", b"inner"))  # between junk and Hello
    other.append(PLAIN.replace(b"Hello World", b"zebra"))
    other.ok("STORE 1,3 +FLAGS.SILENT (\\Flagged)")
    r = c.ok("NOOP")
    assert r.untagged[-1] == b'* ESEARCH (TAG "%s") UID REMOVEFROM (2 1,3) ADDTO (1 5 3 4)' % tag.encode()


def test_numbers_mean_what_they_meant(pair):
    """RFC 5267 4.3: sequence numbers of the program are those of the moment when it came."""
    c, other = pair
    tag = c.start("UID SEARCH RETURN (ALL UPDATE) 2:*")
    assert b"ALL 2:3" in c.wait(tag).untagged[0]
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    other.append(PLAIN)
    assert not c.ok("NOOP").of(rb"ESEARCH")


def test_compared_as_when_it_was_asked(pair):
    """What COMPARATOR says later does not change a search that is kept."""
    c, other = pair
    tag = c.start("UID SEARCH RETURN (COUNT UPDATE) SUBJECT JUNK")
    assert b"COUNT 1" in c.wait(tag).untagged[0]
    c.ok('COMPARATOR "i;octet"')
    other.append(JUNK)
    assert c.ok("NOOP").of(rb"ESEARCH") == [b'* ESEARCH (TAG "%s") UID ADDTO (0 4)' % tag.encode()]
    assert c.ok("UID SEARCH RETURN (COUNT) SUBJECT JUNK").of(rb"COUNT 0$")


def test_pushed_while_idling_and_with_notify(pair):
    c, other = pair
    tag = c.start("UID SEARCH RETURN (COUNT UPDATE) FLAGGED")
    c.wait(tag)
    idle = c.start("IDLE")
    c.line()
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert b"* 1 FETCH" in c.line()
    assert c.line() == b'* ESEARCH (TAG "%s") UID ADDTO (0 1)' % tag.encode()
    c.send(b"DONE\r\n")
    c.wait(idle)
    c.ok("NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange))")
    other.ok("STORE 1 -FLAGS (\\Flagged)")
    assert b"* 1 FETCH (UID 1 FLAGS" in c.line()
    assert c.line() == b'* ESEARCH (TAG "%s") UID REMOVEFROM (0 1)' % tag.encode()
    other.append(PLAIN, more="(\\Flagged) ")
    lines = [c.line() for _ in range(2)]
    while b" FETCH " not in lines[-1]:
        lines.append(c.line())
    lines = [line for line in lines if b"RECENT" not in line]
    # RFC 5465 5.2: EXISTS, ESEARCH, FETCH
    assert lines[0] == b"* 4 EXISTS" and b"UID ADDTO (0 4)" in lines[1] and lines[2].startswith(b"* 4 FETCH (UID 4 FLAGS (\\Flagged")


def test_what_is_new_is_fetched(pair):
    """RFC 5465 7: UPDATE (...) fetches what came, not what only changed; FETCH stands before ESEARCH."""
    c, other = pair
    tag = c.start("SEARCH RETURN (COUNT UPDATE (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])) SUBJECT hello UNFLAGGED")
    assert b"COUNT 2" in c.wait(tag).untagged[0]
    other.append(PLAIN)
    other.append(JUNK)
    r = c.ok("NOOP")
    what = [u for u in r.untagged if b"RECENT" not in u]
    assert what[0] == b"* 5 EXISTS" and what[1].startswith(b"* 4 FETCH (UID 4 BODY[HEADER.FIELDS (SUBJECT)] {") and what[2] == b'* ESEARCH (TAG "%s") ADDTO (0 4)' % tag.encode()
    assert len(what) == 3
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    c.ok("NOOP")
    other.ok("STORE 1 -FLAGS (\\Flagged)")
    r = c.ok("NOOP")
    assert r.of(rb"ADDTO \(0 1\)") and not r.of(rb"HEADER")
    r = c.append(PLAIN)  # one's own
    assert r.of(rb"ADDTO \(0 6\)") and not r.of(rb"FETCH")


def test_tags_are_used_once(pair):
    c, _ = pair
    c.send(b"same SEARCH RETURN (UPDATE COUNT) ALL\r\n")
    assert c.wait("same").status == "OK"
    for again in (b"SEARCH RETURN (UPDATE) SEEN", b"SORT RETURN (UPDATE) (DATE) UTF-8 ALL"):
        c.send(b"same " + again + b"\r\n")
        assert c.wait("same").status == "BAD"
    c.send(b'same CANCELUPDATE "same"\r\n')
    assert c.wait("same").status == "OK"
    c.send(b"same SEARCH RETURN (UPDATE) SEEN\r\n")
    r = c.wait("same")
    assert r.status == "OK" and r.untagged == [b'* ESEARCH (TAG "same")']


def test_cancel(pair):
    c, _ = pair
    for args in ('"nosuch"', "", " nosuch", ' "a" "b"'):
        assert c.do(f"CANCELUPDATE{args and ' ' + args.strip()}").status == "BAD"
    a, b = (c.start("SEARCH RETURN (UPDATE COUNT) ALL") for _ in range(2))
    c.wait(a), c.wait(b)
    c.ok(f'CANCELUPDATE "{a}" "{b}"')
    a = c.start("SEARCH RETURN (UPDATE COUNT) ALL")
    c.wait(a)
    c.ok("SELECT INBOX")  # ends it
    assert c.do(f'CANCELUPDATE "{a}"').status == "BAD"


def test_hint_and_pages(pair):
    c, _ = pair
    r = c.ok("UID SEARCH RETURN (CONTEXT COUNT) ALL")
    assert r.of(rb"COUNT 3$")
    r = c.ok("UID SORT RETURN (CONTEXT PARTIAL 2:3) (REVERSE ARRIVAL) UTF-8 ALL")
    assert r.of(rb"PARTIAL \(2:3 [\d,:]+\)$")
    assert c.do("SEARCH RETURN (PARTIAL 1:2 PARTIAL 3:4 ALL) ALL").status == "BAD"


def test_limit_of_contexts(pair):
    """The 65th is answered, but not kept (RFC 5267 4.3.1)."""
    c, other = pair
    tags = [c.start("SEARCH RETURN (UPDATE COUNT) FLAGGED") for _ in range(100)]
    refused = 0
    for tag in tags:
        r = c.wait(tag)
        assert r.status == "OK" and r.of(rb"COUNT 0$")
        refused += len(r.of(rb'^\* NO \[NOUPDATE "%s"\]' % tag.encode()))
    assert refused == 36
    other.ok("STORE 1 +FLAGS (\\Flagged)")
    assert len(c.ok("NOOP").of(rb"ADDTO \(0 1\)")) == 64


SEARCHES = ["SEARCH RETURN (ALL UPDATE) UNSEEN", "UID SEARCH RETURN (ALL UPDATE) OR FLAGGED SUBJECT junk", "UID SEARCH RETURN (ALL UPDATE) NOT KEYWORD $One",
            "SORT RETURN (ALL UPDATE) (SUBJECT) UTF-8 UNSEEN", "UID SORT RETURN (ALL UPDATE) (REVERSE SIZE SUBJECT) UTF-8 NOT (FLAGGED KEYWORD $One)",
            "SEARCH RETURN (ALL UPDATE) ALL", "UID SORT RETURN (ALL UPDATE) (REVERSE ARRIVAL) UTF-8 BODY line"]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("how", ["noop", "notify", "delayed"])
def test_results_stay_right(account, connect, seed, how):
    """Sessions change a mailbox; a client that hears only what comes has, at the end, what a new search finds."""
    rng = random.Random(seed)
    writers = [connect(account) for _ in range(2)]
    subjects = [b"junk", b"Hello World", b"apples", b"zebra", b"middle"]
    message = lambda: PLAIN.replace(b"Hello World", rng.choice(subjects)) + b"x" * rng.randint(0, 30) + b"\r\n"
    for w in writers:
        w.ok("SELECT INBOX")
    for _ in range(8):
        writers[0].append(message())
    reader = connect(account)
    reader.ok("SELECT INBOX")
    kept = []

    def hear(r):
        for line in r.untagged:
            for k in kept:
                k.hear(line)

    for s in SEARCHES:
        tag = reader.start(s)
        kept.append(Results(tag, s.startswith("UID")))
        hear(reader.wait(tag))
    if how != "noop":
        hear(reader.ok(f"NOTIFY SET ({'selected' if how == 'notify' else 'selected-delayed'} (MessageNew MessageExpunge FlagChange))"))
    for _ in range(80):
        w = rng.choice(writers)
        uids = f"{rng.randint(1, 40)}:{rng.randint(1, 40)}" if rng.random() < .3 else str(rng.randint(1, 40))
        what = rng.random()
        if what < .3:
            w.append(message())
        elif what < .8:
            w.ok(f"UID STORE {uids} {rng.choice('+-')}FLAGS ({rng.choice(['SEEN', 'FLAGGED', 'DELETED']).capitalize().join([chr(92), ''])} {rng.choice(['$One', '$Two'])})")
        else:
            w.ok("EXPUNGE")
        if rng.random() < .3:
            hear(reader.ok(rng.choice(["NOOP", "FETCH 1 UID" if how == "noop" else "NOOP", "UID STORE 3 +FLAGS (\\Seen)", "UID FETCH 1:3 FLAGS"])))
    for _ in range(2):
        hear(reader.ok("NOOP"))
    check = writers[0]
    check.ok("SELECT INBOX")
    for k, s in zip(kept, SEARCHES):
        tag = check.start(s.replace(" UPDATE", ""))
        now = Results(tag, k.by_uid)
        for line in check.wait(tag).untagged:
            now.hear(line)
        assert k.list == now.list, s
