# SPDX-License-Identifier: Apache-2.0
"""NOTIFY (RFC 5465): what a client is told without asking, of the selected mailbox and of others."""
import random
import re
import time

import pytest
from imap_dialog import PLAIN, Client

SUPPORTED = "(MessageNew MessageExpunge FlagChange AnnotationChange MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange)"
ALL = "(MessageNew MessageExpunge FlagChange)"


def quiet(c):
    """Nothing was pushed: the next thing that comes is the answer to NOOP."""
    r = c.ok("NOOP")
    return r.untagged == []


@pytest.fixture
def pair(inbox, connect):
    """A client with INBOX selected, and another session of the account, with Work, Work/Deep and Play."""
    other = connect(inbox.user)
    for name in ("Work", "Work/Deep", "Play"):
        other.ok(f"CREATE {name}")
    return inbox, other


def test_new_messages_elsewhere(pair):
    c, other = pair
    c.ok("NOTIFY SET (subtree Work (MessageNew MessageExpunge))")
    other.append(PLAIN, "Play")
    other.append(PLAIN, "Work/Deep")
    line = c.line()
    assert re.fullmatch(rb'\* STATUS "Work/Deep" \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)', line), line
    other.ok("SELECT Work/Deep")
    other.ok("STORE 1 +FLAGS (\\Deleted)")  # flags are not asked for
    other.ok("EXPUNGE")
    assert re.fullmatch(rb'\* STATUS "Work/Deep" \(MESSAGES 0 UIDNEXT 2 UIDVALIDITY \d+\)', c.line())
    assert quiet(c)


def test_flags_elsewhere(pair):
    c, other = pair
    other.append(PLAIN, "Work")
    c.ok(f"NOTIFY SET (mailboxes (Work Nowhere) {ALL})")
    other.ok("SELECT Work")
    other.ok("STORE 1 +FLAGS (\\Seen)")
    assert re.fullmatch(rb'\* STATUS "Work" \(UIDVALIDITY \d+ UNSEEN 0\)', c.line())
    c.ok("ENABLE CONDSTORE")
    other.ok("STORE 1 -FLAGS (\\Seen)")
    assert re.fullmatch(rb'\* STATUS "Work" \(UIDVALIDITY \d+ UNSEEN 1 HIGHESTMODSEQ \d+\)', c.line())


def test_status_at_the_beginning(pair):
    c, other = pair
    other.append(PLAIN, "Play")
    r = c.ok("NOTIFY SET STATUS (selected (MessageNew MessageExpunge)) (mailboxes INBOX (MessageNew MessageExpunge)) (mailboxes (Play Nowhere) (MessageNew MessageExpunge))"
             f" (subtree Work {ALL})")
    assert len(r.of(rb"STATUS")) == 3 and not r.of(rb"INBOX")
    assert r.of(rb'^\* STATUS "Play" \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+\)$')
    assert r.of(rb'^\* STATUS "Work" \(MESSAGES 0 UIDNEXT 1 UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)$')


def test_selected_is_told_at_once(pair):
    c, other = pair
    other.append(PLAIN)
    other.ok("SELECT INBOX")
    r = c.ok(f"NOTIFY SET (selected (MessageNew (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)]) MessageExpunge FlagChange))")
    assert b"* 1 EXISTS" in r.untagged  # what gathered before
    other.append(PLAIN)
    assert c.line() == b"* 2 EXISTS"
    line = c.line()
    if b"RECENT" in line:
        line = c.line()
    assert line.startswith(b"* 2 FETCH (UID 2 BODY[HEADER.FIELDS (SUBJECT)] {") and b"Hello World" in line
    other.ok("STORE 2 +FLAGS (\\Flagged)")
    assert re.fullmatch(rb"\* 2 FETCH \(UID 2 FLAGS \(\\Flagged( \\Recent)?\)\)", c.line())
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert b"* 1 FETCH (UID 1 FLAGS (\\Deleted" in c.line()
    other.ok("EXPUNGE")
    assert c.line() == b"* 1 EXPUNGE"
    assert quiet(c)


