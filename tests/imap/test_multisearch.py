# SPDX-License-Identifier: Apache-2.0
"""One search over several mailboxes (RFC 7377)."""
import re

import pytest
from imap_dialog import PLAIN

JUNK = PLAIN.replace(b"Hello World", b"junk")


@pytest.fixture
def many(inbox):
    """INBOX (selected) 1 of 2 match; Work 2, Work/Deep 1, Work/Deep/Er 1, Empty none, "j\xfcnk" only junk."""
    c = inbox
    for name in ("Work/Deep/Er", "Empty", "j&APw-nk"):
        c.ok(f"CREATE {name}")
    for name, messages in (("INBOX", [PLAIN, JUNK]), ("Work", [JUNK, PLAIN, PLAIN]), ("Work/Deep", [PLAIN]), ("Work/Deep/Er", [PLAIN]), ("j&APw-nk", [JUNK])):
        for m in messages:
            c.append(m, name)
    c.ok("NOOP")
    return c


def found(r):
    """{mailbox: what stands behind UID}"""
    out = {}
    for u in r.of(rb"^\* ESEARCH"):
        m = re.fullmatch(rb'\* ESEARCH \(TAG "t\d+" MAILBOX "([^"]+)" UIDVALIDITY \d+\) UID (.*)', u)
        assert m and m[1] not in out, u
        out[m[1].decode()] = m[2].decode()
    return out


def test_sources(many):
    c = many
    work = {"Work": "ALL 2:3"}
    deep, er, box = {"Work/Deep": "ALL 1"}, {"Work/Deep/Er": "ALL 1"}, {"INBOX": "ALL 1"}
    for sources, expected in (("personal", {**box, **work, **deep, **er}), ("inboxes", {**box, **work, **deep, **er}), ("subtree Work", {**work, **deep, **er}),
                              ("subtree-one Work", {**work, **deep}), ("mailboxes (Work Nowhere Empty)", work), ("mailboxes Nowhere", {}), ("selected", box), ("selected mailboxes Work", {**box, **work}),
                              ("mailboxes INBOX subtree Work mailboxes Work", {**box, **work, **deep, **er}), ("subscribed", box)):
        assert found(c.ok(f"ESEARCH IN ({sources}) SUBJECT hello")) == expected, sources
    assert found(c.ok("ESEARCH SUBJECT hello")) == box
    assert found(c.ok("ESEARCH IN (personal) SUBJECT junk")) == {"INBOX": "ALL 2", "Work": "ALL 1", "j&APw-nk": "ALL 1"}


def test_return_options(many):
    c = many
    r = c.ok("ESEARCH IN (subtree Work) RETURN (MIN MAX COUNT) SUBJECT hello")
    assert found(r)["Work"] == "MIN 2 MAX 3 COUNT 2" and found(r)["Work/Deep"] == "MIN 1 MAX 1 COUNT 1"
    assert found(c.ok("ESEARCH IN (personal) RETURN (COUNT) SUBJECT nosuch")) == {}  # RFC 7377 2.1: also with COUNT
    assert found(c.ok("ESEARCH IN (mailboxes Work) RETURN (PARTIAL 2:9) ALL")) == {"Work": "PARTIAL (2:9 2:3)"}
    c.ok("ENABLE CONDSTORE")
    assert re.fullmatch(r"ALL 1:3 MODSEQ \d+", found(c.ok("ESEARCH IN (mailboxes Work) MODSEQ 1"))["Work"])


def test_the_selected_mailbox_is_left_alone(many, connect):
    c = many
    c.ok("STORE 2 +FLAGS ($Mine)")
    c.ok("UID SEARCH RETURN (SAVE) 2")
    other = connect(c.user)
    other.ok("SELECT Work")
    other.ok("STORE 1 +FLAGS ($Theirs)")
    r = c.ok("ESEARCH IN (personal) KEYWORD $Theirs")
    assert found(r) == {"Work": "ALL 1"} and not r.of(rb"FLAGS \(|EXISTS|EXPUNGE|RECENT")
    assert c.ok("UID SEARCH $").of(rb"SEARCH 2$")
    assert c.fetch("FETCH 1:* (UID FLAGS)").keys() == {1, 2}
    other.ok("SELECT INBOX")  # what others did here is told as ever
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    assert c.ok("NOOP").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]


def test_messages_stay_recent(many, connect):
    c = many
    c.ok("ESEARCH IN (personal) ALL")
    assert b"* 3 RECENT" in c.ok("SELECT Work").untagged


def test_without_a_mailbox(many):
    c = many
    c.ok("UNSELECT")
    assert found(c.ok("ESEARCH IN (mailboxes Work) ALL")) == {"Work": "ALL 1:3"}
    for command in ("ESEARCH ALL", "ESEARCH IN (selected) ALL", "ESEARCH IN (mailboxes Work selected) ALL", "ESEARCH IN (mailboxes Work) RETURN (UPDATE) ALL"):
        assert c.do(command).status == "BAD", command


def test_save_and_update(many, connect):
    c = many
    assert c.do("ESEARCH IN (mailboxes Work) RETURN (SAVE) ALL").status == "BAD"
    c.ok("ESEARCH RETURN (SAVE) SUBJECT junk")
    assert c.ok("UID SEARCH $").of(rb"SEARCH 2$")
    tag = c.start("ESEARCH IN (selected subtree Work) RETURN (COUNT UPDATE CONTEXT) SUBJECT hello")
    assert found(c.wait(tag))["INBOX"] == "COUNT 1"
    other = connect(c.user)
    other.append(PLAIN)
    other.append(PLAIN, "Work")
    assert c.ok("NOOP").of(rb"ESEARCH") == [b'* ESEARCH (TAG "%s") UID ADDTO (0 3)' % tag.encode()]
    assert c.do(f'CANCELUPDATE "{tag}"').status == "OK"


