# SPDX-License-Identifier: Apache-2.0
"""What RFC 9051, sections 6 and 7, says a server MUST do, section by section; what has dialogs of its own elsewhere (test_rev2.py,
test_binary.py, test_list.py, test_search_results.py, test_mailboxes.py, test_changes.py) is not repeated."""
import base64
import re

import pytest
from imap_dialog import PASSWORD, PLAIN, Client


@pytest.fixture
def c(connect, account):
    c = connect(account)
    c.user = account
    c.ok("ENABLE IMAP4rev2")
    return c


def test_6_1_1_capability(connect):
    c = connect()
    r = c.ok("CAPABILITY")
    assert len(r.untagged) == 1 and b" IMAP4rev2" in r.untagged[0] and b" STARTTLS" in r.untagged[0] and b" AUTH=PLAIN" in r.untagged[0]


def test_6_1_3_logout_says_bye_first_and_closes(connect):
    c = connect()
    assert c.ok("LOGOUT").untagged[0].startswith(b"* BYE ")
    assert c.closed()


def test_6_2_1_starttls_under_tls_is_bad(connect):
    c = connect(port="imaps", tls=True)
    assert c.do("STARTTLS").status == "BAD" and b"STARTTLS" not in c.ok("CAPABILITY").untagged[0]


def test_6_2_1_what_follows_starttls_is_not_obeyed_as_plaintext(connect):
    """The client then says nothing more until the handshake's 30 seconds are over: that ends its connection, and no other."""
    other = connect()
    c = connect(timeout=60)
    c.send(b"a STARTTLS\r\nb NOOP\r\n")
    assert c.wait("a").status == "OK"
    assert c.file.read() == b""
    other.ok("NOOP")


def test_6_2_2_authenticate(connect, account):
    c = connect()
    c.send(b"a AUTHENTICATE PLAIN\r\n")
    assert c.line().startswith(b"+ ")
    c.send(b"*\r\n")
    assert c.wait("a").status == "BAD"
    for bad in ("=AAA", "AAA=BBB", "A*A=", "AB"):
        assert c.do(f"AUTHENTICATE PLAIN {bad}").status == "BAD", bad
    assert c.do("AUTHENTICATE X-NONE").status == "NO"
    c.ok("AUTHENTICATE PLAIN " + base64.b64encode(f"\0{account}\0{PASSWORD}".encode()).decode())


def test_6_2_3_logindisabled(new_server):
    s = new_server("login.without-tls = no", accounts=("alice",))
    c = Client(s.port("imap"))
    assert b" LOGINDISABLED" in c.greeting and b"AUTH=PLAIN" not in c.greeting
    assert c.do(f'LOGIN alice@example.test "{PASSWORD}"').text.startswith("[PRIVACYREQUIRED]")
    c.close()


def test_6_3_1_enable_answers_even_with_nothing(c):
    assert c.ok("ENABLE X-FOO").untagged == [b"* ENABLED"]
    assert c.ok("ENABLE CONDSTORE X-FOO").of(b"^\\* ENABLED CONDSTORE$")
    assert c.do("ENABLE (X)").status == "BAD"


def test_6_3_2_a_failed_select_leaves_nothing_selected(c):
    c.ok("SELECT INBOX")
    r = c.do("SELECT nowhere")
    assert r.status == "NO" and r.of(rb"\[CLOSED\]") and c.do("FETCH 1 UID").status == "BAD"


def test_6_3_2_bad_changes_nothing(c):
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert c.do("SELECT").status == "BAD" and c.do("SELECT a b").status == "BAD"
    assert c.fetch("FETCH 1 UID")


def test_6_3_3_examine_changes_nothing(c):
    c.append(PLAIN)
    assert c.ok("EXAMINE INBOX").of(rb"PERMANENTFLAGS \(\)")
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 INBOX", "UID EXPUNGE 1"):
        assert c.do(command).text.startswith("[READ-ONLY]"), command
    c.ok("FETCH 1 BODY[]")
    assert b"\\Seen" not in c.fetch("FETCH 1 FLAGS")[1]
    c.ok("CLOSE")


