# SPDX-License-Identifier: Apache-2.0
"""Mailboxes of others (RFC 2342, RFC 4314): names, listing, subscriptions, copying between accounts, what is public in a domain."""
import pathlib
import random
import time

import pytest
from imap_dialog import PLAIN, Client


@pytest.fixture
def three(server, connect):
    n = f"{random.getrandbits(40):x}"
    clients = []
    for name in ("ann", "bob", "eve"):
        c = connect(server.add_account(name + n))
        c.user = f"{name}{n}@example.test"
        c.root = f"Other Users/{c.user}"
        clients.append(c)
    return clients


def names(r):
    return [u.split(b'"/" ', 1)[1].strip(b'"').decode() for u in r.untagged if u.startswith((b"* LIST", b"* LSUB"))]


def test_namespace(inbox):
    assert inbox.ok("NAMESPACE").untagged == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))']


def test_listing(three):
    ann, bob, eve = three
    assert not [n for n in names(eve.ok('LIST "" *')) if n.startswith("Other")]
    assert "Other Users" not in names(eve.ok('LIST "" %'))
    ann.ok(f"SETACL INBOX {eve.user} lr")
    bob.ok("CREATE a/b")
    bob.ok("CREATE a/hidden")
    bob.ok(f"SETACL a/b {eve.user} l")
    r = eve.ok('LIST "" %')
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Other Users"' in r.untagged
    assert [n for n in names(r) if n.startswith("Other")] == ["Other Users"]
    r = eve.ok('LIST "" "Other Users/%"')
    assert sorted(r.untagged) == sorted([b'* LIST (\\HasNoChildren) "/" "%b"' % ann.root.encode(),
                                         b'* LIST (\\Noselect \\HasChildren) "/" "%b"' % bob.root.encode()])
    assert names(eve.ok(f'LIST "" "{bob.root}/*"')) == [f"{bob.root}/a/b"]  # its parent is not shared: it is not there
    assert names(eve.ok(f'LIST "{bob.root}/" %')) == []
    assert names(eve.ok(f'LIST "{bob.root}/" %/%')) == [f"{bob.root}/a/b"]
    assert names(eve.ok('LIST "" INBOX')) == ["INBOX"]
    everything = names(eve.ok('LIST "" *'))
    assert [n for n in everything if n.startswith("Other")] == ["Other Users", ann.root, bob.root, f"{bob.root}/a/b"]
    assert len(everything) == len(set(everything)) == 6 + 4
    assert names(ann.ok('LIST "" "Other*"')) == []
    bob.ok(f"DELETEACL a/b {eve.user}")
    assert names(eve.ok('LIST "" "Other*"')) == ["Other Users", ann.root]


def test_reading(three):
    ann, _, eve = three
    ann.ok("CREATE Box")
    ann.append(PLAIN, "Box")
    ann.ok(f"SETACL Box {eve.user} lrs")
    r = eve.ok(f'SELECT "{ann.root}/Box"')
    assert r.of(rb"1 EXISTS")
    assert b"first line" in eve.ok("FETCH 1 BODY[]").untagged[0]
    assert eve.ok("SEARCH SUBJECT Hello").untagged == [b"* SEARCH 1"]
    assert eve.ok("SORT (DATE) UTF-8 ALL").untagged == [b"* SORT 1"]
    assert b"(\\Seen" in ann.ok("STATUS Box (UNSEEN)").untagged[0] or b"UNSEEN 0" in ann.ok("STATUS Box (UNSEEN)").untagged[0]
    assert eve.ok(f'STATUS "{ann.root}/Box" (MESSAGES UNSEEN)').untagged == [b'* STATUS "%b/Box" (MESSAGES 1 UNSEEN 0)' % ann.root.encode()]
    assert eve.ok(f'EXAMINE "{ann.root.replace("ann", "ANN")}/Box"').of(rb"1 EXISTS")
    for name in ("Other Users", "Other Users/", "Other Users/x", "Other Users/nobody@example.test", f"{ann.root}/none", f"{ann.root}/Sent",
                 "Shared", "Shared/none", f"Other Users/{eve.user}", f"{ann.root}//Box", f"{ann.root}/"):
        assert eve.do(f'SELECT "{name}"').status == "NO", name