def test_expunge_comes_between_commands_not_inside(pair):
    """SELECTED lets numbers change at any time, but no FETCH, STORE or SEARCH is cut by it (RFC 3501 7.4.1)."""
    c, other = pair
    for _ in range(3):
        other.append(PLAIN)
    other.ok("SELECT INBOX")
    c.ok("NOTIFY SET (selected (MessageNew MessageExpunge))")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    tag = c.start("FETCH 1:* UID")
    other.ok("EXPUNGE")
    r = c.wait(tag)
    assert not any(b"EXPUNGE" in u for u in r.untagged if r.untagged.index(u) > 0 and b"FETCH" in r.untagged[-1])
    if not r.of(rb"EXPUNGE"):
        assert c.line() == b"* 2 EXPUNGE"
    assert quiet(c)


def test_selected_delayed_waits(pair):
    c, other = pair
    for _ in range(2):
        other.append(PLAIN)
    other.ok("SELECT INBOX")
    c.ok("NOTIFY SET (selected-delayed (MessageNew MessageExpunge))")
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    other.append(PLAIN)
    assert c.line() == b"* 3 EXISTS"  # the first is still numbered
    r = c.ok("FETCH 2 UID")
    assert r.of(rb"^\* 2 FETCH \(UID 2\)$") and not r.of(rb"EXPUNGE")
    assert c.ok("NOOP").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    tag = c.start("IDLE")  # RFC 5465 6.1.2: IDLE allows it
    while (line := c.line()) != b"* 1 EXPUNGE":
        assert line.startswith(b"+") or b"RECENT" in line, line
    c.send(b"DONE\r\n")
    assert c.wait(tag).status == "OK"


def test_own_messages_are_not_fetched(pair):
    c, other = pair
    c.ok("NOTIFY SET (selected (MessageNew (UID) MessageExpunge))")
    r = c.append(PLAIN)
    assert b"* 1 EXISTS" in r.untagged and not r.of(rb"FETCH")
    other.append(PLAIN)
    lines = [c.line() for _ in range(2)]
    while not any(b"FETCH" in line for line in lines):
        lines.append(c.line())
    assert b"* 2 EXISTS" in lines and b"* 2 FETCH (UID 2)" in lines


def test_own_changes_elsewhere_are_not_told(pair):
    """RFC 5465 5: a client knows what it did itself."""
    c, other = pair
    c.ok(f"NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange))")
    c.append(PLAIN, "Work")
    c.ok("CREATE Mine")
    c.ok("SUBSCRIBE Mine")
    c.ok("RENAME Mine Mine2")
    assert quiet(c)
    other.append(PLAIN, "Play")
    assert b'"Play"' in c.line()
    assert quiet(c)


def test_nothing_of_the_selected_mailbox_unless_asked(pair):
    """RFC 5465 3.1: without SELECTED, or with NONE, the mailbox stays as it was: a snapshot."""
    c, other = pair
    other.append(PLAIN)
    other.ok("SELECT INBOX")
    for command in ("NOTIFY SET (selected NONE)", "NOTIFY NONE", "NOTIFY SET (mailboxes Work (MessageNew MessageExpunge))"):
        c.ok(command)
        n = len(c.ok("FETCH 1:* UID").untagged)
        other.append(PLAIN)
        other.ok("STORE 1 +FLAGS (\\Flagged)")
        assert quiet(c) and len(c.ok("FETCH 1:* UID").untagged) == n
        r = c.ok("NOTIFY SET (selected (MessageNew MessageExpunge FlagChange))")
        assert r.of(rb"EXISTS") and r.of(rb"^\* 1 FETCH .*Flagged")
        other.ok("STORE 1 -FLAGS (\\Flagged)")
        assert b"* 1 FETCH" in c.line()
    c.ok("NOTIFY SET (selected NONE)")
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")  # one's own EXPUNGE is told
    assert c.ok("EXPUNGE").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]


