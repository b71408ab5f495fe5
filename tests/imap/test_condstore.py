# SPDX-License-Identifier: Apache-2.0
"""Change numbers and quick resynchronization (RFC 7162)."""
import re

import pytest
from imap_dialog import PLAIN


def number(text, label="HIGHESTMODSEQ"):
    m = re.search(label + r" \(?(\d+)", text.decode() if isinstance(text, bytes) else text)
    assert m, text
    return int(m[1])


def highest(r):
    return number(r.of(rb"HIGHESTMODSEQ")[0])


def mailbox(c, n=5):
    for _ in range(n):
        c.append(PLAIN)
    return c


@pytest.fixture
def pair(inbox, connect):
    """Two sessions with INBOX selected, five messages."""
    mailbox(inbox)
    other = connect(inbox.user)
    other.ok("SELECT INBOX")
    return inbox, other


def test_capability_and_enable(inbox):
    assert inbox.ok("CAPABILITY").of(rb" CONDSTORE QRESYNC")
    inbox.ok("UNSELECT")
    assert inbox.ok("ENABLE X-NONE CONDSTORE").untagged == [b"* ENABLED CONDSTORE"]
    assert inbox.ok("ENABLE QRESYNC").untagged == [b"* ENABLED QRESYNC"]


def test_select_and_status_agree(inbox):
    h = highest(inbox.ok("SELECT INBOX (CONDSTORE)"))
    assert h > 0 and number(inbox.ok("STATUS INBOX (HIGHESTMODSEQ)").untagged[0]) == h
    inbox.append(PLAIN)
    assert number(inbox.ok("STATUS INBOX (HIGHESTMODSEQ)").of(rb"STATUS")[0]) > h
    assert inbox.do("SELECT INBOX (NOSUCH)").status == "BAD"
    assert inbox.do("SELECT INBOX ()").status == "BAD"


def test_another_select_says_closed(inbox):
    inbox.ok("CREATE two")
    assert inbox.ok("SELECT two").untagged[0].startswith(b"* OK [CLOSED]")
    inbox.ok("CLOSE")
    assert not inbox.ok("SELECT INBOX").of(rb"CLOSED")


def test_fetch_modseq_and_changedsince(pair):
    c, other = pair
    r = c.ok("FETCH 1:* MODSEQ")
    assert highest(r)  # the first command of RFC 7162 in a mailbox that is selected already
    modseqs = [number(u, "MODSEQ") for u in r.of(rb" FETCH \(")]
    assert len(set(modseqs)) >= 1 and len(modseqs) == 5
    other.ok("STORE 2,4 +FLAGS (\\Flagged)")
    r = c.ok("NOOP")
    assert r.of(rb"^\* 2 FETCH \(UID 2 FLAGS \(\\Flagged[^)]*\) MODSEQ \(\d+\)\)$") and r.of(rb"^\* 4 FETCH")
    got = c.fetch(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {max(modseqs)})")
    assert set(got) == {2, 4} and b"MODSEQ (" in got[2]
    assert set(c.fetch(f"UID FETCH 1:3 (FLAGS) (CHANGEDSINCE {max(modseqs)})")) == {2}
    assert c.fetch("FETCH 1:* (FLAGS) (CHANGEDSINCE 9223372036854775807)") == {}
    for bad in ("(CHANGEDSINCE)", "(CHANGEDSINCE 9223372036854775808)", "(CHANGEDSINCE -1)", "()", "(CHANGEDSINCE 1 VANISHED)", "(VANISHED)"):
        assert c.do(f"UID FETCH 1 FLAGS {bad}").status == "BAD", bad


def test_seen_set_by_fetch_carries_uid_and_modseq(inbox):
    mailbox(inbox, 1)
    inbox.ok("SELECT INBOX (CONDSTORE)")
    assert re.search(rb"^\* 1 FETCH \(UID 1 FLAGS \(\\Seen.*MODSEQ \(\d+\)", inbox.fetch("FETCH 1 BODY[]")[1])