def test_6_3_4_create(c):
    c.ok("CREATE a/b/c/")
    assert len(c.ok('LIST "" a*').untagged) == 3
    for name in ("INBOX", "inbox", "a/b"):
        assert c.do(f"CREATE {name}").text.startswith("[ALREADYEXISTS]"), name


def test_6_3_4_uids_do_not_come_back(c):
    def select():
        got = b"".join(c.ok("SELECT x").untagged)
        return int(re.search(rb"UIDVALIDITY (\d+)", got)[1]), int(re.search(rb"UIDNEXT (\d+)", got)[1])
    c.ok("CREATE x")
    c.append(PLAIN, mailbox="x")
    validity, next_uid = select()
    c.ok("CLOSE")
    c.ok("DELETE x")
    c.ok("CREATE x")
    again, after = select()
    assert again != validity or after >= next_uid


def test_6_3_5_delete_leaves_inferiors(c):
    c.ok("CREATE p/q")
    c.ok("DELETE p")
    assert c.ok('LIST "" p*').of(rb'"p/q"') and c.do("DELETE INBOX").status == "NO" and c.do("DELETE none").text.startswith("[NONEXISTENT]")


def test_6_3_6_rename(c):
    c.ok("CREATE p/q")
    c.ok("RENAME p z/y")
    assert {u.rsplit(b" ", 1)[1] for u in c.ok('LIST "" z*').untagged} == {b'"z"', b'"z/y"', b'"z/y/q"'}
    assert c.do("RENAME none x").text.startswith("[NONEXISTENT]") and c.do("RENAME z/y INBOX").text.startswith("[ALREADYEXISTS]")
    c.append(PLAIN)
    c.ok("RENAME INBOX old")
    assert c.ok("STATUS INBOX (MESSAGES)").of(b"MESSAGES 0") and c.ok("STATUS old (MESSAGES)").of(b"MESSAGES 1")


def test_6_3_7_subscriptions_outlive_mailboxes(c):
    c.ok("CREATE s")
    c.ok("SUBSCRIBE s")
    c.ok("SUBSCRIBE s")
    c.ok("DELETE s")
    assert c.ok('LIST (SUBSCRIBED) "" s').of(rb"\\NonExistent") and c.ok('LIST (SUBSCRIBED) "" s').of(rb"\\Subscribed")
    c.ok("UNSUBSCRIBE s")
    c.ok("UNSUBSCRIBE s")


def test_6_3_9_list(c):
    assert c.do('LIST (X-UNKNOWN) "" *').status == "BAD" and c.do('LIST "" * RETURN (X-UNKNOWN)').status == "BAD"
    for bad in ("RECURSIVEMATCH", "REMOTE RECURSIVEMATCH"):
        assert c.do(f'LIST ({bad}) "" *').status == "BAD", bad
    assert c.ok('LIST (REMOTE REMOTE SUBSCRIBED) "" *').status == "OK"
    assert c.ok('LIST "" "a//b"').untagged == [] and c.ok('LIST () "" ""').untagged == []
    assert c.ok('LIST "" ""').of(rb'^\* LIST \(\\Noselect\) "/" ""$')
    assert c.ok('LIST "" inbo*').untagged == [] and c.ok('LIST "" IN*').of(b"INBOX")
    for u in c.ok('LIST "" * RETURN (CHILDREN)').untagged:
        assert (b"\\HasChildren" in u) != (b"\\HasNoChildren" in u)
    assert c.ok('LIST "" INBOX RETURN (STATUS (MESSAGES))').of(rb"^\* STATUS ")


def test_6_3_11_status_of_the_selected_mailbox(c):
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert c.ok("STATUS INBOX (MESSAGES UNSEEN)").of(b"MESSAGES 1 UNSEEN 1")
    assert b"\\Seen" not in c.fetch("FETCH 1 FLAGS")[1]


