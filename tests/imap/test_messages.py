# SPDX-License-Identifier: Apache-2.0
"""APPEND, FETCH, STORE, SEARCH, COPY, MOVE (RFC 3501 6.3.11, 6.4; RFC 4315; RFC 6851)."""
import imaplib
import re

import pytest
from imap_dialog import INNER, NESTED, PASSWORD, PLAIN, literal


def found(r):
    return [int(n) for n in r.of(rb"^\* SEARCH")[0].split()[2:]]


@pytest.fixture
def two(inbox):
    inbox.append(PLAIN, more='(\\Flagged $Note) "17-Jul-1996 02:44:25 -0700" ')
    inbox.append(NESTED)
    return inbox


# ---- APPEND


def test_append_answers(inbox):
    r = inbox.append(PLAIN)
    assert re.match(r"\[APPENDUID \d+ 1\]", r.text) and b"* 1 EXISTS" in r.untagged
    tag = inbox.start(f"APPEND INBOX {{{len(PLAIN)}}}")
    assert inbox.line().startswith(b"+ ")
    inbox.send(PLAIN + b"\r\n")
    assert inbox.wait(tag).status == "OK"


def test_append_refusals(inbox):
    r = inbox.do(b"APPEND nothing {%d+}\r\n" % len(PLAIN) + PLAIN)
    assert r.status == "NO" and r.text.startswith("[TRYCREATE]")
    r = inbox.do("APPEND nothing {100}")  # and no "+" comes
    assert r.status == "NO" and r.text.startswith("[TRYCREATE]")
    assert inbox.do(b"APPEND INBOX {0+}\r\n").status == "NO"
    assert inbox.do(b"APPEND INBOX (\\Recent) {2+}\r\nab").status == "BAD"
    assert inbox.do(b"APPEND INBOX \"yesterday\" {2+}\r\nab").status == "BAD"
    assert inbox.do(b"APPEND INBOX {3+}\r\na\0b").status == "BAD"
    assert inbox.do("APPEND INBOX {99999999999}").text.startswith("[TOOBIG]")
    assert b"* 0 EXISTS" not in inbox.ok("NOOP").untagged


