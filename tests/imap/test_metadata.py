# SPDX-License-Identifier: Apache-2.0
"""METADATA, METADATA-SERVER (RFC 5464), LIST-METADATA (RFC 9590), special uses as an entry (RFC 6154 4), FILTERS (RFC 5466)."""
import pytest

from imap_dialog import NESTED, PLAIN, Client


def got(r):
    return r.of(rb"^\* METADATA")


def put(c, where, entry, value):
    return c.do(b'SETMETADATA %s (%s {%d+}\r\n%s)' % (where.encode(), entry.encode(), len(value), value))


def found(r):
    return [int(n) for n in r.of(rb"^\* SEARCH")[0].split()[2:]]


def test_entries(inbox):
    assert inbox.ok("GETMETADATA INBOX /shared/comment").untagged == [b'* METADATA "INBOX" ("/shared/comment" NIL)']
    inbox.ok('SETMETADATA INBOX (/private/comment "mine" /SHARED/Comment "ours")')
    assert got(inbox.ok("GETMETADATA INBOX (/shared/comment /private/comment)")) == [
        b'* METADATA "INBOX" ("/shared/comment" "ours" "/private/comment" "mine")']
    inbox.ok("SETMETADATA INBOX (/private/comment NIL)")
    assert got(inbox.ok("GETMETADATA INBOX /private/comment")) == [b'* METADATA "INBOX" ("/private/comment" NIL)']
    assert put(inbox, "INBOX", "/private/comment", b"two\r\nlines").status == "OK"
    assert got(inbox.ok("GETMETADATA INBOX /private/comment"))[0].endswith(b"{10}\r\ntwo\r\nlines)")
    inbox.ok(b"SETMETADATA INBOX (/private/vendor/x/y ~{3+}\r\na\0b)")
    assert got(inbox.ok("GETMETADATA INBOX /private/vendor/x/y"))[0].endswith(b"~{3}\r\na\0b)")
    inbox.ok('SETMETADATA INBOX (/private/comment "")')
    assert got(inbox.ok("GETMETADATA INBOX /private/comment")) == [b'* METADATA "INBOX" ("/private/comment" "")']


def test_depth_and_size(inbox):
    inbox.ok('SETMETADATA INBOX (/private/vendor/a/b "1" /private/vendor/a/b/c "22" /private/vendor/a/b/c/d "333" /private/vendor/ax "no")')
    for depth, want in (("0", [b'"1"']), ("1", [b'"1"', b'"22"']), ("infinity", [b'"1"', b'"22"', b'"333"'])):
        for command in (f"GETMETADATA (DEPTH {depth}) INBOX /private/vendor/a/b", f"GETMETADATA INBOX (DEPTH {depth}) /private/vendor/a/b"):
            r = got(inbox.ok(command))[0]
            assert [v for v in (b'"1"', b'"22"', b'"333"', b'"no"') if v in r] == want, command
    r = inbox.ok("GETMETADATA (MAXSIZE 2 DEPTH infinity) INBOX /private")
    assert b'"22"' in got(r)[0] and b'"333"' not in got(r)[0] and r.text.startswith("[METADATA LONGENTRIES 3]")
    assert got(inbox.ok("GETMETADATA (DEPTH 1) INBOX /private/nothing")) == []


def test_annotations_follow_the_mailbox(inbox):
    inbox.ok("CREATE one")
    inbox.ok('SETMETADATA one (/private/comment "kept")')
    inbox.ok("RENAME one two")
    assert b'"kept"' in got(inbox.ok("GETMETADATA two /private/comment"))[0]
    assert inbox.do("GETMETADATA one /private/comment").text.startswith("[NONEXISTENT]")
    inbox.ok("DELETE two")
    inbox.ok("CREATE two")
    assert b"NIL" in got(inbox.ok("GETMETADATA two /private/comment"))[0]
    inbox.ok('SETMETADATA INBOX (/private/comment "both")')
    inbox.ok("RENAME INBOX old")
    for name in ("INBOX", "old"):
        assert b'"both"' in got(inbox.ok(f"GETMETADATA {name} /private/comment"))[0]