def test_they_see_each_other(three):
    ann, _, eve = three
    ann.append(PLAIN)
    ann.ok(f"SETACL INBOX {eve.user} lrswite")
    ann.ok("SELECT INBOX")
    eve.ok(f'SELECT "{ann.root}"')
    eve.start("IDLE")
    assert eve.line().startswith(b"+")
    ann.append(PLAIN)
    assert eve.line() == b"* 2 EXISTS"
    ann.ok("STORE 1 +FLAGS (\\Flagged)")
    while b"FETCH" not in (line := eve.line()):
        assert line
    assert b"* 1 FETCH (FLAGS (\\Flagged" in line
    eve.send(b"DONE\r\n")
    eve.wait(f"t{eve.number}")
    eve.ok("STORE 2 +FLAGS (\\Deleted)")
    assert eve.ok("EXPUNGE").of(rb"\* 2 EXPUNGE")
    assert ann.ok("NOOP").of(rb"\* 2 EXPUNGE")
    # one's own account is watched as before
    eve.append(PLAIN)
    assert b"MESSAGES 1" in eve.ok("STATUS INBOX (MESSAGES)").untagged[0]


def test_copy_and_move(three):
    ann, bob, eve = three
    ann.append(PLAIN, more="(\\Flagged word) ")
    ann.append(PLAIN)
    ann.ok(f"SETACL INBOX {eve.user} lrwte")
    bob.ok("CREATE Box")
    bob.ok(f"SETACL Box {eve.user} li")
    eve.ok(f'SELECT "{ann.root}"')
    assert eve.ok("COPY 1 INBOX").text.startswith("[COPYUID")
    eve.ok("CREATE mine")
    assert eve.ok("MOVE 1 mine").of(rb"\* 1 EXPUNGE")
    assert eve.ok(f'COPY 1 "{bob.root}/Box"').text.startswith("[COPYUID")
    assert eve.do(f'COPY 1 "{bob.root}/none"').text.startswith("[TRYCREATE]")
    assert eve.do(f'COPY 1 "{ann.root}"').text.startswith("[NOPERM]")
    assert b"MESSAGES 1" in ann.ok("STATUS INBOX (MESSAGES)").untagged[0]
    assert b"MESSAGES 1" in bob.ok("STATUS Box (MESSAGES)").untagged[0]
    eve.ok("SELECT mine")
    assert b"(\\Flagged word)" in eve.ok("FETCH 1 FLAGS").untagged[0] or b"\\Flagged" in eve.ok("FETCH 1 FLAGS").untagged[0]
    assert b"first line" in eve.ok("FETCH 1 BODY.PEEK[]").untagged[0]
    assert eve.ok(f'MOVE 1 "{bob.root}/Box"').of(rb"EXPUNGE")
    assert b"MESSAGES 2" in bob.ok("STATUS Box (MESSAGES)").untagged[0]
    bob.ok("SELECT Box")
    assert all(b"first line" in u for u in bob.ok("FETCH 1:2 BODY.PEEK[]").untagged)
    eve.ok(f'SELECT "{ann.root}"')
    ann.ok(f"SETACL INBOX {eve.user} lrw")
    assert eve.do("MOVE 1 INBOX").text.startswith("[NOPERM]")


