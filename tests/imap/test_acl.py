# SPDX-License-Identifier: Apache-2.0
"""RFC 4314 (ACL, RIGHTS=) and RFC 8440 (LIST-MYRIGHTS): rights are given, shown, obeyed and taken away."""
import random

import pytest
from imap_dialog import PLAIN

ALL = b"lrswipkxtecdan"


@pytest.fixture
def people(server, connect):
    """Owner and friend, logged in; .user is the address, .root of the friend how he sees the owner's mailboxes."""
    n = f"{random.getrandbits(40):x}"
    owner, friend = connect(server.add_account(f"owner{n}")), connect(server.add_account(f"friend{n}"))
    owner.user, friend.user = f"owner{n}@example.test", f"friend{n}@example.test"
    friend.root = f"Other Users/{owner.user}"
    return owner, friend


def test_capability(inbox):
    words = inbox.ok("CAPABILITY").untagged[0].split()
    assert b"ACL" in words and b"RIGHTS=texkn" in words and b"LIST-MYRIGHTS" in words


def test_own_mailbox(inbox):
    me = inbox.user.encode()
    assert inbox.ok("GETACL INBOX").untagged == [b'* ACL "INBOX" "%s" %s' % (me, ALL)]
    assert inbox.ok("MYRIGHTS INBOX").untagged == [b'* MYRIGHTS "INBOX" ' + ALL]
    assert inbox.ok(f"LISTRIGHTS INBOX {inbox.user}").untagged == [b'* LISTRIGHTS "INBOX" "%s" %s' % (me, ALL)]
    assert inbox.ok("LISTRIGHTS INBOX anyone").untagged == [b'* LISTRIGHTS "INBOX" "anyone" "" l r s w i p k x t e c d a n']
    assert inbox.do("GETACL none").text.startswith("[NONEXISTENT]")
    assert inbox.do("MYRIGHTS none").text.startswith("[NONEXISTENT]")


def test_set_and_delete(people):
    owner, friend = people
    acl = lambda: owner.ok("GETACL INBOX").untagged[0].split(b" ", 5)[5:]
    owner.ok(f"SETACL INBOX {friend.user} lr")
    assert acl() == [b'"%s" lr' % friend.user.encode()]
    owner.ok(f"SETACL INBOX {friend.user} +swi")
    owner.ok(f"SETACL INBOX {friend.user} -wr")
    assert acl() == [b'"%s" lsi' % friend.user.encode()]
    # RFC 4314 2.1.1: c is k and x, d is t and e, and each is shown with any of them
    owner.ok(f"SETACL INBOX {friend.user} cd")
    assert acl() == [b'"%s" kxtecd' % friend.user.encode()]
    owner.ok(f"SETACL INBOX {friend.user} -xt")
    assert acl() == [b'"%s" kecd' % friend.user.encode()]
    owner.ok(f"SETACL INBOX -{friend.user} a")
    assert acl() == [b'"%s" kecd "-%s" a' % (friend.user.encode(), friend.user.encode())]
    owner.ok(f"DELETEACL INBOX {friend.user}")
    owner.ok(f"DELETEACL INBOX {friend.user}")
    assert acl() == [b'"-%s" a' % friend.user.encode()]
    owner.ok(f'SETACL INBOX -{friend.user} ""')
    owner.ok("SETACL INBOX authenticated l")
    assert acl() == [b'"anyone" l']


def test_bad_arguments(people):
    owner, friend = people
    for line in ("SETACL INBOX", f"SETACL INBOX {friend.user}", f"SETACL INBOX {friend.user} lrQ", f"SETACL INBOX {friend.user} lrq",
                 f"SETACL INBOX {friend.user} +l+r", f"SETACL INBOX {friend.user} l r", 'SETACL INBOX "" l', "DELETEACL INBOX", 'DELETEACL INBOX ""',
                 "GETACL", "GETACL INBOX x", "LISTRIGHTS INBOX", "MYRIGHTS", "MYRIGHTS INBOX INBOX"):
        assert owner.do(line).status == "BAD", line
    for who in ("nobody@example.test", "-nobody@example.test", "-", "fred", "$team", "x@elsewhere.test"):
        assert owner.do(f"SETACL INBOX {who} l").text.startswith("[CANNOT]"), who
    assert owner.do("SETACL none anyone l").text.startswith("[NONEXISTENT]")
    # the owner cannot lock himself out
    assert owner.do(f"SETACL INBOX {owner.user} lr").text.startswith("[CANNOT]")
    assert owner.do(f"SETACL INBOX -{owner.user} a").text.startswith("[CANNOT]")
    owner.ok(f"SETACL INBOX {owner.user} +lr")
    assert owner.ok("MYRIGHTS INBOX").untagged == [b'* MYRIGHTS "INBOX" ' + ALL]