def test_append_too_large_is_skipped(new_server, connect):
    s = new_server("message-bytes-max = 100k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    r = c.do(b"APPEND INBOX {200000+}\r\n" + b"x" * 200000)
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    c.append(PLAIN)
    r = c.do(b"APPEND INBOX {900000+}\r\n")
    assert r.of(rb"^\* BYE \[TOOBIG\]") and c.closed()


def test_append_over_quota(new_server, connect):
    s = new_server("quota = 10k", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    big = PLAIN + b"x" * 20000
    r = c.do(b"APPEND INBOX {%d+}\r\n" % len(big) + big)
    assert r.status == "NO" and r.text.startswith("[OVERQUOTA]")
    c.append(PLAIN)


def test_large_message_comes_back(inbox):
    big = PLAIN + (b"0123456789" * 7 + b"\r\n") * 60000  # 4.3 MB: a spool file in, pieces out
    inbox.append(big)
    got = inbox.fetch("FETCH 1 BODY.PEEK[]")[1]
    assert literal(got, b"BODY[]") == big
    got = inbox.fetch("FETCH 1 (BODY.PEEK[]<1000000.2000000> BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[1]
    assert literal(got, b"BODY[]<1000000>") == big[1000000:3000000]
    assert literal(got, b"BODY[HEADER.FIELDS (SUBJECT)]") == b"Subject: Hello World\r\n\r\n"
    assert found(inbox.ok("SEARCH BODY 890123")) == [1]


# ---- FETCH


def test_fetch_row_items(two):
    got = two.fetch("FETCH 1:2 (FLAGS UID INTERNALDATE RFC822.SIZE)")
    assert got[1] == b'* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent $Note) INTERNALDATE "17-Jul-1996 09:44:25 +0000" RFC822.SIZE %d)' % len(PLAIN)
    assert b"RFC822.SIZE %d)" % len(NESTED) in got[2]
    assert set(two.fetch("UID FETCH 2:* FLAGS")) == {2} and b"UID 2 " in two.fetch("UID FETCH 2 FLAGS")[2]
    assert two.fetch("UID FETCH 3:4 FLAGS") == {}
    assert set(two.fetch("UID FETCH 4294967295:* FLAGS")) == {2}
    assert set(two.fetch("FETCH 1:4294967295,* FAST")) == {1, 2}
    assert two.do("FETCH 3 FLAGS").status == "BAD"
    assert two.do("FETCH 0 FLAGS").status == "BAD"


def test_fetch_envelope(two):
    got = two.fetch("FETCH 1:2 ENVELOPE")
    assert got[1] == (b'* 1 FETCH (ENVELOPE ("Mon, 7 Feb 1994 21:52:25 -0800" "Hello World" (("Ann" NIL "ann" "example.net")) (("Ann" NIL "ann" "example.net")) '
                      b'(("Ann" NIL "ann" "example.net")) ((NIL NIL "bob" "example.test")) NIL NIL NIL "<one@example.net>"))')
    assert b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=" in got[2]
    assert b"BODYSTRUCTURE (" in two.fetch("FETCH 2 (BODYSTRUCTURE BODY)")[2]


def part(c, section):
    got = c.fetch(f"FETCH 2 BODY.PEEK[{section}]")[2]
    label = f"BODY[{section}]".encode()
    return None if label + b" NIL" in got else literal(got, label)


def test_fetch_sections(two):
    header = NESTED[:NESTED.index(b"\r\n\r\n") + 4]
    inner_header = INNER[:INNER.index(b"\r\n\r\n") + 4]
    assert part(two, "") == NESTED
    assert part(two, "HEADER") == header
    assert part(two, "TEXT") == NESTED[len(header):]
    assert part(two, "1") == b"caf=E9 body text"
    assert part(two, "1.MIME") == b"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert part(two, "2") == INNER
    assert part(two, "2.MIME") == b"Content-Type: message/rfc822\r\n\r\n"
    assert part(two, "2.HEADER") == inner_header
    assert part(two, "2.TEXT") == INNER[len(inner_header):]
    assert part(two, "2.HEADER.FIELDS (SUBJECT)") == b"Subject: inside\r\n\r\n"
    assert part(two, "2.1") == b"inner plain"
    assert part(two, "2.2") == b"<b>inner html</b>"
    assert part(two, "2.2.MIME") == b"Content-Type: text/html\r\n\r\n"
    assert part(two, "3") == b"aGVsbG8="
    assert part(two, "HEADER.FIELDS (X-ODD x-none)") == b"X-Odd: special value\r\n\r\n"
    assert b"X-Odd" not in part(two, "HEADER.FIELDS.NOT (X-ODD)") and b"Subject:" in part(two, "HEADER.FIELDS.NOT (X-ODD)")
    for missing in ("4", "1.1", "2.3", "1.HEADER", "3.TEXT", "2.1.1"):
        assert part(two, missing) is None, missing
    got = two.fetch("FETCH 1 (BODY.PEEK[1] BODY.PEEK[1.MIME])")[1]
    assert literal(got, b"BODY[1]") == b"first line\r\nsecond line\r\n"
    assert two.do("FETCH 1 BODY[MIME]").status == "BAD"


def test_fetch_partial(two):
    got = two.fetch("FETCH 1 (BODY.PEEK[TEXT]<6.4> BODY.PEEK[TEXT]<9999.10> BODY.PEEK[]<0.4294967295>)")[1]
    assert literal(got, b"BODY[TEXT]<6>") == b"line"
    assert literal(got, b"BODY[TEXT]<9999>") == b""
    assert literal(got, b"BODY[]<0>") == PLAIN


def test_fetch_sets_seen(two):
    assert b"\\Seen" not in two.fetch("FETCH 1 BODY.PEEK[]")[1]
    assert b"\\Seen" not in two.fetch("FETCH 1 (FLAGS RFC822.HEADER)")[1]
    got = two.fetch("FETCH 1:2 BODY[HEADER]")
    assert b"FLAGS (\\Flagged \\Seen \\Recent $Note)" in got[1] and b"\\Seen" in got[2]
    assert b"FLAGS" not in two.fetch("FETCH 1 BODY[TEXT]")[1]
    two.ok("STORE 1 -FLAGS (\\Seen)")
    got = two.fetch("FETCH 1 RFC822")[1]
    assert literal(got, b"RFC822") == PLAIN and b"\\Seen" in got
    two.ok("EXAMINE INBOX")
    two.ok("FETCH 1:2 RFC822.TEXT")


def test_fetch_many_in_batches(inbox):
    for i in range(300):
        inbox.send(b"x APPEND INBOX {%d+}\r\n" % (len(PLAIN) + 6) + PLAIN + b"%06d" % i + b"\r\n")
    for _ in range(300):
        assert inbox.wait("x").status == "OK"
    got = inbox.fetch("FETCH 1:* (UID ENVELOPE BODY.PEEK[])")
    assert len(got) == 300
    for seq, response in got.items():
        assert literal(response, b"BODY[]") == PLAIN + b"%06d" % (seq - 1)
    assert found(inbox.ok("SEARCH BODY \"00012\"")) == [13, *range(121, 131)]


def test_expunged_elsewhere(two, connect):
    other = connect(two.user)
    other.ok("SELECT INBOX")
    other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other.ok("EXPUNGE")
    r = two.do("FETCH 1:2 (BODY.PEEK[TEXT])")
    assert r.status == "NO" and r.text.startswith("[EXPUNGEISSUED]") or r.of(rb"^\* 1 FETCH .*first line")
    assert not r.of(rb"EXPUNGE$")
    assert r.of(rb"^\* 2 FETCH")
    assert two.ok("NOOP").of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]


# ---- STORE


def test_store(two):
    r = two.ok("STORE 1:2 +FLAGS (\\Deleted $Work)")
    assert r.of(rb"^\* 1 FETCH \(FLAGS \(\\Flagged \\Deleted \\Recent \$Note \$Work\)\)$") and r.of(rb"^\* 2 FETCH \(FLAGS")
    assert two.ok("STORE 1 -FLAGS.SILENT (\\Deleted)").of(rb"FETCH") == []
    assert two.ok("STORE 1 FLAGS \\Seen").of(rb"^\* 1 FETCH \(FLAGS \(\\Seen \\Recent\)\)$")
    assert two.ok("UID STORE 2 FLAGS ()").of(rb"^\* 2 FETCH \(UID 2 FLAGS \(\\Recent\)\)$")
    assert two.do("STORE 1 FLAGS (\\Recent)").status == "BAD"
    assert two.do("STORE 1 FLAG (\\Seen)").status == "BAD"
    assert two.do("STORE 9 FLAGS (\\Seen)").status == "BAD"
    two.ok("UID STORE 9 FLAGS (\\Seen)")
    assert two.do("STORE 1 FLAGS (" + " ".join(f"k{i}" for i in range(101)) + ")").status == "BAD"
    assert two.do("STORE 1 FLAGS (" + "k" * 201 + ")").status == "BAD"


# ---- SEARCH


@pytest.mark.parametrize("program, expected", [
    ("ALL", [1, 2]),
    ("1", [1]),
    ("2:*", [2]),
    ("UID 2", [2]),
    ("FLAGGED", [1]),
    ("UNFLAGGED", [2]),
    ("KEYWORD $note", [1]),
    ("UNKEYWORD $NOTE", [2]),
    ("NEW", [1, 2]),
    ("OLD", []),
    ("BEFORE 18-Jul-1996", [1]),
    ("ON 17-Jul-1996", [1]),
    ("SINCE 18-Jul-1996", [2]),
    ("SENTON 7-Feb-1994", [1]),
    ("SENTSINCE 8-Feb-1994", [2]),
    ("SENTBEFORE 8-Feb-1994", [1]),
    (f"LARGER {len(PLAIN)}", [2]),
    (f"SMALLER {len(PLAIN) + 1}", [1]),
    ("FROM ann", [1]),
    ("TO BOB@example", [1, 2]),
    ("SUBJECT \"hello w\"", [1]),
    ("NOT SUBJECT hello", [2]),
    ("OR SUBJECT hello FLAGGED", [1]),
    ("HEADER X-Odd SPECIAL", [2]),
    ("HEADER X-Odd \"\"", [2]),
    ("HEADER Message-ID one@", [1]),
    ("BODY \"second line\"", [1]),
    ("BODY special", []),
    ("TEXT special", [2]),
    ("BODY \"inner html\"", [2]),
    ("NOT (BODY second FLAGGED)", [2]),
    ("OR (SEEN TEXT x) (UNSEEN BODY second)", [1]),
])
def test_search(two, program, expected):
    assert found(two.ok("SEARCH " + program)) == expected
    assert found(two.ok("UID SEARCH " + program)) == expected


def test_search_charsets(two):
    for word, charset in (("café".encode(), b"UTF-8"), ("CAFÉ".encode("latin-1"), b"ISO-8859-1")):
        assert found(two.ok(b"SEARCH CHARSET %s BODY {%d+}\r\n%s" % (charset, len(word), word))) == [2]
    word = "GRÜßE".encode()
    assert found(two.ok(b"SEARCH CHARSET UTF-8 SUBJECT {%d+}\r\n%s" % (len(word), word))) == [2]
    assert found(two.ok(b"SEARCH CHARSET UTF-8 FROM {7+}\r\n" + "jürge".encode() + b"n")) == [2]
    two.append("Subject: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nПривет\r\n".encode())
    word = "привет".encode("koi8-r")
    assert found(two.ok(b"SEARCH CHARSET KOI8-R BODY {%d+}\r\n%s" % (len(word), word))) == [3]
    assert two.do("SEARCH CHARSET X-NONE ALL").text.startswith("[BADCHARSET")
    assert two.do(b"SEARCH BODY {2+}\r\n\xff\xfe").text.startswith("[BADCHARSET")


def test_search_limits(two):
    assert two.do("SEARCH " + "(" * 100 + "ALL" + ")" * 100).text.startswith("[LIMIT]")
    assert two.do("SEARCH " + "ALL " * 1000 + "ALL").text.startswith("[LIMIT]")
    assert two.do("SEARCH BODY {3000+}\r\n" + "x" * 3000).text.startswith("[LIMIT]")
    assert found(two.ok("SEARCH " + "OR ALL " * 60 + "ALL")) == [1, 2]
    assert found(two.ok("SEARCH " + " ".join(f"NOT BODY nothere{i}" for i in range(100)))) == [1, 2]
    assert found(two.ok("SEARCH 3")) == []  # RFC 7377 2: numbers past the end match nothing
    assert two.do("SEARCH").status == "BAD"


# ---- COPY, MOVE


def test_copy(two):
    two.ok("CREATE target")
    r = two.ok("COPY 1:2 target")
    assert re.match(r"\[COPYUID \d+ 1:2 1:2\]", r.text)
    r = two.do("COPY 1 nothing")
    assert r.status == "NO" and r.text.startswith("[TRYCREATE]")
    assert two.do("COPY 3 target").status == "BAD"
    assert two.ok("UID COPY 3 target").text == "no messages"
    r = two.ok("COPY 1 INBOX")
    assert b"* 3 EXISTS" in r.untagged
    two.ok("SELECT target")
    assert b"FLAGS (\\Flagged" in two.fetch("FETCH 1 (FLAGS INTERNALDATE)")[1] and b"17-Jul-1996" in two.fetch("FETCH 1 (FLAGS INTERNALDATE)")[1]


def test_move(two):
    two.ok("CREATE target")
    r = two.ok("MOVE 1 target")
    assert r.untagged[0].startswith(b"* OK [COPYUID ") and r.of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]
    r = two.ok("UID MOVE 2 target")
    assert r.of(rb"COPYUID \d+ 2 2\]") and r.of(rb"EXPUNGE") == [b"* 1 EXPUNGE"]
    assert b"* 2 EXISTS" in two.ok("SELECT target").untagged
    assert literal(two.fetch("FETCH 1 BODY.PEEK[]")[1], b"BODY[]") == PLAIN


# ---- a client library


def test_imaplib(server, account):
    with imaplib.IMAP4("127.0.0.1", server.port("imap")) as m:
        m.login(account, PASSWORD)
        m.append("INBOX", "(\\Seen)", imaplib.Time2Internaldate(0), PLAIN)
        assert m.select()[1] == [b"1"]
        assert m.fetch("1", "(RFC822)")[1][0][1] == PLAIN
        assert m.search(None, "SUBJECT", "hello")[1] == [b"1"]
        assert m.store("1", "+FLAGS", "\\Deleted")[0] == "OK"
        assert m.expunge()[1] == [b"1"]


def test_header_without_a_blank_line(inbox):
    """RFC 3501 6.4.5: the blank line is in each header, but for a message that has no body and no blank line."""
    inbox.append(b"Subject: only a header\r\nX-A: 1\r\n")
    got = inbox.fetch("FETCH 1 (BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[HEADER.FIELDS.NOT (SUBJECT)])")[1]
    assert literal(got, b"BODY[HEADER.FIELDS (SUBJECT)]") == b"Subject: only a header\r\n"
    assert literal(got, b"BODY[HEADER.FIELDS.NOT (SUBJECT)]") == b"X-A: 1\r\n"