def test_append(three):
    ann, _, eve = three
    ann.ok(f"SETACL INBOX {eve.user} i")  # a mailbox to drop things in
    assert eve.append(PLAIN, f'"{ann.root}"', "(\\Seen) ").text.startswith("[APPENDUID")
    assert b"MESSAGES 1 UNSEEN 1" in ann.ok("STATUS INBOX (MESSAGES UNSEEN)").untagged[0]
    assert eve.do(f'APPEND "{ann.root}/Sent" {{10}}').text.startswith("[TRYCREATE]")
    assert eve.do(f'SELECT "{ann.root}"').text.startswith("[NONEXISTENT]")


def test_quota_of_the_owner(server, three):
    ann, _, eve = three
    ann.ok(f"SETACL INBOX {eve.user} lri")
    server.command("account", "quota", ann.user, "1k")
    big = PLAIN + b"x" * 2000 + b"\r\n"
    assert eve.do(f'APPEND "{ann.root}" {{{len(big)}+}}\r\n'.encode() + big).text.startswith("[OVERQUOTA]")
    eve.append(big)
    eve.ok("SELECT INBOX")
    assert eve.do(f'COPY 1 "{ann.root}"').text.startswith("[OVERQUOTA]")
    assert eve.ok(f'GETQUOTAROOT "{ann.root}"').untagged == [b'* QUOTAROOT "%b"' % ann.root.encode()]