def test_hostile_identifiers(people):
    owner, _ = people
    assert owner.do(b"SETACL INBOX {1000000+}\r\n" + b"a" * 1000000 + b" l").status in ("NO", "BAD")
    assert owner.do(b"SETACL INBOX {60000+}\r\n" + b"a" * 60000 + b" l").status == "BAD"
    for who in (b"\x00", b"\xff\xfe", b"a\r\nb", b"\x01@example.test"):
        assert owner.do(b"SETACL INBOX {%d+}\r\n%b l" % (len(who), who)).status == "BAD", who
    assert owner.ok("GETACL INBOX").untagged[0].count(b"@") == 1


def test_each_command_wants_its_right(people):
    owner, friend = people
    box = f'"{friend.root}/Box"'
    owner.ok("CREATE Box")
    owner.append(PLAIN, "Box")

    def let(rights):
        owner.ok(f'SETACL Box {friend.user} "{rights}"')

    for rights in ("", "swipkte"):  # neither l nor r: as if it were not there
        let(rights)
        assert friend.ok('LIST "" *').of(rb"Box") == []
        for line in (f"SELECT {box}", f"STATUS {box} (MESSAGES)", f"GETACL {box}", f"SETACL {box} anyone l", f"DELETE {box}", f"LISTRIGHTS {box} anyone"):
            assert friend.do(line).text.startswith("[NONEXISTENT]"), line
    let("l")
    assert friend.ok('LIST "" *').of(rb"Box") == [b'* LIST (\\HasNoChildren) "/" %b' % box.encode()]
    for line in (f"SELECT {box}", f"EXAMINE {box}", f"STATUS {box} (MESSAGES)", f"GETACL {box}", f"SETACL {box} anyone l", f"DELETEACL {box} anyone",
                 f"LISTRIGHTS {box} anyone", f"DELETE {box}", f'RENAME {box} "{friend.root}/Other"', f'CREATE "{friend.root}/Box/new"', f"APPEND {box} {{3}}"):
        assert friend.do(line).text.startswith("[NOPERM]"), line
    assert friend.ok(f"MYRIGHTS {box}").untagged == [b"* MYRIGHTS %b l" % box.encode()]
    let("lr")
    assert friend.ok(f"SELECT {box}").text.startswith("[READ-ONLY]")
    assert friend.ok(f"STATUS {box} (MESSAGES)").untagged == [b"* STATUS %b (MESSAGES 1)" % box.encode()]
    assert b"UNSEEN 1" in friend.ok(f"STATUS {box} (UNSEEN)").untagged[0]
    friend.ok("FETCH 1 BODY[]")
    assert b"UNSEEN 1" in friend.ok(f"STATUS {box} (UNSEEN)").untagged[0]  # it stays unseen without s
    let("lrxa")
    assert friend.ok(f"GETACL {box}").untagged[0].endswith(b'"%s" lrxca' % friend.user.encode())
    friend.ok(f"SETACL {box} {friend.user} lrx")
    assert friend.do(f"GETACL {box}").text.startswith("[NOPERM]")
    friend.ok(f"DELETE {box}")
    assert owner.do("STATUS Box (MESSAGES)").text.startswith("[NONEXISTENT]")


def test_flags(people):
    """RFC 4314 4: s, t and w, each for its flags; what may not be changed is left out."""
    owner, friend = people
    box = f'"{friend.root}/Box"'
    owner.ok("CREATE Box")
    owner.append(PLAIN, "Box")
    owner.ok("SELECT Box")  # it is not recent afterwards
    owner.ok("UNSELECT")
    owner.ok(f"SETACL Box {friend.user} lrs")
    r = friend.ok(f"SELECT {box}")
    assert r.text.startswith("[READ-WRITE]") and r.of(rb"PERMANENTFLAGS \(\\Seen\)")
    assert friend.do("STORE 1 +FLAGS (\\Deleted)").text.startswith("[NOPERM]")
    assert friend.do("STORE 1 +FLAGS (word)").text.startswith("[NOPERM]")
    assert b"(\\Seen)" in friend.ok("STORE 1 +FLAGS (\\Seen \\Flagged word)").of(rb"FETCH")[0]
    assert friend.do("EXPUNGE").text.startswith("[NOPERM]")
    owner.ok(f"SETACL Box {friend.user} lrw")
    r = friend.ok("NOOP")  # RFC 4314 5.1.1
    assert r.of(rb"PERMANENTFLAGS \(\\Answered \\Flagged \\Draft \\\*\)") and r.of(rb"^\* FLAGS ")
    assert b"(\\Answered \\Seen word)" in friend.ok("STORE 1 FLAGS (\\Answered \\Deleted word)").of(rb"FETCH")[0]
    assert friend.do("STORE 1 -FLAGS (\\Seen)").text.startswith("[NOPERM]")
    owner.ok(f"SETACL Box {friend.user} lrtei")
    assert b"(\\Answered \\Deleted \\Seen word)" in friend.ok("STORE 1 +FLAGS (\\Deleted)").of(rb"FETCH")[0]
    # APPEND and COPY leave out what may not be set
    friend.append(PLAIN, box, "(\\Seen \\Deleted \\Flagged other) ")
    friend.ok(f"COPY 1 {box}")
    friend.ok("NOOP")
    flags = [u for u in friend.ok("FETCH 2:3 FLAGS").of(rb"FETCH")]
    assert all(b"(\\Deleted" in u and b"Seen" not in u and b"other" not in u and b"word" not in u for u in flags), flags
    assert len(friend.ok("EXPUNGE").of(rb"EXPUNGE")) == 3


