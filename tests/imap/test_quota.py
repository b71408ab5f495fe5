# SPDX-License-Identifier: Apache-2.0
"""QUOTA, QUOTASET, QUOTA=RES-STORAGE, RES-MESSAGE, RES-MAILBOX (RFC 9208)."""
import smtplib

from imap_dialog import PLAIN, Client


def test_storage(new_server, connect):
    s = new_server("quota = 100k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    assert c.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (STORAGE 0 100 ANNOTATION-STORAGE 0 65536)']
    c.append(PLAIN + b"x" * 2000)
    r = c.ok("GETQUOTAROOT INBOX")
    assert r.untagged == [b'* QUOTAROOT "INBOX" ""', b'* QUOTA "" (STORAGE 3 100 ANNOTATION-STORAGE 0 65536)']
    assert c.do(f"APPEND INBOX {{{100 << 10}}}").text.startswith("[OVERQUOTA]")
    for bad in ("GETQUOTA", "GETQUOTAROOT", 'SETQUOTA ""', 'SETQUOTA "" (STORAGE)', 'SETQUOTA "" (STORAGE x)', 'GETQUOTA "" more',
                'SETQUOTA "" (STORAGE 9223372036854775807)'):
        assert c.do(bad).status == "BAD", bad


def test_without_a_quota(inbox):
    assert inbox.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (ANNOTATION-STORAGE 0 65536)']


def test_messages_and_mailboxes(new_server, connect):
    s = new_server("quota-messages = 3\nquota-mailboxes = 7", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    for _ in range(3):
        c.append(PLAIN)
    assert c.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (MESSAGE 3 3 MAILBOX 6 7 ANNOTATION-STORAGE 0 65536)']
    c.ok("SELECT INBOX")
    assert c.do("COPY 1 Archive").text.startswith("[OVERQUOTA]")
    assert c.do(b"APPEND INBOX {%d+}\r\n" % len(PLAIN) + PLAIN).text.startswith("[OVERQUOTA]")
    c.ok("MOVE 1 Archive")
    assert c.do("CREATE one/two").text.startswith("[OVERQUOTA]")
    c.ok("CREATE one")
    assert c.do("CREATE two").text.startswith("[OVERQUOTA]")
    c.ok("DELETE one")
    c.ok("CREATE two")
    s.command("account", "quota", "alice@example.test", "0", "--messages", "10", "--mailboxes", "8")
    assert c.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (MESSAGE 3 10 MAILBOX 7 8 ANNOTATION-STORAGE 0 65536)']
    shown = s.command("account", "show", "alice@example.test").stdout
    assert "messages  3 of 10" in shown and "mailboxes 7 of 8" in shown


def test_mail_over_the_number_of_messages_is_deferred(new_server, connect):
    s = new_server("quota-messages = 1", accounts=("alice",))
    connect("alice@example.test", on=s).append(PLAIN)
    with smtplib.SMTP("127.0.0.1", s.port("smtp"), timeout=30) as c:
        c.ehlo("client.example")
        c.mail("a@example.net")
        code, text = c.rcpt("alice@example.test")
        assert code == 452 and text.startswith(b"4.2.2")


def test_deleted(inbox):
    for message in (PLAIN, PLAIN + b"more\r\n", PLAIN):
        inbox.append(message)
    inbox.ok("STORE 1:2 +FLAGS (\\Deleted)")
    want = 2 * len(PLAIN) + len(b"more\r\n")
    assert inbox.ok("STATUS INBOX (DELETED DELETED-STORAGE)").of(rb"^\* STATUS") == [b'* STATUS "INBOX" (DELETED 2 DELETED-STORAGE %d)' % want]
    inbox.ok("STORE 2 -FLAGS (\\Deleted)")
    assert inbox.ok("STATUS INBOX (DELETED DELETED-STORAGE)").of(b"DELETED 1 DELETED-STORAGE %d" % len(PLAIN))
    inbox.ok("EXPUNGE")
    assert inbox.ok("STATUS INBOX (DELETED DELETED-STORAGE)").of(b"DELETED 0 DELETED-STORAGE 0")


def test_only_administrators_set_limits(new_server):
    s = new_server(accounts=("alice",))
    s.add_account("boss", "--admin")
    alice, boss = Client(s.port("imap")).login("alice@example.test"), Client(s.port("imap")).login("boss@example.test")
    assert alice.do('SETQUOTA "" (STORAGE 512)').text.startswith("[NOPERM]")
    assert alice.do("SETQUOTA boss@example.test (STORAGE 512)").text.startswith("[NOPERM]")
    assert alice.do("GETQUOTA boss@example.test").text.startswith("[NONEXISTENT]")
    assert boss.do("GETQUOTA nobody@example.test").text.startswith("[NONEXISTENT]")
    assert boss.do('SETQUOTA "" (PAPER 512)').text.startswith("[CANNOT]")
    r = boss.ok("SETQUOTA alice@example.test (STORAGE 512 MESSAGE 1000)")
    assert r.untagged == [b'* QUOTA "alice@example.test" (STORAGE 0 512 MESSAGE 0 1000 ANNOTATION-STORAGE 0 65536)']
    assert boss.ok("GETQUOTA alice@example.test").untagged == r.untagged
    assert alice.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (STORAGE 0 512 MESSAGE 0 1000 ANNOTATION-STORAGE 0 65536)']
    assert boss.ok("SETQUOTA alice@example.test (MESSAGE 5)").untagged == [b'* QUOTA "alice@example.test" (MESSAGE 0 5 ANNOTATION-STORAGE 0 65536)']
    assert boss.ok("SETQUOTA alice@example.test ()").untagged == [b'* QUOTA "alice@example.test" (ANNOTATION-STORAGE 0 65536)']
