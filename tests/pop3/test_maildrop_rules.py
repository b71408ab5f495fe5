# SPDX-License-Identifier: Apache-2.0
"""Rules of a maildrop, UIDLs of another server, LANG, UTF8, and IMAP beside a POP3 session."""
import imaplib
import poplib
import time

import pytest

from house import DOMAIN, PASSWORD
from test_pop3 import Dialog, deliver, message, pop


def imap(server, address):
    c = imaplib.IMAP4("127.0.0.1", server.port("imap"), timeout=30)
    c.login(address, PASSWORD)
    c.select("INBOX")
    return c


def uidls(server, address):
    p = pop(server, address)
    got = [line.split()[1].decode() for line in p.uidl()[1]]
    p.quit()
    return got


def capa(server, address=None):
    d = Dialog(server)
    if address:
        d.login(address)
    d.say("CAPA")
    lines = d.more()
    d.say("QUIT")
    d.close()
    return lines


# ---- rules


def test_rules_are_set_and_shown(server, account):
    server.command("account", "set", account, "--pop3-delete-after", 30, "--pop3-hide-after", 7)
    shown = server.json("account", "show", account)
    assert (shown["pop3_delete_after"], shown["pop3_hide_after"]) == (30, 7)
    assert "after 30 days" in server.command("account", "show", account).stdout
    server.command("account", "set", account, "--pop3-hide-after", 0)
    shown = server.json("account", "show", account)
    assert (shown["pop3_delete_after"], shown["pop3_hide_after"]) == (30, 0)
    for words in ([], ["--pop3-hide-after", "x"], ["--pop3-delete-after", -1], ["--pop3-delete-after", 40000]):
        assert server.command("account", "set", account, *words, check=False).returncode


def test_expire(server, account):
    assert "EXPIRE 1 USER" in capa(server)
    assert "EXPIRE NEVER" in capa(server, account)
    server.command("account", "set", account, "--pop3-delete-after", 14)
    assert "EXPIRE 14" in capa(server, account)


def test_older_messages_are_hidden(server, account):
    c = imap(server, account)
    for days in (20, 8, 6, 0):
        c.append("INBOX", "", imaplib.Time2Internaldate(time.time() - days * 86400), message(days))
    assert len(uidls(server, account)) == 4
    server.command("account", "set", account, "--pop3-hide-after", 7)
    p = pop(server, account)
    assert p.stat()[0] == 2 and b"Subject: number 6" in p.retr(1)[1]
    p.dele(1)
    p.quit()
    assert c.select("INBOX")[1] == [b"3"]
    c.logout()


# ---- UIDLs


def test_imported_uidls(server, account, tmp_path):
    deliver(server, account, *[b"Message-ID: <m%d@x.test>\r\n" % n + message(n) for n in range(5)])
    ours = uidls(server, account)
    (tmp_path / "list").write_text(f"<m1@x.test> old-1\nm3@x.test {'z' * 70}\n{ours[0].split('.')[1]} !~#\nunknown@x.test never\n\n")
    r = server.command("account", "uidls", account, tmp_path / "list")
    assert r.stdout.startswith("3 messages")
    want = ["!~#", "old-1", ours[2], "z" * 70, ours[4]]
    assert uidls(server, account) == want
    p = pop(server, account)
    assert p.uidl(2) == b"+OK 2 old-1" and p.uidl(4).endswith(b"z" * 70)
    p.dele(1)
    p.quit()
    assert uidls(server, account) == want[1:]
    server.command("account", "uidls", account, tmp_path / "list")
    assert uidls(server, account) == want[1:]


def test_imported_uidls_after_a_restart(new_server, tmp_path):
    s = new_server(accounts=("alice",))
    address = f"alice@{DOMAIN}"
    deliver(s, address, message(1), message(2))
    uid = uidls(s, address)[1].split(".")[1]
    (tmp_path / "list").write_text(f"{uid} kept\n")
    s.command("account", "uidls", address, tmp_path / "list")
    before = uidls(s, address)
    s.restart()
    assert uidls(s, address) == before and before[1] == "kept"
    s.stop()
    assert s.command("check", "--store").returncode == 0


def test_bad_uidls(server, account, tmp_path):
    deliver(server, account, message(1), message(2))
    ours = uidls(server, account)
    first, second = (u.split(".")[1] for u in ours)
    for text in (f"{first} a b\u00e9\n", f"{first} {'x' * 71}\n", f"{first}\n", f"{first} same\n{second} same\n", f"{first} {ours[1]}\n", "x" * 5000):
        (tmp_path / "list").write_text(text)
        assert server.command("account", "uidls", account, tmp_path / "list", check=False).returncode, text
    assert uidls(server, account) == ours
    (tmp_path / "list").write_text(f"{first} taken\n")
    server.command("account", "uidls", account, tmp_path / "list")
    (tmp_path / "list").write_text(f"{second} taken\n")
    assert server.command("account", "uidls", account, tmp_path / "list", check=False).returncode
    assert uidls(server, account) == ["taken", ours[1]]