@pytest.mark.parametrize("command", ["COPY 1 nowhere", "MOVE 1 nowhere", "UID COPY 1 nowhere", "UID MOVE 1 nowhere"])
def test_6_4_trycreate(c, command):
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert c.do(command).text.startswith("[TRYCREATE]") and not c.ok('LIST "" nowhere').untagged and c.fetch("FETCH 1 UID")


def test_6_3_12_append(c):
    assert c.do("APPEND nowhere {%d+}\r\n" % len(PLAIN) + PLAIN.decode()).text.startswith("[TRYCREATE]")
    c.ok("SELECT INBOX")
    r = c.append(PLAIN)
    assert re.match(r"\[APPENDUID \d+ 1\]", r.text) and b"* 1 EXISTS" in r.untagged


def test_6_4_1_and_2_close_and_unselect(c):
    c.append(PLAIN, more="(\\Deleted) ")
    c.ok("SELECT INBOX")
    assert not c.ok("UNSELECT").untagged and c.do("UNSELECT").status == "BAD"
    c.ok("SELECT INBOX")
    assert not c.ok("CLOSE").of(b"EXPUNGE")
    assert b"* 0 EXISTS" in c.ok("SELECT INBOX").untagged


def test_6_4_4_search_without_a_match_still_answers(c):
    c.ok("SELECT INBOX")
    r = c.ok("SEARCH RETURN (MIN MAX COUNT ALL) ALL")
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) COUNT 0', r.untagged[0])


def test_6_4_4_1_the_saved_result(c):
    for _ in range(4):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    c.ok("SEARCH RETURN (SAVE MIN MAX) ALL")
    assert sorted(c.fetch("FETCH $ UID")) == [1, 4]
    assert c.do("SEARCH RETURN (SAVE) X-BAD").status == "BAD" and sorted(c.fetch("FETCH $ UID")) == [1, 4]
    c.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    assert sorted(c.fetch("FETCH $ UID")) == [3]
    assert c.do("SEARCH RETURN (SAVE) CHARSET X-NO-SUCH ALL").status == "NO" and not c.ok("FETCH $ UID").untagged
    assert c.ok("COPY $ INBOX").status == "OK"
    c.ok("SELECT INBOX")
    assert not c.ok("FETCH $ UID").untagged


def test_6_4_5_fetch_never_sends_expunge(c, connect):
    for _ in range(3):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    other = connect(c.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 2 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    for command in ("FETCH 1 UID", "STORE 1 +FLAGS (x)", "SEARCH ALL"):
        assert not c.do(command).of(b"EXPUNGE"), command
    assert c.ok("NOOP").of(rb"^\* 2 EXPUNGE$")


def test_6_4_8_move_tells_copyuid_before_expunge(c):
    c.append(PLAIN)
    c.ok("CREATE m")
    c.ok("SELECT INBOX")
    r = c.ok("MOVE 1 m")
    assert r.untagged[0].startswith(b"* OK [COPYUID ") and r.untagged[1] == b"* 1 EXPUNGE" and not r.of(b"Deleted")


def test_6_4_9_uids_that_are_not_there(c):
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    for command in ("UID FETCH 99 FLAGS", "UID STORE 99 +FLAGS (x)", "UID COPY 99 INBOX", "UID MOVE 99 INBOX", "UID EXPUNGE 99"):
        assert c.ok(command).untagged == [], command
    assert c.fetch("UID FETCH 99:* FLAGS")[1] == b"* 1 FETCH (UID 1 FLAGS ())"
    assert re.fullmatch(rb'\* ESEARCH \(TAG "t\d+"\) UID ALL 1', c.ok("UID SEARCH UID 99:*").untagged[0])


def test_7_6_a_literal_is_asked_for(c):
    c.send(b"a SELECT {5}\r\n")
    assert c.line().startswith(b"+ ")
    c.send(b"INBOX\r\n")
    assert c.wait("a").status == "OK"
    c.send(b"b NOSUCH {5}\r\n")
    r = c.line()
    assert r.startswith(b"+ ") or b" BAD" in r
    if r.startswith(b"+ "):
        c.send(b"INBOX\r\n")
        assert c.wait("b").status == "BAD"