def test_names(pair):
    c, other = pair
    c.ok("NOTIFY SET (personal (MailboxName))")
    other.ok("CREATE New/Child")
    assert c.line() == b'* LIST (\\HasChildren) "/" "New"'
    assert c.line() == b'* LIST (\\HasNoChildren) "/" "New/Child"'
    other.ok("RENAME New/Child Other")
    assert c.line() == b'* LIST (\\HasNoChildren) "/" "Other" ("OLDNAME" ("New/Child"))'
    other.ok("SUBSCRIBE Other")  # not asked for
    other.ok("DELETE Other")
    assert c.line() == b'* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "/" "Other"'
    other.append(PLAIN)
    other.ok("RENAME INBOX Old")  # RFC 5465 5.4: nothing of the new INBOX
    assert c.line() == b'* LIST (\\Subscribed \\HasNoChildren) "/" "Old" ("OLDNAME" ("INBOX"))'
    assert quiet(c)


def test_subscriptions(pair):
    c, other = pair
    c.ok(f"NOTIFY SET (personal (SubscriptionChange)) (subscribed {ALL})")
    other.ok("SUBSCRIBE Work/Deep")
    assert c.line() == b'* LIST (\\Subscribed \\HasNoChildren) "/" "Work/Deep"'
    other.append(PLAIN, "Work/Deep")
    assert b'STATUS "Work/Deep" (MESSAGES 1' in c.line()
    other.ok("UNSUBSCRIBE Work/Deep")
    assert c.line() == b'* LIST (\\HasNoChildren) "/" "Work/Deep"'
    other.append(PLAIN, "Work/Deep")
    assert quiet(c)


def test_annotations(pair):
    c, other = pair
    c.ok("NOTIFY SET (mailboxes Work (MailboxMetadataChange)) (personal (ServerMetadataChange))")
    other.ok('SETMETADATA Play (/private/comment "unasked")')
    other.ok('SETMETADATA Work (/private/comment "a" /shared/comment "b")')
    lines = [c.line(), c.line()]
    assert sorted(lines) == [b'* METADATA "Work" "/private/comment"', b'* METADATA "Work" "/shared/comment"']
    other.ok("SETMETADATA Work (/private/comment NIL)")
    assert c.line() == b'* METADATA "Work" "/private/comment"'
    other.ok('SETMETADATA "" (/private/comment "x")')
    assert c.line() == b'* METADATA "" "/private/comment"'
    c.ok('SETMETADATA Work (/private/comment "own")')
    assert quiet(c)


def test_mail_that_is_delivered(pair, server):
    """INBOXES are all mailboxes: mail may be sorted into any."""
    c, other = pair
    c.ok("SELECT Play")
    c.ok("NOTIFY SET (inboxes (MessageNew MessageExpunge))")
    import smtplib
    with smtplib.SMTP("127.0.0.1", server.port("smtp")) as s:
        s.sendmail("ann@example.net", [c.user], PLAIN)
    assert b'* STATUS "INBOX" (MESSAGES 1 ' in c.line()


@pytest.mark.parametrize("command", [
    "NOTIFY", "NOTIFY SET", "NOTIFY NONE x", "NOTIFY SET STATUS", "NOTIFY SET selected", "NOTIFY SET (selected)", "NOTIFY SET (selected ())",
    "NOTIFY SET (selected (FlagChange))", "NOTIFY SET (selected (MessageNew))", "NOTIFY SET (personal (MessageExpunge))", "NOTIFY SET (selected (MailboxName))",
    "NOTIFY SET (selected-delayed (SubscriptionChange MessageNew MessageExpunge))", "NOTIFY SET (selected NONE) (selected-delayed NONE)",
    "NOTIFY SET (personal (MessageNew (UID) MessageExpunge))", "NOTIFY SET (selected (MessageNew (UID NOSUCH) MessageExpunge))", "NOTIFY SET (subtree (MailboxName))",
    "NOTIFY SET (subtree-one Work (MailboxName))", "NOTIFY SET (mailboxes (Work (MailboxName))", "NOTIFY SET (personal (AnnotationChange))", "NOTIFY SET (personal NONE) x",
])
def test_malformed(inbox, command):
    assert inbox.do(command).status == "BAD"


def test_events_that_do_not_exist(inbox):
    for event in ("MessageNew MessageExpunge NoteChange", "NoSuchEvent"):
        r = inbox.do(f"NOTIFY SET (personal ({event}))")
        assert r.status == "NO" and r.text.startswith(f"[BADEVENT {SUPPORTED}]")