def test_conditional_store(pair):
    c, other = pair
    h = highest(c.ok("SELECT INBOX (CONDSTORE)"))
    other.ok("STORE 3 +FLAGS (\\Answered \\Deleted)")
    r = c.ok(f"STORE 2:4 (UNCHANGEDSINCE {h}) +FLAGS.SILENT (\\Deleted)")
    assert r.text.startswith("[MODIFIED 3] ")
    assert r.of(rb"^\* 2 FETCH \(UID 2 MODSEQ \(\d+\)\)$") and r.of(rb"^\* 4 FETCH \(UID 4 MODSEQ \(\d+\)\)$")
    assert r.of(rb"^\* 3 FETCH \(UID 3 FLAGS \(\\Answered[^)]*\) MODSEQ \(\d+\)\)$")  # why it failed
    later = number(r.of(rb"^\* 3 FETCH")[0], "MODSEQ")
    r = c.ok(f"UID STORE 3 (UNCHANGEDSINCE {later}) FLAGS (\\Deleted)")
    assert "MODIFIED" not in r.text and number(r.of(rb"^\* 3 FETCH")[0], "MODSEQ") > later
    assert c.ok("UID STORE 1:5 (UNCHANGEDSINCE 0) +FLAGS (\\Seen)").text.startswith("[MODIFIED 1:5] ")
    assert not other.ok("SEARCH SEEN").of(rb"SEARCH \d")
    assert c.do("STORE 1 (UNCHANGEDSINCE) +FLAGS (\\Seen)").status == "BAD"
    assert c.do("STORE 1 (UNCHANGEDSINCE 1 2) +FLAGS (\\Seen)").status == "BAD"


def test_first_conditional_store_enables(pair):
    c, other = pair
    r = c.ok("STORE 1 (UNCHANGEDSINCE 9223372036854775807) +FLAGS.SILENT (\\Seen)")
    assert highest(r) and r.of(rb"^\* 1 FETCH \(UID 1 MODSEQ")
    # what is there already changes no number
    before = number(c.fetch("FETCH 1 MODSEQ")[1], "MODSEQ")
    assert not c.ok("STORE 1 +FLAGS.SILENT (\\Seen)").of(rb"FETCH")
    assert number(c.fetch("FETCH 1 MODSEQ")[1], "MODSEQ") == before


def test_silent_store_tells_what_others_did(pair):
    c, other = pair
    other.send(b"x STORE 1 +FLAGS.SILENT (\\Flagged)\r\n")
    assert other.wait("x").status == "OK"
    r = c.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    told = r.untagged + c.ok("NOOP").untagged
    assert any(re.search(rb"^\* 1 FETCH \(.*\\Flagged \\Seen", u) for u in told)


def test_search_modseq(pair):
    c, other = pair
    h = highest(c.ok("SELECT INBOX"))
    other.ok("STORE 5 +FLAGS (\\Draft)")
    c.ok("NOOP")
    r = c.ok(f"SEARCH MODSEQ {h + 1}")
    m = re.search(rb"^\* SEARCH 5 \(MODSEQ (\d+)\)$", r.of(rb"SEARCH")[0])
    assert m and int(m[1]) > h
    assert c.ok(f'UID SEARCH MODSEQ "/flags/\\\\draft" all {h + 1}').of(rb"^\* SEARCH 5 \(MODSEQ")
    assert c.ok("SEARCH MODSEQ 9223372036854775807").of(rb"^\* SEARCH$")
    assert c.do("SEARCH MODSEQ x").status == "BAD"
    assert c.do('SEARCH MODSEQ "/flags/x" some 1').status == "BAD"


def test_numbers_do_not_run_ahead_of_an_expunge(pair):
    c, other = pair
    h = highest(c.ok("SELECT INBOX (CONDSTORE)"))
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    c.ok("NOOP")
    other.ok("EXPUNGE")
    r = c.ok("STORE 1 +FLAGS.SILENT (\\Seen)")
    assert not r.of(rb"EXPUNGE") and highest(r) < number(r.of(rb"^\* 1 FETCH")[0], "MODSEQ") and highest(r) > h
    assert c.ok("NOOP").of(rb"EXPUNGE") == [b"* 2 EXPUNGE"]


# ---- QRESYNC


@pytest.fixture
def qresync(connect, account):
    """A client with QRESYNC, ten messages, INBOX selected; what it knows of it is in .known."""
    c = connect(account)
    c.user = account
    c.ok("ENABLE QRESYNC")
    mailbox(c, 10)
    r = c.ok("SELECT INBOX")
    c.known = f"{number(r.of(rb'UIDVALIDITY')[0], 'UIDVALIDITY')} {highest(r)}"
    return c