def test_the_same_message_id_twice(server, account, tmp_path):
    deliver(server, account, *[b"Message-ID: <same@x.test>\r\n" + message(n) for n in range(3)])
    (tmp_path / "list").write_text("same@x.test once\n")
    server.command("account", "uidls", account, tmp_path / "list")
    server.command("account", "uidls", account, tmp_path / "list")
    got = uidls(server, account)
    assert got[0] == "once" and len(set(got)) == 3


# ---- LANG, UTF8


def test_lang(server, account):
    assert "LANG" in capa(server)
    d = Dialog(server)
    assert d.say("LANG").startswith("+OK") and d.more() == ["en English", "de Deutsch", "fr Français"]
    for word in ("en", "EN", "*", "en-GB"):
        assert d.say(f"LANG {word}").startswith("+OK en ")
    assert d.say("LANG de") == "+OK de die Sprache ist jetzt Deutsch"
    for word in ("tlh", "default", "-", "d" * 200, "de fr"):
        assert d.say(f"LANG {word}").startswith("-ERR diese Sprache wird hier nicht gesprochen"), word
    assert d.say("STAT") == "-ERR nicht vor der Anmeldung"
    assert d.say("USER x") == "+OK und das Kennwort?"
    assert d.say("PASS wrong") == "-ERR [AUTH] Benutzer oder Kennwort falsch"
    assert d.say(f"USER {account}").startswith("+OK") and d.say(f"PASS {PASSWORD}") == "+OK 0 Nachrichten"
    assert d.say("DELE 1") == "-ERR diese Nachricht gibt es nicht"
    assert d.say("LIST") == "+OK 0 Nachrichten" and d.more() == []
    assert d.say("LANG fr-CA").startswith("+OK fr ")
    assert d.say("QUIT") == "+OK au revoir"
    d.close()


UTF8 = "From: a@example.org\r\nTo: b@example.test\r\nSubject: Grüße aus Köln\r\n\r\nein Körper\r\n".encode()


def test_utf8_headers_as_they_came(server, account):
    c = imap(server, account)
    c.append("INBOX", "", imaplib.Time2Internaldate(time.time()), UTF8)
    c.logout()
    p = pop(server, account)
    assert b"\r\n".join(p.retr(1)[1]) + b"\r\n" == UTF8
    p.quit()


@pytest.mark.parametrize("padding", [0, 700000])
def test_utf8_headers(new_server, padding):
    server, account = new_server("downgrade = yes", accounts=("alice",)), "alice@example.test"
    c = imap(server, account)
    original = UTF8 + b"0123456789\r\n" * (padding // 12)
    c.append("INBOX", "", imaplib.Time2Internaldate(time.time()), original)
    c.logout()
    p = pop(server, account)
    lines, octets = p.retr(1)[1:]
    head = lines[:lines.index(b"")]
    assert b"".join(head).isascii() and any(b"=?" in x for x in head) and "ein Körper".encode() in lines
    assert p._longcmd("RETR 1")[0].split()[1] == b"%d" % (len(b"\r\n".join(lines)) + 2)
    assert b"".join(p.top(1, 0)[1]).isascii()
    assert p.top(1, 1)[1][-1] == "ein Körper".encode()
    p.quit()
    p = poplib.POP3("127.0.0.1", server.port("pop3"), timeout=30)
    p.utf8()
    p.user(account)
    p.pass_(PASSWORD)
    assert b"\r\n".join(p.retr(1)[1]) + b"\r\n" == original
    p.quit()


def test_names_are_utf8(server):
    assert "UTF8 USER" in capa(server)
    d = Dialog(server)
    d.send(b"USER \xff\r\n")
    assert d.line().startswith("-ERR")
    assert d.say("USER grüße").startswith("+OK")
    d.close()


# ---- IMAP goes on beside it


def test_imap_goes_on(server, account):
    deliver(server, account, *[message(n) for n in range(1, 5)])
    p, c = pop(server, account), imap(server, account)
    assert p.stat()[0] == 4
    c.store("1", "+FLAGS", "(\\Seen $Work)")
    c.store("2", "+FLAGS", "\\Deleted")
    c.expunge()
    c.append("INBOX", "", imaplib.Time2Internaldate(time.time()), message(9))
    assert p.stat()[0] == 4  # the maildrop is as it was at the login
    assert b"Subject: number 1" in p.retr(1)[1]
    with pytest.raises(poplib.error_proto, match="removed"):
        p.retr(2)
    p.dele(2)
    p.dele(3)
    p.quit()
    assert c.noop()[0] == "OK"
    assert [x.split()[0] for x in c.uid("FETCH", "1:*", "(FLAGS)")[1]] == [b"1", b"2", b"3"]
    c.logout()
    p = pop(server, account)
    assert p.stat()[0] == 3
    p.quit()