def test_limits(inbox):
    names = " ".join(f"m{i}" for i in range(1000))
    assert inbox.ok(f"NOTIFY SET (mailboxes ({names}) (MailboxName))")
    r = inbox.do(f"NOTIFY SET (mailboxes ({names} more) (MailboxName))")
    assert r.status == "NO" and r.text.startswith("[NOTIFICATIONOVERFLOW]")
    groups = " ".join("(personal NONE)" for _ in range(101))
    assert inbox.do(f"NOTIFY SET {groups}").status == "BAD"


def test_a_refused_command_changes_nothing(pair):
    c, other = pair
    c.ok("NOTIFY SET (personal (MailboxName))")
    assert c.do("NOTIFY SET (personal (NoSuchEvent))").status == "NO"
    other.ok("CREATE x")
    assert b'"x"' in c.line()


def test_a_store_that_was_started_again(new_server):
    """What happened while nobody kept the account's history is not known: NOTIFICATIONOVERFLOW (RFC 5465 5.8), once; IDLE hears of it anyway."""
    s = new_server(accounts=("alice",))
    watcher, idle, other = (Client(s.port("imap")).login("alice@example.test") for _ in range(3))
    watcher.ok("NOTIFY SET (personal (MessageNew MessageExpunge MailboxName))")
    idle.ok("SELECT INBOX")
    tag = idle.start("IDLE")
    idle.line()
    s.kill_role("store")
    end = time.time() + 20
    while other.do(b"APPEND INBOX {%d+}\r\n" % len(PLAIN) + PLAIN).status != "OK":
        assert time.time() < end
    assert idle.line() == b"* 1 EXISTS"
    idle.send(b"DONE\r\n")
    assert idle.wait(tag).status == "OK"
    line = watcher.line()
    # asked before or after the message came
    assert line.startswith((b"* OK [NOTIFICATIONOVERFLOW]", b'* STATUS "INBOX" (MESSAGES 1')), line
    for c in (watcher, idle, other):
        c.close()


def test_many_sessions_hear_within_a_moment(inbox, connect):
    """A change reaches all who idle or use NOTIFY: the usual is a few ms; here it may take no more than some seconds on a busy machine."""
    inbox.append(PLAIN)
    idle = [connect(inbox.user) for _ in range(20)]
    notify = [connect(inbox.user) for _ in range(20)]
    for c in idle:
        c.ok("SELECT INBOX")
        c.tag = c.start("IDLE")
        c.line()
    for c in notify[:10]:
        c.ok("SELECT INBOX")
        c.ok(f"NOTIFY SET (selected {ALL})")
    for c in notify[10:]:
        c.ok(f"NOTIFY SET (personal {ALL})")
    inbox.ok("SELECT INBOX")
    for change, selected, elsewhere in (("STORE 1 +FLAGS (\\Seen)", rb"\* 1 FETCH .*\\Seen", rb"STATUS .*UNSEEN 0"), ("STORE 1 +FLAGS (\\Deleted)", rb"\\Deleted", rb"UNSEEN 0"),
                                        ("EXPUNGE", rb"\* 1 EXPUNGE", rb"MESSAGES 0"), ("APPEND", rb"\* 1 EXISTS", rb"MESSAGES 1")):
        start = time.time()
        inbox.append(PLAIN) if change == "APPEND" else inbox.ok(change)
        for c in idle + notify:
            pattern = selected if c in idle or c in notify[:10] else elsewhere
            while not re.search(pattern, line := c.line()):
                assert line, change
        assert time.time() - start < 10
    for c in idle:
        c.send(b"DONE\r\n")
        assert c.wait(c.tag).status == "OK"


# ---- mailboxes of others (RFC 5465 5.9, RFC 4314)

EVENTS = "(MessageNew MessageExpunge FlagChange MailboxName SubscriptionChange MailboxMetadataChange)"


@pytest.fixture
def shared(server, connect):
    """Somebody who watches, and somebody who shares a mailbox; .root is where the latter shows."""
    n = f"{random.getrandbits(40):x}"
    ann, bob = (connect(server.add_account(f"{name}{n}")) for name in ("ann", "bob"))
    ann.user, bob.user = (f"{name}{n}@example.test" for name in ("ann", "bob"))
    bob.root = f"Other Users/{bob.user}"
    bob.ok("CREATE Team")
    bob.ok("CREATE Hidden")
    bob.ok(f"SETACL Team {ann.user} lrswite")
    ann.ok("SELECT INBOX")
    return ann, bob


