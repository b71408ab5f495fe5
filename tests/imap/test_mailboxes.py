# SPDX-License-Identifier: Apache-2.0
"""LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE, SELECT (RFC 3501 6.3)."""
import re

from imap_dialog import PLAIN


def listed(r, word=b"LIST"):
    """{name: attributes}"""
    return {m[2].strip(b'"').decode(): set(m[1].decode().split()) for m in (re.match(rb'\* ' + word + rb' \((.*)\) "/" (.*)$', u) for u in r.untagged) if m}


def test_special_uses_from_the_start(connect, account):
    found = listed(connect(account).ok('LIST "" *'))
    assert "INBOX" in found
    for name, use in (("Sent", "\\Sent"), ("Drafts", "\\Drafts"), ("Trash", "\\Trash"), ("Junk", "\\Junk"), ("Archive", "\\Archive")):
        assert use in found[name] and "\\HasNoChildren" in found[name]


def test_create_and_wildcards(connect, account):
    c = connect(account)
    c.ok("CREATE a/b/c")
    c.ok("CREATE x/")
    found = listed(c.ok('LIST "" *'))
    assert {"a", "a/b", "a/b/c", "x"} <= set(found)
    assert "\\HasChildren" in found["a"] and "\\HasNoChildren" in found["a/b/c"]
    assert set(listed(c.ok('LIST "" a/%'))) == {"a/b"}
    assert set(listed(c.ok('LIST a/ b*'))) == {"a/b", "a/b/c"}
    assert set(listed(c.ok('LIST "" %'))) >= {"a", "x"} and "a/b" not in listed(c.ok('LIST "" %'))
    assert set(listed(c.ok('LIST "" inbox'))) == {"INBOX"}
    assert c.ok('LIST "" ""').untagged == [b'* LIST (\\Noselect) "/" ""']
    r = c.do("CREATE a/b")
    assert r.status == "NO" and r.text.startswith("[ALREADYEXISTS]")
    assert c.do("CREATE inbox").status == "NO"


def test_names_that_no_mailbox_can_have(connect, account):
    c = connect(account)
    for name in (b"a//b", b"/a", b"\"a&b\"", b"&AGE-", b"..", b"\"\"", b"{3}\r\na\x01b"):
        if name.startswith(b"{"):
            name = name.replace(b"}", b"+}")
        r = c.do(b"CREATE " + name)
        assert r.status == "NO" and r.text.startswith("[CANNOT]"), name
        assert c.do(b"SELECT " + name).status == "NO"
        assert c.do(b"STATUS " + name + b" (MESSAGES)").status == "NO"
    assert c.do(b"CREATE " + b"x" * 1001).status == "NO"


def test_international_names(connect, account):
    c = connect(account)
    c.ok("CREATE Entw&APw-rfe/&U,BTFw-")
    assert {"Entw&APw-rfe", "Entw&APw-rfe/&U,BTFw-"} <= set(listed(c.ok('LIST "" *')))
    assert set(listed(c.ok('LIST "" Entw&APw-r%'))) == {"Entw&APw-rfe"}
    c.ok("SELECT Entw&APw-rfe/&U,BTFw-")


def test_create_with_special_use(connect, account):
    c = connect(account)
    assert c.do("CREATE mine (USE (\\Nonsense))").text.startswith("[USEATTR]")
    r = c.do("CREATE flagged (USE (\\Flagged))")
    if r.status == "OK":
        assert "\\Flagged" in listed(c.ok('LIST "" flagged'))["flagged"]
    assert c.do("CREATE other (USE \\Flagged)").status == "BAD"


def test_delete(connect, account):
    c = connect(account)
    c.ok("CREATE p/q")
    c.ok("DELETE p/q")
    assert "p/q" not in listed(c.ok('LIST "" *'))
    assert c.do("DELETE INBOX").status == "NO"
    r = c.do("DELETE nothing")
    assert r.status == "NO" and r.text.startswith("[NONEXISTENT]")
    c.ok("CREATE r/s")
    c.ok("DELETE r")
    found = listed(c.ok('LIST "" *'))
    assert "r/s" in found and "\\Noselect" in found["r"]
    assert c.do("SELECT r").status == "NO"