def test_vanished_instead_of_expunge(qresync, connect):
    other = connect(qresync.user)
    other.ok("SELECT INBOX")
    qresync.ok("STORE 2,3,7 +FLAGS.SILENT (\\Deleted)")
    r = qresync.ok("EXPUNGE")
    assert r.of(rb"VANISHED") == [b"* VANISHED 2:3,7"] and r.text.startswith("[HIGHESTMODSEQ ")
    assert "HIGHESTMODSEQ" not in qresync.ok("EXPUNGE").text
    assert other.ok("NOOP").of(rb"EXPUNGE") == [b"* 7 EXPUNGE", b"* 3 EXPUNGE", b"* 2 EXPUNGE"]
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    assert qresync.ok("FETCH 2 FLAGS").of(rb"VANISHED") == []
    assert qresync.ok("NOOP").of(rb"VANISHED") == [b"* VANISHED 1"]
    qresync.ok("CREATE target")
    r = qresync.ok("UID MOVE 4:5 target")
    assert r.of(rb"VANISHED") == [b"* VANISHED 4:5"] and r.text.startswith("[HIGHESTMODSEQ ")
    qresync.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert "HIGHESTMODSEQ" not in qresync.ok("CLOSE").text  # RFC 7162 3.2.8


def test_uid_search_by_numbers_keeps_numbers(qresync, connect):
    other = connect(qresync.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    qresync.ok("NOOP")
    other.ok("EXPUNGE")
    assert not qresync.ok("UID SEARCH 2:3").of(rb"VANISHED")
    assert qresync.ok("UID SEARCH UID 2:3").of(rb"VANISHED") == [b"* VANISHED 1"]


def test_select_resynchronizes(qresync, connect):
    other = connect(qresync.user)
    other.ok("SELECT INBOX")
    qresync.ok("CLOSE")
    other.ok("STORE 2:4,9 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    other.ok("UID STORE 6,10 +FLAGS.SILENT (\\Flagged)")
    other.append(PLAIN)
    r = qresync.ok(f"SELECT INBOX (QRESYNC ({qresync.known}))")
    assert r.of(rb"VANISHED") == [b"* VANISHED (EARLIER) 2:4,9"]
    assert [int(re.match(rb"\* (\d+) FETCH \(UID (\d+) FLAGS .* MODSEQ \(", u)[2]) for u in r.of(rb" FETCH \(")] == [6, 10, 11]
    assert r.untagged.index(r.of(rb"VANISHED")[0]) < r.untagged.index(r.of(rb" FETCH \(")[0])
    r = qresync.ok(f"SELECT INBOX (QRESYNC ({qresync.known} 3:6))")
    assert r.of(rb"VANISHED") == [b"* VANISHED (EARLIER) 3:4"] and len(r.of(rb" FETCH \(")) == 1
    assert r.untagged[0].startswith(b"* OK [CLOSED]")
    # numbers and UIDs that still agree
    r = qresync.ok(f"SELECT INBOX (QRESYNC ({qresync.known} 1:10 (1,2 1,5)))")
    assert len(r.of(rb" FETCH \(")) == 2
    # now it knows all
    h = highest(r)
    validity = qresync.known.split()[0]
    r = qresync.ok(f"SELECT INBOX (QRESYNC ({validity} {h}))")
    assert not r.of(rb"VANISHED") and not r.of(rb" FETCH \(")
    # another UIDVALIDITY: nothing is said
    r = qresync.ok("SELECT INBOX (QRESYNC (1 1))")
    assert not r.of(rb"VANISHED") and not r.of(rb" FETCH \(")


def test_log_that_does_not_reach_back(qresync):
    validity = qresync.known.split()[0]
    qresync.ok("STORE 2,5:6 +FLAGS.SILENT (\\Deleted)")
    qresync.ok("EXPUNGE")
    r = qresync.ok(f"SELECT INBOX (QRESYNC ({validity} 1 1:20))")
    assert r.of(rb"VANISHED") == [b"* VANISHED (EARLIER) 2,5:6"]
    r = qresync.ok("UID FETCH 1:5 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
    assert r.untagged[0] == b"* VANISHED (EARLIER) 2,5" and len(r.of(rb" FETCH \(")) == 3


def test_fetch_vanished(qresync, connect):
    other = connect(qresync.user)
    other.ok("SELECT INBOX")
    h = highest(qresync.ok("SELECT INBOX"))
    other.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
    other.ok("STORE 10 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    # it went a moment ago: that is news, and no EARLIER
    r = qresync.ok(f"UID FETCH 1:* (FLAGS) (CHANGEDSINCE {h} VANISHED)")
    assert [u for u in r.untagged if b"VANISHED" in u] == [b"* VANISHED 3,10"] or r.of(rb"VANISHED \(EARLIER\)")
    r = qresync.ok(f"UID FETCH 1:* (FLAGS) (VANISHED CHANGEDSINCE {h})")
    assert r.of(rb"VANISHED") == [b"* VANISHED (EARLIER) 3,10"]
    assert qresync.ok(f"UID FETCH 4:6 (FLAGS) (CHANGEDSINCE {h} VANISHED)").of(rb"VANISHED") == []
    assert qresync.do(f"FETCH 1 (FLAGS) (CHANGEDSINCE {h} VANISHED)").status == "BAD"
    assert qresync.do("UID FETCH 1 (FLAGS) (VANISHED)").status == "BAD"


def test_qresync_must_be_enabled(inbox):
    assert inbox.do("SELECT INBOX (QRESYNC (1 1))").status == "BAD"


@pytest.mark.parametrize("params", ["()", "(1)", "(1 0)", "(0 1)", "(1 1 *)", "(1 1 1:* )", "(1 1 1:5 (1))", "(1 1 (1:* 1:*))", "(1 1) (", "(1 1 1:5 (1 2) 3)"])
def test_malformed_parameters(qresync, params):
    assert qresync.do(f"SELECT INBOX (QRESYNC {params})").status == "BAD"
    qresync.ok("NOOP")


def test_match_data_has_bounds(qresync):
    validity = qresync.known.split()[0]
    for match in ("(1:4294967295 1:4294967295)", "(1,2,3 1)", "(1 1,2,3)", "(4294967295 7)", "(1:3,2:4 1:6)"):
        qresync.ok(f"SELECT INBOX (QRESYNC ({validity} 1 1:4294967295 {match}))")


def test_a_change_of_other_flags_is_no_conflict(inbox, connect):
    """RFC 7162 3.1.12: +FLAGS and -FLAGS go through when another session changed something else of the message."""
    c, other = inbox, connect(inbox.user)
    for _ in range(4):
        c.append(PLAIN)
    c.ok("ENABLE CONDSTORE")
    c.ok("STORE 4 +FLAGS ($Mine)")
    known = max(int(n) for u in c.ok("FETCH 1:4 (FLAGS MODSEQ)").untagged for n in re.findall(rb"MODSEQ \((\d+)\)", u))
    other.ok("SELECT INBOX")
    other.ok("STORE 2 +FLAGS (\\Answered)")
    other.ok("STORE 3 +FLAGS (\\Flagged)")
    other.ok("STORE 4 -FLAGS ($Mine)")
    r = c.ok(f"STORE 1:3 (UNCHANGEDSINCE {known}) +FLAGS.SILENT (\\Flagged)")
    assert "[MODIFIED 3]" in r.text, r
    assert any(u.startswith(b"* 2 FETCH") and b"\\Flagged" in u and b"\\Answered" in u and b"MODSEQ" in u for u in r.untagged), r
    r = c.ok(f"STORE 4 (UNCHANGEDSINCE {known}) -FLAGS.SILENT ($Mine)")
    assert "[MODIFIED 4]" in r.text, r
    other.ok("STORE 4 +FLAGS (\\Draft)")
    r = c.ok(f"STORE 4 (UNCHANGEDSINCE {known}) FLAGS ($Mine)")  # not without + and -
    assert "[MODIFIED 4]" in r.text, r
    r = c.ok("STORE 1 (UNCHANGEDSINCE 1) +FLAGS ($New)")  # the client may not know what changed since
    assert "[MODIFIED 1]" in r.text, r
    flags = [re.search(rb"FLAGS \(([^)]*)\)", u).group(1) for u in other.ok("FETCH 1:4 FLAGS").of(rb"FETCH")]
    assert [b"\\Flagged" in f for f in flags] == [True, True, True, False], flags