def q(text):
    return text.encode()


@pytest.mark.parametrize("filter", ['mailboxes "{root}/Team"', 'subtree "{root}"', 'subtree "Other Users"', 'subtree "{upper}/Team"'])
def test_shared_messages(shared, filter):
    ann, bob = shared
    filter = filter.format(root=bob.root, upper=bob.root.replace("bob", "BOB"))
    bob.append(PLAIN, "Team")
    r = ann.ok(f"NOTIFY SET STATUS ({filter} {EVENTS})")
    assert len(r.of(rb"STATUS")) == 1 and re.fullmatch(rb'\* STATUS "%b/Team" \(MESSAGES 1 UIDNEXT 2 UIDVALIDITY \d+ HIGHESTMODSEQ \d+\)' % q(bob.root), r.of(rb"STATUS")[0], re.I)
    bob.append(PLAIN, "Hidden")
    bob.append(PLAIN, "Team")
    assert re.fullmatch(rb'\* STATUS "%b/Team" \(MESSAGES 2 UIDNEXT 3 UIDVALIDITY \d+\)' % q(bob.root), ann.line(), re.I)
    bob.ok("SELECT Team")
    bob.ok("STORE 1 +FLAGS (\\Seen)")
    assert re.fullmatch(rb'\* STATUS "%b/Team" \(UIDVALIDITY \d+ UNSEEN 1\)' % q(bob.root), ann.line(), re.I)
    bob.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    ann.line()
    bob.ok("EXPUNGE")
    assert b"MESSAGES 1 UIDNEXT 3" in ann.line()
    assert quiet(ann)


def test_shared_within_100_ms(shared):
    """The best of some: the machine may be busy."""
    ann, bob = shared
    ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    took = []
    for _ in range(10):
        start = time.monotonic()
        bob.append(PLAIN, "Team")
        assert b"STATUS" in ann.line()
        took.append(time.monotonic() - start)
    assert min(took) < 0.1


def test_personal_is_one_s_own(shared):
    ann, bob = shared
    ann.ok(f'SUBSCRIBE "{bob.root}/Team"')
    ann.ok(f"NOTIFY SET (personal {EVENTS}) (inboxes {EVENTS})")
    bob.append(PLAIN, "Team")
    bob.ok("CREATE Team/Sub")
    assert quiet(ann)


def test_shared_and_subscribed(shared, connect):
    ann, bob = shared
    other = connect(ann.user)
    ann.ok(f"NOTIFY SET (subscribed {EVENTS})")
    bob.append(PLAIN, "Team")
    assert quiet(ann)
    other.ok(f'SUBSCRIBE "{bob.root}/Team"')
    assert ann.line() == b'* LIST (\\Subscribed \\HasNoChildren) "/" "%b/Team"' % q(bob.root)
    bob.append(PLAIN, "Team")
    assert b'STATUS "%b/Team" (MESSAGES 2' % q(bob.root) in ann.line()
    other.ok(f'UNSUBSCRIBE "{bob.root}/Team"')
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Team"' % q(bob.root)
    bob.append(PLAIN, "Team")
    assert quiet(ann)
    ann.ok(f'SUBSCRIBE "{bob.root}/Team"')  # its own: not told, and heeded
    assert quiet(ann)
    bob.append(PLAIN, "Team")
    assert b'STATUS "%b/Team" (MESSAGES 4' % q(bob.root) in ann.line()


