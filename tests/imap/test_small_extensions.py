# SPDX-License-Identifier: Apache-2.0
"""SAVEDATE (RFC 8514), PREVIEW (RFC 8970), APPENDLIMIT (RFC 7889), UNAUTHENTICATE (RFC 8437)."""
import datetime
import re

from imap_dialog import NESTED, PASSWORD, PLAIN, Client, literal


def found(r):
    return [int(n) for n in r.of(rb"^\* SEARCH")[0].split()[2:]]


def test_savedate(inbox):
    inbox.append(PLAIN, more='"17-Jul-1996 02:44:25 -0700" ')
    got = inbox.fetch("FETCH 1 (SAVEDATE INTERNALDATE)")[1]
    assert re.search(rb'INTERNALDATE "17-Jul-1996', got)
    saved = datetime.datetime.strptime(re.search(rb'SAVEDATE "([^"]*)"', got)[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    assert abs(saved.timestamp() - datetime.datetime.now().timestamp()) < 3600
    day, after = (d.strftime("%d-%b-%Y") for d in (saved, saved + datetime.timedelta(days=1)))
    assert found(inbox.ok(f"SEARCH SAVEDON {day} SAVEDSINCE {day} SAVEDBEFORE {after} SAVEDATESUPPORTED")) == [1]
    assert found(inbox.ok(f"SEARCH SAVEDSINCE {after}")) == found(inbox.ok(f"SEARCH SAVEDBEFORE {day}")) == []
    assert found(inbox.ok(f"SEARCH BEFORE {day}")) == [1]
    assert inbox.do("SEARCH SAVEDON yesterday").status == "BAD"


def test_preview(inbox):
    inbox.append(PLAIN)
    inbox.append(NESTED)
    inbox.append(b"Subject: nothing\r\n\r\n")
    got = inbox.fetch("FETCH 1:3 (PREVIEW (LAZY) UID)")
    assert b'PREVIEW "first line second line"' in got[1]
    assert literal(got[2], b"PREVIEW").decode().startswith("café body text")
    assert b'PREVIEW ""' in got[3]
    assert inbox.fetch("FETCH 1 PREVIEW")[1] == b'* 1 FETCH (PREVIEW "first line second line")'
    assert b"\\Seen" not in inbox.fetch("FETCH 1 FLAGS")[1]
    assert inbox.do("FETCH 1 PREVIEW (NONE)").status == "BAD"
    assert inbox.do("FETCH 1 (PREVIEW (LAZY)").status == "BAD"


def test_appendlimit(new_server, connect):
    s = new_server("message-bytes-max = 100k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    limit = int(re.search(rb" APPENDLIMIT=(\d+)", c.ok("CAPABILITY").untagged[0])[1])
    assert c.ok("STATUS INBOX (APPENDLIMIT)").untagged == [b'* STATUS "INBOX" (APPENDLIMIT %d)' % limit]
    assert c.do(f"APPEND INBOX {{{limit + 1}}}").text.startswith("[TOOBIG]")
    c.append(PLAIN + b"x" * (limit - len(PLAIN)))


def test_unauthenticate(new_server):
    s = new_server(accounts=("alice", "bob"))
    c = Client(s.port("imap")).login("alice@example.test")
    c.ok("ENABLE QRESYNC")
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    c.ok("SEARCH RETURN (SAVE) ALL")
    c.ok("UNAUTHENTICATE")
    assert c.do("SELECT INBOX").status == "BAD" and c.do("UNAUTHENTICATE").status == "BAD"
    assert not c.ok("CAPABILITY").of(rb"UIDPLUS")
    assert c.do(f'LOGIN bob@example.test "{PASSWORD}x"').status == "NO"
    c.login("bob@example.test")
    assert b"* 0 EXISTS" in c.ok("SELECT INBOX").untagged
    assert found(c.ok("SEARCH $")) == []
    c.append(PLAIN)
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    assert c.ok("EXPUNGE").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]  # and no VANISHED
    assert c.do("UNAUTHENTICATE now").status == "BAD"
    c.ok("LOGOUT")


def test_unauthenticated_session_hears_nothing_of_the_account(new_server, connect):
    s = new_server(accounts=("alice",))
    c = Client(s.port("imap")).login("alice@example.test")
    c.ok("UNAUTHENTICATE")
    s.command("account", "password", "alice@example.test", "--password-stdin", input="Another-1\n")
    assert c.ok("NOOP").untagged == []