def test_rename(connect, account):
    c = connect(account)
    c.ok("CREATE old/child")
    c.append(PLAIN, "old/child")
    c.ok("RENAME old new")
    found = listed(c.ok('LIST "" *'))
    assert "new/child" in found and "old" not in found
    assert c.ok("STATUS new/child (MESSAGES)").untagged == [b'* STATUS "new/child" (MESSAGES 1)']
    assert c.do("RENAME new/child INBOX").text.startswith("[ALREADYEXISTS]") or c.do("RENAME new/child INBOX").status == "NO"
    assert c.do("RENAME nothing x").text.startswith("[NONEXISTENT]")
    c.append(PLAIN)
    c.ok("RENAME INBOX moved")
    assert c.ok("STATUS moved (MESSAGES)").untagged == [b'* STATUS "moved" (MESSAGES 1)']
    assert c.ok("STATUS INBOX (MESSAGES)").untagged == [b'* STATUS "INBOX" (MESSAGES 0)']


def test_subscriptions(connect, account):
    c = connect(account)
    c.ok("CREATE s/t/u")
    c.ok("SUBSCRIBE s/t/u")
    assert "s/t/u" in listed(c.ok('LSUB "" *'), b"LSUB")
    parents = listed(c.ok('LSUB "" s%'), b"LSUB")
    assert "\\Noselect" in parents["s"]
    c.ok("UNSUBSCRIBE s/t/u")
    assert "s/t/u" not in listed(c.ok('LSUB "" *'), b"LSUB")


def test_status(connect, account):
    c = connect(account)
    c.append(PLAIN, more="(\\Seen) ")
    c.append(PLAIN)
    r = c.ok("STATUS INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)")
    m = re.match(rb'\* STATUS "INBOX" \(MESSAGES 2 RECENT 2 UIDNEXT (\d+) UIDVALIDITY (\d+) UNSEEN 1\)$', r.untagged[0])
    assert m and int(m[1]) == 3 and int(m[2]) > 0
    assert c.do("STATUS INBOX (BOGUS)").status == "BAD"
    assert c.do("STATUS INBOX ()").status == "BAD"
    assert c.do("STATUS nothing (MESSAGES)").text.startswith("[NONEXISTENT]")


def test_select_and_examine(connect, account):
    c = connect(account)
    c.append(PLAIN, more="(\\Seen) ")
    c.append(PLAIN)
    r = c.ok("EXAMINE INBOX")
    assert r.text.startswith("[READ-ONLY]") and b"* 2 EXISTS" in r.untagged and r.of(rb"\[PERMANENTFLAGS \(\)\]")
    assert c.do("STORE 1 +FLAGS (\\Deleted)").text.startswith("[READ-ONLY]")
    assert c.do("EXPUNGE").text.startswith("[READ-ONLY]")
    r = c.ok("SELECT INBOX")
    assert r.text.startswith("[READ-WRITE]") and b"* 2 RECENT" in r.untagged
    assert r.of(rb"\[UNSEEN 2\]") and r.of(rb"\[UIDNEXT 3\]") and r.of(rb"\[UIDVALIDITY \d+\]") and r.of(rb"\[PERMANENTFLAGS \(.*\\\*\)\]") and r.of(rb"^\* FLAGS \(")
    assert b"* 0 RECENT" in c.ok("SELECT INBOX").untagged
    assert c.do("SELECT nothing").text.startswith("[NONEXISTENT]")
    assert c.do("FETCH 1 FLAGS").status == "BAD"  # nothing is selected any more


def test_close_unselect_expunge(connect, account):
    c = connect(account)
    for _ in range(4):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    c.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    c.ok("UNSELECT")
    assert b"* 4 EXISTS" in c.ok("SELECT INBOX").untagged
    assert c.ok("UID EXPUNGE 1:2").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]
    assert c.ok("CLOSE").untagged == []
    assert b"* 2 EXISTS" in c.ok("SELECT INBOX").untagged
    c.ok("STORE 1:* +FLAGS.SILENT (\\Deleted)")
    c.ok("EXAMINE INBOX")
    c.ok("CLOSE")
    c.ok("SELECT INBOX")
    assert c.ok("EXPUNGE").of(rb"EXPUNGE") == [b"* 2 EXPUNGE", b"* 1 EXPUNGE"]
    assert c.do("UID EXPUNGE").status == "BAD"
    c.ok("UID EXPUNGE 1:*")  # an empty set is not all


def test_selected_mailbox_deleted(connect, account):
    c = connect(account)
    c.ok("CREATE gone")
    c.ok("SELECT gone")
    c.ok("DELETE gone")
    assert c.do("CHECK").status == "BAD"
    c.ok("CREATE gone2")
    c.ok("SELECT gone2")
    d = connect(account)
    d.ok("DELETE gone2")
    assert c.do("NOOP").of(rb"^\* BYE") and c.closed()
