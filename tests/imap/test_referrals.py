# SPDX-License-Identifier: Apache-2.0
"""LOGIN-REFERRALS (RFC 2221) and MAILBOX-REFERRALS (RFC 2193): accounts and mailboxes that are on other servers."""
import base64
import poplib
import random
import smtplib

import pytest
from house import PASSWORD
from imap_dialog import PLAIN, Client

NEW = "imap://new.example.test/"


@pytest.fixture
def moved(server, connect):
    """An account; .refer(...) changes where it is."""
    address = server.add_account(f"m{random.getrandbits(40):x}")
    c = connect(address)
    c.user = address
    c.enc = address.replace("@", "%40")
    c.to = lambda url, *more, check=True: server.command("account", "set", address, "--moved-to", url, *more, check=check)
    c.refer = lambda name, url, check=True: server.command("account", "refer", address, name, url, check=check)
    return c


def test_advertised(connect, moved):
    assert b"LOGIN-REFERRALS" in connect().ok("CAPABILITY").untagged[0]
    assert b"LOGIN-REFERRALS MAILBOX-REFERRALS" in moved.ok("CAPABILITY").untagged[0]


def test_an_account_that_moved(server, connect, moved):
    moved.to(NEW)
    assert b"BYE" in moved.line()  # its sessions end
    refer = f"[REFERRAL imap://{moved.enc};AUTH=*@new.example.test/]"
    c = connect()
    for _ in range(2):  # the second time auth might remember the password
        r = c.do(f'LOGIN "{moved.user}" "{PASSWORD}"')
        assert r.status == "NO" and r.text.startswith(refer)
    plain = base64.b64encode(f"\0{moved.user}\0{PASSWORD}".encode()).decode()
    r = c.do(f"AUTHENTICATE PLAIN {plain}")
    assert r.status == "NO" and r.text.startswith(refer)
    for user, password in ((moved.user, "wrong"), ("nobody@example.test", PASSWORD)):  # RFC 2221 6
        r = c.do(f'LOGIN "{user}" "{password}"')
        assert r.status == "NO" and "REFERRAL" not in r.text
    p = poplib.POP3("127.0.0.1", server.port("pop3"))
    p.user(moved.user)
    with pytest.raises(poplib.error_proto, match=r"\[SYS/PERM\] this account is on another server now"):
        p.pass_(PASSWORD)
    p.close()
    with smtplib.SMTP("127.0.0.1", server.port("submission")) as s:
        with pytest.raises(smtplib.SMTPAuthenticationError, match="5.7.13 this account is on another server now"):
            s.login(moved.user, PASSWORD)
    with smtplib.SMTP("127.0.0.1", server.port("smtp")) as s:  # mail for it still comes here
        s.sendmail("ann@example.net", [moved.user], PLAIN)
    assert NEW in server.command("account", "show", moved.user).stdout
    moved.to("")
    c = connect(moved.user)
    assert b"MESSAGES 1" in c.ok("STATUS INBOX (MESSAGES)").untagged[0]


def test_an_account_that_moved_and_is_open(server, connect, moved):
    moved.to("imap://bob@new.example.test:1143", "--moved-open")
    c = connect()
    for _ in range(2):
        r = c.ok(f'LOGIN "{moved.user}" "{PASSWORD}"')
        assert r.text.startswith("[REFERRAL imap://bob;AUTH=*@new.example.test:1143/]") and r.of(rb"^\* CAPABILITY .*MAILBOX-REFERRALS")
        c.ok("SELECT INBOX")
        c.ok("UNAUTHENTICATE")