def test_numbers_beyond_the_end(many):
    """RFC 7377 2: no error, here or in SEARCH."""
    c = many
    assert found(c.ok("ESEARCH IN (subtree Work) 2:100")) == {"Work": "ALL 2:3"}
    assert found(c.ok("ESEARCH IN (personal) 1000:2000")) == {}
    assert c.ok("SEARCH 100:200").of(rb"^\* SEARCH$") and c.ok("SEARCH 2:9").of(rb"^\* SEARCH 2$")


@pytest.mark.parametrize("command", ["ESEARCH", "ESEARCH IN ALL", "ESEARCH IN () ALL", "ESEARCH IN (nothing) ALL", "ESEARCH IN (selected-delayed) ALL", "ESEARCH IN (subtree) ALL", "ESEARCH IN (mailboxes ()) ALL",
                                     "ESEARCH IN (personal (SCOPE x)) ALL", "ESEARCH IN (personal)", "ESEARCH IN (personal) RETURN (NOSUCH) ALL", "ESEARCH IN (personal) RETURN (COUNT)"])
def test_malformed(inbox, command):
    assert inbox.do(command).status == "BAD"


def test_limits(inbox):
    names = " ".join(f"m{i}" for i in range(1001))
    r = inbox.do(f"ESEARCH IN (mailboxes ({names})) ALL")
    assert r.status == "NO" and r.text.startswith("[LIMIT]")
    assert inbox.do(f"ESEARCH IN ({' '.join(['personal'] * 101)}) ALL").status == "BAD"


def test_pipelined(many):
    c = many
    tags = [c.start(f"ESEARCH IN (subtree Work) SUBJECT {word}") for word in ("hello", "junk", "hello")]
    assert [len(found(c.wait(tag))) for tag in tags] == [3, 1, 3]


@pytest.fixture
def shares(many, server, connect):
    """A friend who shares his INBOX, Team and Team/Deep, not Team/Secret; one match in each."""
    c = many
    friend = connect(server.add_account("friend" + c.user.split("@")[0]))
    friend.user = "friend" + c.user
    for name in ("Team", "Team/Deep", "Team/Secret", "Seen"):
        friend.ok(f"CREATE {name}")
        friend.append(PLAIN, name)
    friend.append(PLAIN)
    for name, rights in (("INBOX", "lr"), ("Team", "lr"), ("Team/Deep", "lr"), ("Seen", "l")):
        friend.ok(f"SETACL {name} {c.user} {rights}")
    c.root = f"Other Users/{friend.user}"
    return c, friend


def test_mailboxes_of_others(shares):
    c, friend = shares
    root, one = c.root, "ALL 1"
    own = {"INBOX": one, "Work": "ALL 2:3", "Work/Deep": one, "Work/Deep/Er": one}
    team = {f"{root}/Team": one, f"{root}/Team/Deep": one}
    c.ok(f'SUBSCRIBE "{root}/Team"')
    for sources, expected in ((f'mailboxes "{root}/Team"', {f"{root}/Team": one}), (f'mailboxes ("{root}" "{root}/Team/Secret" "{root}/Seen" "Other Users/nobody@example.test")', {root: one}),
                              (f'subtree "{root}"', {root: one, **team}), ('subtree "Other Users"', {root: one, **team}), (f'subtree-one "{root}"', {root: one, f"{root}/Team": one}),
                              (f'subtree ("{root}/Team" Work) mailboxes "{root}/Team"', {**team, "Work": "ALL 2:3", "Work/Deep": one, "Work/Deep/Er": one}),
                              ("subscribed", {"INBOX": one, f"{root}/Team": one}), ("personal", own), ("inboxes", own), ('subtree "Shared"', {})):
        assert found(c.ok(f"ESEARCH IN ({sources}) SUBJECT hello")) == expected, sources
    friend.ok(f"DELETEACL Team {c.user}")
    assert found(c.ok(f'ESEARCH IN (mailboxes "{root}/Team" subscribed) SUBJECT hello')) == {"INBOX": one}


def test_a_selected_mailbox_of_somebody_else(shares, server, connect):
    """It has the name that it has for the client, and stays what it was when many others were searched."""
    c, friend = shares
    c.ok(f'SELECT "{c.root}/Team"')
    for i in range(20):
        other = connect(server.add_account(f"o{i}" + c.user.split("@")[0]))
        other.append(PLAIN)
        other.ok(f"SETACL INBOX {c.user} lr")
    assert found(c.ok("ESEARCH SUBJECT hello")) == {f"{c.root}/Team": "ALL 1"}
    everything = found(c.ok('ESEARCH IN (subtree "Other Users") SUBJECT hello'))
    assert len([n for n in everything if n.startswith("Other Users/")]) >= 23 and f"{c.root}/Team" in everything
    assert len(c.ok("FETCH 1 (FLAGS BODY.PEEK[])").of(rb"FETCH")) == 1
    friend.append(PLAIN, "Team")
    assert c.ok("NOOP").of(rb"EXISTS") == [b"* 2 EXISTS"]