def test_shared_names(shared):
    ann, bob = shared
    ann.ok(f'NOTIFY SET (subtree "{bob.root}" (MailboxName))')
    bob.ok("CREATE Hidden/x")
    bob.ok("CREATE Team/Sub")  # it inherits the rights
    assert ann.line() == b'* LIST (\\HasChildren) "/" "%b/Team"' % q(bob.root)
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Team/Sub"' % q(bob.root)
    bob.ok("RENAME Team/Sub New")
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/New" ("OLDNAME" ("%b/Team/Sub"))' % (q(bob.root), q(bob.root))
    bob.ok("DELETE New")
    assert ann.line() == b'* LIST (\\NonExistent \\HasNoChildren) "/" "%b/New"' % q(bob.root)
    bob.ok("CREATE Top/Low")
    bob.ok(f"SETACL Top/Low {ann.user} lr")
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Top/Low"' % q(bob.root)
    bob.ok("RENAME Top Else")  # who does not see the parent hears of the child
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Else/Low" ("OLDNAME" ("%b/Top/Low"))' % (q(bob.root), q(bob.root))
    bob.ok("DELETE Hidden")
    bob.ok("SUBSCRIBE Team")
    assert quiet(ann)


def test_rights_given_and_taken(shared):
    ann, bob = shared
    team = b'"/" "%b/Team"' % q(bob.root)
    ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    bob.ok(f"SETACL Team {ann.user} -r")
    assert ann.line() == b"* LIST (\\NoAccess \\HasNoChildren) " + team
    bob.append(PLAIN, "Team")
    assert quiet(ann)
    bob.ok(f"SETACL Team {ann.user} +r")
    assert ann.line() == b"* LIST (\\HasNoChildren) " + team
    bob.append(PLAIN, "Team")
    assert b"MESSAGES 2" in ann.line()
    bob.ok(f"SETACL Team {ann.user} -s")  # nothing that concerns NOTIFY
    bob.ok(f"DELETEACL Team {ann.user}")
    assert ann.line() == b"* LIST (\\NonExistent \\NoAccess \\HasNoChildren) " + team
    bob.append(PLAIN, "Team")
    bob.ok("RENAME Team Gone")
    assert quiet(ann)
    bob.ok(f"SETACL Gone {ann.user} lr")
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Gone"' % q(bob.root)
    bob.append(PLAIN, "Gone")
    assert b"MESSAGES 4" in ann.line()
    bob.ok("SETACL Hidden anyone lr")
    assert ann.line() == b'* LIST (\\HasNoChildren) "/" "%b/Hidden"' % q(bob.root)
    bob.ok(f"SETACL Hidden -{ann.user} r")
    assert ann.line() == b'* LIST (\\NoAccess \\HasNoChildren) "/" "%b/Hidden"' % q(bob.root)
    assert quiet(ann)


def test_somebody_begins_to_share(shared, connect, server):
    ann, _ = shared
    eve = server.add_account(f"eve{random.getrandbits(40):x}")
    root = f"Other Users/{eve}"
    eve = connect(eve)
    ann.ok(f'NOTIFY SET (subtree "{root.upper().replace("OTHER USERS", "Other Users")}" {EVENTS})')
    eve.ok(f"SETACL INBOX {ann.user} r")
    eve.append(PLAIN)
    assert quiet(ann)
    eve.ok(f"SETACL INBOX {ann.user} lr")
    assert ann.line().lower() == b'* list () "/" "%b"' % q(root.lower())
    eve.append(PLAIN)
    assert b'status "%b" (messages 2' % q(root.lower()) in ann.line().lower()
    ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    fay = server.add_account(f"fay{random.getrandbits(40):x}")
    other = connect(fay)
    other.ok(f"SETACL INBOX {ann.user} lr")
    assert ann.line() == b'* LIST () "/" "Other Users/%b"' % q(fay)
    other.append(PLAIN)
    assert b'STATUS "Other Users/%b" (MESSAGES 1' % q(fay) in ann.line()
    assert quiet(ann)


def test_what_cannot_be_read_is_said_at_the_beginning(shared):
    ann, bob = shared
    bob.ok(f"SETACL Hidden {ann.user} l")
    r = ann.ok(f'NOTIFY SET (subtree "{bob.root}" {EVENTS})')
    assert r.untagged == [b'* LIST (\\NoAccess) "/" "%b/Hidden"' % q(bob.root)]
    assert ann.ok(f'NOTIFY SET (mailboxes ("{bob.root}/Team" "{bob.root}/none" "Other Users/none@example.test" "Other Users" "Shared/none") {EVENTS})').untagged == []