def test_subscriptions(three):
    ann, _, eve = three
    ann.ok("CREATE Box")
    ann.ok(f"SETACL Box {eve.user} lr")
    ann.ok(f"SETACL INBOX {eve.user} lr")
    box = f"{ann.root}/Box"
    eve.ok(f'SUBSCRIBE "{box}"')
    eve.ok('SUBSCRIBE "Shared/gone"')
    assert b'* LSUB (\\HasNoChildren) "/" "%b"' % box.encode() in eve.ok('LSUB "" *').untagged
    assert box in names(eve.ok('LIST (SUBSCRIBED) "" *'))
    r = eve.ok('LIST "" "Other*" RETURN (SUBSCRIBED)')
    assert r.of(rb"Subscribed") == [b'* LIST (\\Subscribed \\HasNoChildren) "/" "%b"' % box.encode()]
    assert eve.ok('LIST (SUBSCRIBED) "" "Shared*"').untagged == [b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" "Shared/gone"']
    r = eve.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" "Other Users/%"')
    assert r.untagged == [b'* LIST (\\HasChildren) "/" "%b" ("CHILDINFO" ("SUBSCRIBED"))' % ann.root.encode()] or \
        r.of(rb"CHILDINFO \(\"SUBSCRIBED\"\)"), r
    ann.ok(f"DELETEACL Box {eve.user}")
    r = eve.ok('LIST (SUBSCRIBED) "" "Other*"')
    assert r.untagged == [b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" "%b"' % box.encode()]
    eve.ok(f'UNSUBSCRIBE "{box}"')
    assert not eve.ok('LSUB "" "Other*"').untagged
    # the owner's subscriptions are his
    assert not ann.ok('LSUB "" Box').untagged


def test_names_of_others_are_not_mine(three):
    ann, _, eve = three
    for name in ("Other Users", "Other Users/x", "Other Users/x@example.test/y", "Shared", "Shared/x/y"):
        assert eve.do(f'CREATE "{name}"').status == "NO", name
        assert eve.do(f'RENAME Sent "{name}"').status == "NO", name
    eve.ok('CREATE "Shared documents"')
    ann.ok("CREATE Box")
    ann.ok(f"SETACL Box {eve.user} lrkxi")
    assert eve.do(f'RENAME "{ann.root}/Box" mine').text.startswith("[CANNOT]")
    assert eve.do(f'RENAME Sent "{ann.root}/Box/Sent"').text.startswith("[CANNOT]")
    assert eve.do(f'DELETE "{ann.root}"').status == "NO" and eve.do(f'RENAME "{ann.root}" "{ann.root}/Box/in"').status == "NO"
    eve.ok(f'SELECT "{ann.root}/Box"')
    eve.ok("CREATE Box")
    eve.ok("DELETE Box")  # mine, not the one that is selected
    eve.ok("SEARCH ALL")
    eve.ok(f'DELETE "{ann.root}/Box"')
    assert eve.do("SEARCH ALL").status == "BAD"


def test_public(new_server):
    s = new_server(accounts=("ann", "bob", "eve"))
    ann, bob, eve = (Client(s.port("imap")).login(f"{name}@example.test") for name in ("ann", "bob", "eve"))
    ann.user, eve.user, bob.root, name = "ann@example.test", "eve@example.test", "Other Users/bob@example.test", "Team 7"
    s.command("account", "public", ann.user, name)
    assert "Shared" not in names(eve.ok('LIST "" %'))
    for bad in ("a/b", "x" * 300, "a\tb"):
        assert s.command("account", "public", ann.user, bad, check=False).returncode
    assert s.command("account", "public", "bob@example.test", name.upper(), check=False).returncode
    ann.ok("CREATE News")
    ann.ok("SETACL News anyone lr")
    ann.ok(f"SETACL INBOX {eve.user} l")
    ann.append(PLAIN, "News")
    r = eve.ok('LIST "" "Shared*"')
    assert b'* LIST (\\HasChildren) "/" "Shared/%b"' % name.encode() in r.untagged
    assert b'* LIST (\\HasNoChildren) "/" "Shared/%b/News"' % name.encode() in r.untagged
    r = bob.ok('LIST "" "Shared*"')
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Shared"' in r.untagged
    assert b'* LIST (\\Noselect \\HasChildren) "/" "Shared/%b"' % name.encode() in r.untagged
    assert f"Shared/{name}" not in names(ann.ok('LIST "" *'))
    assert eve.ok(f'SELECT "Shared/{name}/News"').of(rb"1 EXISTS")
    assert b"first line" in eve.ok("FETCH 1 BODY.PEEK[]").untagged[0]
    assert not eve.ok('LIST "" "Other*"').untagged  # each once
    assert f"Shared/{name}" in s.command("account", "show", ann.user).stdout
    # what anyone may see of an account that is not public is in nobody's list
    bob.ok("SETACL Sent anyone lr")
    assert not eve.ok('LIST "" "Other*"').untagged
    assert eve.ok(f'SELECT "{bob.root}/Sent"').of(rb"0 EXISTS")
    s.command("account", "public", ann.user, "")
    assert f"Shared/{name}" not in names(eve.ok('LIST "" "Shared*"'))
    assert eve.do(f'SELECT "Shared/{name}/News"').text.startswith("[NONEXISTENT]")
    for c in (ann, bob, eve):
        c.close()


def test_suspended_owner(server, three):
    ann, _, eve = three
    ann.ok(f"SETACL INBOX {eve.user} lr")
    eve.ok(f'SELECT "{ann.root}"')
    server.command("account", "suspend", ann.user)
    assert eve.do(f'STATUS "{ann.root}" (MESSAGES)').text.startswith("[NONEXISTENT]") or eve.closed()
    server.command("account", "resume", ann.user)


def test_many_sharers(server, connect, three):
    """More of them than a session keeps open."""
    _, _, eve = three
    n, roots = random.getrandbits(40), []
    for i in range(20):
        user = server.add_account(f"sharer{i}-{n:x}")
        c = connect(user)
        c.ok(f"SETACL INBOX {eve.user} lri")
        c.close()
        roots.append(f"Other Users/{user}")
    assert names(eve.ok('LIST "" "Other Users/*"')) == roots
    eve.ok(f'SELECT "{roots[0]}"')
    for root in roots:
        eve.append(PLAIN, f'"{root}"')
    eve.ok("NOOP")
    assert b"first line" in eve.ok("FETCH 1 BODY.PEEK[]").untagged[0]
    assert len(eve.ok('LIST "" "Other*" RETURN (STATUS (MESSAGES))').of(rb"MESSAGES 1")) == 20


def test_utf8_names(three):
    ann, _, eve = three
    ann.ok('CREATE "Entw&APw-rfe"')
    ann.ok(f'SETACL "Entw&APw-rfe" {eve.user} lr')
    assert names(eve.ok('LIST "" "Other*"'))[-1] == f"{ann.root}/Entw&APw-rfe"
    eve.ok(f'SELECT "{ann.root}/Entw&APw-rfe"')


def test_store_restarts(new_server):
    """Handles of others are opened again, and what changes is heard of."""
    s = new_server(accounts=("ann", "eve"))
    ann, eve = Client(s.port("imap")).login("ann@example.test"), Client(s.port("imap")).login("eve@example.test")
    ann.ok("SETACL INBOX eve@example.test lr")
    eve.ok('SELECT "Other Users/ann@example.test"')
    gone = pathlib.Path(f"/proc/{s.role_pid('store')}")
    s.kill_role("store")
    while gone.exists():  # until then it may still answer
        time.sleep(0.01)
    while ann.do("NOOP").status != "OK" or ann.do("STATUS INBOX (MESSAGES)").status != "OK":
        pass
    ann.append(PLAIN)
    while not eve.ok("NOOP").of(rb"1 EXISTS"):
        pass
    eve.start("IDLE")
    assert eve.line().startswith(b"+")
    ann.append(PLAIN)
    assert eve.line() == b"* 2 EXISTS"
    ann.close()
    eve.close()


def test_replace_across_owners(three):
    """RFC 8508 4.1: what goes needs the rights of its mailbox, what comes those of the other one."""
    ann, bob, _ = three
    text = b"Subject: new\r\n\r\nnew\r\n"
    lit = b"{%d+}\r\n%b" % (len(text), text)
    ann.ok("CREATE Box")
    for _ in range(3):
        ann.append(PLAIN, "Box")
    bob.append(PLAIN)
    count = lambda c, name: int(c.ok(f'STATUS "{name}" (MESSAGES)').untagged[0].split()[-1].rstrip(b")"))
    for rights in ("lr", "lri", "lrt", "lre", "lrswi"):
        ann.ok(f"SETACL Box {bob.user} {rights}")
        bob.ok(f'SELECT "{ann.root}/Box"')
        assert bob.do(b"REPLACE 1 INBOX " + lit).text.startswith("[READ-ONLY]" if rights == "lr" else "[NOPERM]"), rights
    assert count(ann, "Box") == 3 and count(bob, "INBOX") == 1
    # from the other's mailbox into mine, and back
    ann.ok(f"SETACL Box {bob.user} lrte")
    bob.ok(f'SELECT "{ann.root}/Box"')
    assert b"* 1 EXPUNGE" in bob.ok(b"REPLACE 1 INBOX " + lit).untagged
    assert count(ann, "Box") == 2 and count(bob, "INBOX") == 2
    bob.ok("SELECT INBOX")
    into = f'REPLACE 1 "{ann.root}/Box" '.encode()
    assert bob.do(into + lit).text.startswith("[NOPERM]") and count(bob, "INBOX") == 2
    ann.ok(f"SETACL Box {bob.user} lri")
    assert b"* 1 EXPUNGE" in bob.ok(into + lit).untagged
    assert count(ann, "Box") == 3 and count(bob, "INBOX") == 1
    # both in the other's
    ann.ok(f"SETACL Box {bob.user} lrite")
    bob.ok(f'SELECT "{ann.root}/Box"')
    assert b"* 1 EXPUNGE" in bob.ok(into + lit).untagged and count(ann, "Box") == 3
    # what is gone is not replaced
    ann.ok("SELECT Box")
    ann.ok("STORE 1 +FLAGS \\Deleted")
    ann.ok("EXPUNGE")
    assert bob.do(b"REPLACE 1 INBOX " + lit).status == "NO" and count(ann, "Box") == 2 and count(bob, "INBOX") == 1