def test_mailboxes(connect, moved):
    c = moved
    moved.refer("Team", "imap://team.example.test/Public/Team")
    moved.refer("Deep/Far", "imap://x@far.example.test/Far")
    team = f"imap://{c.enc};AUTH=*@team.example.test/Public/Team"
    for command in ("SELECT Team", "EXAMINE Team", "STATUS Team (MESSAGES)", "DELETE Team", "CREATE Team", "RENAME Team Other", "GETACL Team", "GETMETADATA Team (/private/comment)"):
        r = c.do(command)
        pair = f" imap://{c.enc};AUTH=*@mail.example.test/Other" if command.startswith("RENAME") else ""
        assert r.status == "NO" and r.text.startswith(f"[REFERRAL {team}{pair}]"), command
    assert c.do("SELECT Team/a").text.startswith(f"[REFERRAL {team}/a]")
    assert c.do('CREATE "Team/b c/&APw-"').text.startswith(f"[REFERRAL {team}/b%20c/%C3%BC]")
    assert c.do("SELECT Deep/Far").text.startswith("[REFERRAL imap://x;AUTH=*@far.example.test/Far]")
    c.ok("CREATE mine")
    assert c.do("RENAME mine Team").text.startswith(f"[REFERRAL imap://{c.enc};AUTH=*@mail.example.test/mine {team}]")
    assert c.do("RENAME mine Team/x").text.startswith("[REFERRAL ")
    r = c.do(f"APPEND Team {{{len(PLAIN)}+}}\r\n".encode() + PLAIN)
    assert r.status == "NO" and r.text.startswith(f"[REFERRAL {team}]")
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    for command in ("COPY 1 Team", "MOVE 1 Team"):
        assert c.do(command).text.startswith(f"[REFERRAL {team}]")
    assert c.do("SELECT nowhere").text.startswith("[NONEXISTENT]") and c.do("SELECT Teams").text.startswith("[NONEXISTENT]")
    assert c.do("SELECT Deep").text.startswith("[NONEXISTENT]")
    moved.refer("Team", "")
    c.ok("CREATE Team")
    c.ok("SELECT Team")


def test_listing(moved):
    c = moved
    moved.refer("Team", "imap://team.example.test/Team")
    assert c.ok('LIST "" Te*').untagged == [] and c.ok('LIST "" *').of(rb'"Team"') == []
    assert c.ok('RLIST "" Te*').untagged == [b'* LIST () "/" "Team"']
    assert c.ok('LIST (REMOTE) "" Te*').untagged == [b'* LIST (\\Remote) "/" "Team"']
    assert len(c.ok('RLIST "" *').untagged) == len(c.ok('LIST "" *').untagged) + 1
    c.ok("SUBSCRIBE Team")
    assert c.ok('LSUB "" Te*').untagged == [] and c.ok('LIST (SUBSCRIBED) "" Te*').untagged == []
    assert c.ok('RLSUB "" Te*').untagged == [b'* LSUB () "/" "Team"']
    assert c.ok('LIST (SUBSCRIBED REMOTE) "" Te*').untagged == [b'* LIST (\\Remote \\Subscribed) "/" "Team"']
    c.ok("UNSUBSCRIBE Team")
    assert c.ok('RLSUB "" Te*').untagged == [] and c.ok('RLIST "" Te*').untagged
    for command in ("RLIST", 'RLIST ""', 'RLSUB "" ', 'RLIST "" "" x'):
        assert c.do(command).status == "BAD"


@pytest.mark.parametrize("url", ["http://new.example.test/", "imap://", "imap://a b/", "imap://h.test/]x", "imap://h.test/%0d%0a", "imap://[::1]/", "imap://h.test/INBOX;UID=1",
                                 "imap://h.test:99999/", "imap://" + "x" * 2000 + "/"])
def test_hostile_urls(moved, url):
    assert moved.to(url, check=False).returncode and moved.refer("Team", url, check=False).returncode
    assert moved.ok('RLIST "" Te*').untagged == []


def test_what_cannot_be_referred(moved):
    for name, url in (("INBOX", "imap://h.test/x"), ("Sent", "imap://h.test/x"), ("x", "imap://h.test/"), ("x", "imap://MAIL.example.test/x"), ("a//b", "imap://h.test/x"), ("", "imap://h.test/x")):
        assert moved.refer(name, url, check=False).returncode, name
    assert moved.to("imap://mail.example.test/", check=False).returncode and moved.to("imap://h.test/INBOX", check=False).returncode
    moved.ok("SELECT INBOX")