def test_shared_annotations(shared):
    ann, bob = shared
    ann.ok(f'NOTIFY SET (subtree "{bob.root}" (MailboxMetadataChange))')
    bob.ok('SETMETADATA Team (/private/comment "own")')
    bob.ok('SETMETADATA Hidden (/shared/comment "x")')
    bob.ok('SETMETADATA Team (/shared/comment "y")')
    assert ann.line() == b'* METADATA "%b/Team" "/shared/comment"' % q(bob.root)
    assert quiet(ann)


def test_own_changes_in_shared_mailboxes_are_not_told(shared):
    ann, bob = shared
    ann.append(PLAIN)
    ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    ann.append(PLAIN, f'"{bob.root}/Team"')
    ann.ok(f'COPY 1 "{bob.root}/Team"')
    ann.ok(f'SELECT "{bob.root}/Team"')
    ann.ok("STORE 1 +FLAGS (\\Deleted)")
    ann.ok("EXPUNGE")
    ann.ok("UNSELECT")
    assert quiet(ann)
    bob.append(PLAIN, "Team")
    assert b"STATUS" in ann.line()


def test_selected_of_somebody_else(shared):
    """The selected mailbox goes by SELECTED, whoever's it is."""
    ann, bob = shared
    ann.ok(f'SELECT "{bob.root}/Team"')
    ann.ok(f'NOTIFY SET (selected (MessageNew (UID) MessageExpunge FlagChange)) (subtree "Other Users" {EVENTS})')
    bob.append(PLAIN, "Team")
    assert ann.line() == b"* 1 EXISTS"
    while b"FETCH" not in (line := ann.line()):
        assert b"RECENT" in line
    assert line == b"* 1 FETCH (UID 1)"
    ann.ok("UNSELECT")
    bob.append(PLAIN, "Team")
    assert b'STATUS "%b/Team" (MESSAGES 2' % q(bob.root) in ann.line()
    assert quiet(ann)
    ann.ok("NOTIFY NONE")
    bob.append(PLAIN, "Team")
    assert quiet(ann)


def test_public_accounts(server, connect):
    n = f"{random.getrandbits(40):x}"
    ann, team = connect(server.add_account(f"ann{n}")), connect(server.add_account(f"team{n}"))
    server.command("account", "public", f"team{n}@example.test", f"T{n}")
    team.ok("SETACL INBOX anyone lr")
    for tree in ("Shared", f"Shared/T{n}", f"Shared/t{n}"):
        ann.ok(f'NOTIFY SET (subtree "{tree}" {EVENTS})')
        team.append(PLAIN)
        assert re.match(rb'\* STATUS "Shared/T%b"' % q(n), ann.line(), re.I)
    team.ok("CREATE x")
    team.ok("SETACL x anyone lr")
    assert ann.line().lower() == b'* list (\\hasnochildren) "/" "shared/t%b/x"' % q(n)
    assert quiet(ann)
    server.command("account", "public", f"team{n}@example.test", "")
    assert ann.line().lower() == b'* list (\\nonexistent \\noaccess \\hasnochildren) "/" "shared/t%b"' % q(n)
    assert quiet(ann)


def test_the_account_goes(shared, server):
    ann, bob = shared
    ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    server.command("account", "suspend", bob.user)
    assert ann.line() == b'* LIST (\\NonExistent \\NoAccess \\HasNoChildren) "/" "%b"' % q(bob.root)
    assert quiet(ann)


def test_too_many_others(server, connect):
    """64 accounts of others are watched by a session, and no more (NOTIFY_OWNERS_MAX)."""
    n = f"{random.getrandbits(40):x}"
    ann = connect(server.add_account(f"ann{n}"))
    for i in range(65):
        who = connect(server.add_account(f"w{i}x{n}"))
        if i == 64:
            ann.ok(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
        who.ok(f"SETACL INBOX ann{n}@example.test lr")
        who.ok("LOGOUT")
    assert b"[NOTIFICATIONOVERFLOW]" in ann.line()
    r = ann.do(f'NOTIFY SET (subtree "Other Users" {EVENTS})')
    assert r.status == "NO" and r.text.startswith("[NOTIFICATIONOVERFLOW]")
    ann.ok(f'NOTIFY SET (subtree "Other Users/w3x{n}@example.test" {EVENTS})')