def test_close_without_the_right_to_expunge(people):
    owner, friend = people
    owner.append(PLAIN, more="(\\Deleted) ")
    owner.ok(f"SETACL INBOX {friend.user} lrt")
    friend.ok(f'SELECT "{friend.root}"')
    friend.ok("CLOSE")
    assert b"MESSAGES 1" in owner.ok("STATUS INBOX (MESSAGES)").untagged[0]
    owner.ok(f"SETACL INBOX {friend.user} lrte")
    friend.ok(f'SELECT "{friend.root}"')
    friend.ok("CLOSE")
    assert b"MESSAGES 0" in owner.ok("STATUS INBOX (MESSAGES)").untagged[0]


@pytest.mark.parametrize("left", ["", "l"])
def test_revoked_while_open(people, left):
    """The very next command is refused, and the session that has it open ends (RFC 4314 5.1.1)."""
    owner, friend = people
    owner.append(PLAIN)
    owner.ok(f"SETACL INBOX {friend.user} lrswite")
    friend.ok(f'SELECT "{friend.root}"')
    owner.ok(f'SETACL INBOX {friend.user} "{left}"')
    tag = friend.start("UID FETCH 1 BODY.PEEK[]")
    r = friend.wait(tag)
    assert not [u for u in r.untagged if b"first line" in u]
    assert r.status in ("NO", "CLOSED") or "[EXPUNGEISSUED]" in r.text  # to whom it is not there, all of it is gone
    assert [u for u in r.untagged if u.startswith(b"* BYE")]
    assert friend.closed()


def test_revoked_while_idle(people):
    owner, friend = people
    owner.ok(f"SETACL INBOX {friend.user} lr")
    friend.ok(f'SELECT "{friend.root}"')
    friend.start("IDLE")
    assert friend.line().startswith(b"+")
    owner.ok(f"DELETEACL INBOX {friend.user}")
    assert friend.line().startswith(b"* BYE")
    assert friend.closed()


def test_list_myrights(people):
    owner, friend = people
    owner.ok("CREATE Box")
    owner.ok(f"SETACL Box {friend.user} lr")
    owner.ok(f"SETACL INBOX {friend.user} l")
    r = friend.ok('LIST "" * RETURN (MYRIGHTS STATUS (MESSAGES))')
    root = friend.root.encode()
    at = r.untagged.index(b'* LIST (\\HasNoChildren) "/" "%b/Box"' % root)
    assert r.untagged[at + 1] == b'* MYRIGHTS "%b/Box" lr' % root
    assert r.untagged[at + 2] == b'* STATUS "%b/Box" (MESSAGES 0)' % root
    at = r.untagged.index(b'* LIST (\\HasChildren) "/" "%b"' % root)
    assert r.untagged[at + 1] == b'* MYRIGHTS "%b" l' % root
    assert b'* STATUS "%b"' % root not in b"".join(r.untagged)  # STATUS wants r
    assert b'* MYRIGHTS "INBOX" ' + ALL in r.untagged
    assert not r.of(rb'MYRIGHTS "Other Users" ')
    owner.ok("SUBSCRIBE none")
    r = owner.ok('LIST (SUBSCRIBED) "" none RETURN (MYRIGHTS)')
    assert r.of(rb"NonExistent") and not r.of(rb"MYRIGHTS")


def test_inherited(people):
    owner, friend = people
    owner.ok("CREATE Team")
    owner.ok(f"SETACL Team {friend.user} lrkx")
    owner.ok("CREATE Team/a")
    friend.ok(f'CREATE "{friend.root}/Team/b/c"')
    assert owner.ok("GETACL Team/b/c").untagged[0].endswith(b'"%s" lrkxc' % friend.user.encode())
    friend.ok(f'RENAME "{friend.root}/Team/b" "{friend.root}/Team/a/b"')
    assert owner.ok("GETACL Team/a/b/c").untagged[0].endswith(b'"%s" lrkxc' % friend.user.encode())
    assert friend.do(f'CREATE "{friend.root}/top"').text.startswith("[NOPERM]")
    owner.ok("DELETE Team/a/b/c")
    assert friend.do(f'MYRIGHTS "{friend.root}/Team/a/b/c"').text.startswith("[NONEXISTENT]")


def test_account_deleted(server, people, connect):
    """Rights go with the account; the address is somebody else's then."""
    owner, friend = people
    owner.ok(f"SETACL INBOX {friend.user} lr")
    friend.ok("LOGOUT")
    server.command("account", "delete", friend.user)
    server.add_account(friend.user.partition("@")[0])
    again = connect(friend.user)
    assert not again.ok('LIST "" *').of(rb"Other Users")
    assert again.do(f'SELECT "{friend.root}"').text.startswith("[NONEXISTENT]")