def test_server(new_server):
    s = new_server("postmaster = boss@example.test", accounts=("alice", "bob"))
    s.add_account("boss", "--admin")
    alice, bob, boss = (Client(s.port("imap")).login(f"{who}@example.test") for who in ("alice", "bob", "boss"))
    assert b'"mailto:boss@example.test"' in got(alice.ok('GETMETADATA "" /shared/admin'))[0]
    assert alice.do('SETMETADATA "" (/shared/comment "hello")').text.startswith("[NOPERM]")
    assert boss.do('SETMETADATA "" (/shared/admin "mailto:x@y")').text.startswith("[CANNOT]")
    boss.ok('SETMETADATA "" (/shared/comment "hello")')
    alice.ok('SETMETADATA "" (/private/comment "secret")')
    assert b'"hello"' in got(alice.ok('GETMETADATA "" /shared/comment'))[0]
    assert b"NIL" in got(bob.ok('GETMETADATA "" /private/comment'))[0]
    assert b'"secret"' in got(alice.ok('GETMETADATA "" /private/comment'))[0]


def test_limits(inbox):
    for i in range(0, 1000, 100):
        inbox.ok("SETMETADATA INBOX (" + " ".join(f'/private/vendor/n/{k} "v"' for k in range(i, i + 100)) + ")")
    r = inbox.do('SETMETADATA INBOX (/private/vendor/n/5 "changed" /private/vendor/n/1000 "v")')
    assert r.text.startswith("[METADATA TOOMANY]")
    assert b'"v"' in got(inbox.ok("GETMETADATA INBOX /private/vendor/n/5"))[0]
    many = inbox.ok("GETMETADATA (DEPTH infinity) INBOX /private")
    assert sum(u.count(b'"/private/vendor/n/') for u in got(many)) == 1000
    for i in range(8):
        last = put(inbox, "Sent", f"/shared/vendor/big/{i}", b"x" * 65500)
    assert last.text.startswith("[METADATA TOOMANY]") or last.status == "OK"
    assert put(inbox, "Sent", "/shared/vendor/big/last", b"x" * 65500).text.startswith("[METADATA TOOMANY]")


def test_value_too_long(new_server, connect):
    c = connect("alice@example.test", on=new_server("imap.literal-bytes-max = 1m", accounts=("alice",)))
    assert put(c, "INBOX", "/private/comment", b"x" * 65537).text.startswith("[METADATA MAXSIZE 65536]")
    assert put(c, "INBOX", "/private/comment", b"x" * 65536).status == "OK"
    assert b"{65536}" in got(c.ok("GETMETADATA INBOX /private/comment"))[0]


@pytest.mark.parametrize("bad", ("GETMETADATA", "GETMETADATA INBOX", "GETMETADATA INBOX comment", "GETMETADATA INBOX /private//x", "GETMETADATA INBOX /private/x/",
                                 "GETMETADATA INBOX /other/x", "GETMETADATA INBOX (/private/a*b)", "GETMETADATA (DEPTH 2) INBOX /private/x", "GETMETADATA (MAXSIZE) INBOX /private/x",
                                 "SETMETADATA INBOX", "SETMETADATA INBOX ()", "SETMETADATA INBOX (/private/x)", 'SETMETADATA INBOX (/private "x")', 'SETMETADATA INBOX (/private/x "y"',
                                 "GETMETADATA INBOX (" + " ".join(["/private/x"] * 101) + ")", "GETMETADATA INBOX /private/" + "x" * 1000))
def test_malformed(inbox, bad):
    assert inbox.do(bad).status == "BAD"


def test_list_tells_them(inbox):
    inbox.ok("CREATE deep/er")
    inbox.ok('SETMETADATA deep (/shared/comment "here")')
    r = inbox.ok('LIST "" (deep deep/er) RETURN (METADATA ("/shared/comment" /private/comment))')
    assert [u.split(b" ")[1] for u in r.untagged] == [b"LIST", b"METADATA", b"LIST", b"METADATA"]
    assert r.untagged[1] == b'* METADATA "deep" ("/shared/comment" "here" "/private/comment" NIL)'
    assert inbox.do('LIST "" * RETURN (METADATA)').status == inbox.do('LIST "" * RETURN (METADATA ())').status == "BAD"


def test_special_use(inbox):
    assert b'"\\\\Drafts"' in got(inbox.ok("GETMETADATA Drafts /private/specialuse"))[0]
    inbox.ok("CREATE other")
    inbox.ok(r'SETMETADATA other (/private/specialuse "\\Sent \\Flagged")')
    assert inbox.ok('LIST "" other').of(rb"\\Flagged \\Sent ")
    inbox.ok("SETMETADATA other (/private/specialuse NIL)")
    assert not inbox.ok('LIST "" other').of(rb"\\Sent")
    assert inbox.do(r'SETMETADATA other (/private/specialuse "\\Nonsense")').text.startswith("[CANNOT]")
    assert inbox.do(r'SETMETADATA nothing (/private/specialuse "\\Sent")').text.startswith("[NONEXISTENT]")


def test_an_entry_named_often_is_answered_within_a_limit(inbox):
    for i in range(7):
        put(inbox, "INBOX", f"/private/v{i}", b"a" * 65000)
        put(inbox, "INBOX", f"/shared/v{i}", b"b" * 65000)
    whole = got(inbox.ok("GETMETADATA (DEPTH infinity) INBOX (/private /shared)"))[0]
    assert len(whole) > 14 * 65000
    for times in (3, 100):
        r = inbox.do("GETMETADATA (DEPTH infinity) INBOX (" + " ".join(["/private"] * times) + ")")
        assert r.status == "NO" and r.text.startswith("[LIMIT]") and not got(r)
    assert inbox.ok("GETMETADATA INBOX /private/v0")


def test_filters(inbox):
    for message in (PLAIN, NESTED, PLAIN + b"x" * 3000):
        inbox.append(message)
    inbox.ok(r'SETMETADATA "" (/private/filters/values/big "LARGER 2000" /private/filters/values/ann "FROM \"ann@example.net\"")')
    inbox.ok('SETMETADATA "" (/private/filters/values/both "FILTER ann FILTER big" /private/filters/values/pair "OR FILTER big UID 2")')
    assert found(inbox.ok("SEARCH FILTER big")) == [3]
    assert found(inbox.ok("SEARCH FILTER BIG")) == [3]
    assert found(inbox.ok("SEARCH FILTER ann NOT FILTER big")) == [1]
    assert found(inbox.ok("SEARCH FILTER both")) == [3]
    assert found(inbox.ok("UID SEARCH 1:3 (FILTER pair)")) == [2, 3]
    assert inbox.ok("SORT (REVERSE ARRIVAL) UTF-8 FILTER pair").of(rb"^\* SORT 3 2$|^\* SORT 2 3$")
    assert inbox.ok("THREAD ORDEREDSUBJECT UTF-8 FILTER big").of(rb"^\* THREAD \(3\)")
    assert inbox.do("SEARCH FILTER none").text.startswith("[UNDEFINED-FILTER none]")
    assert inbox.do("SEARCH CHARSET ISO-8859-1 FILTER big").status == "BAD"
    assert inbox.do("SEARCH FILTER a/b").status == "BAD"
    assert found(inbox.ok('SEARCH SUBJECT "FILTER none"')) == []


def test_filters_without_end(inbox):
    inbox.append(PLAIN)
    inbox.ok('SETMETADATA "" (/private/filters/values/a "FILTER b" /private/filters/values/b "FILTER a" /private/filters/values/half "OR ALL")')
    inbox.ok('SETMETADATA "" (/private/filters/values/boom "FILTER boom FILTER boom")')
    assert inbox.do("SEARCH FILTER a").text.startswith("[UNDEFINED-FILTER")
    assert inbox.do("SEARCH FILTER boom").text.startswith("[UNDEFINED-FILTER")
    assert inbox.do("SEARCH FILTER half").status == "NO"
    assert found(inbox.ok("SEARCH ALL")) == [1]
