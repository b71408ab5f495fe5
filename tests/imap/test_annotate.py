# SPDX-License-Identifier: Apache-2.0
"""ANNOTATE-EXPERIMENT-1 (RFC 5257), QUOTA=RES-ANNOTATION-STORAGE (RFC 9208 5.4), AnnotationChange (RFC 5465 5.1)."""
import random
import re

import pytest
from imap_dialog import NESTED, PLAIN, Client


def store(c, what, text, value, set="1"):
    """STORE of one value as a literal."""
    return c.do(b"STORE %b ANNOTATION (%b (%b {%d+}\r\n%b))" % (set.encode(), what.encode(), text.encode(), len(value), value))


def annotation(c, what, set="1"):
    """What FETCH says of one message."""
    got = c.ok(f"FETCH {set} (ANNOTATION ({what}))").of(rb"^\* \d+ FETCH")
    assert len(got) <= 1, got
    return re.match(rb"\* \d+ FETCH \(ANNOTATION \((.*)\)\)$", got[0], re.S)[1].decode("latin-1") if got else None


def found(r):
    return [int(n) for n in r.of(rb"^\* (SEARCH|SORT)")[0].split()[2:]]


@pytest.fixture
def one(inbox):
    inbox.append(PLAIN)
    return inbox


@pytest.fixture
def two(server, connect):
    """Somebody with messages in Box, and a friend; .box is what the friend calls it."""
    n = f"{random.getrandbits(40):x}"
    clients = []
    for name in ("ann", "bob"):
        c = connect(server.add_account(name + n))
        c.user = f"{name}{n}@example.test"
        clients.append(c)
    ann, bob = clients
    ann.ok("CREATE Box")
    for message in (PLAIN, NESTED, PLAIN):
        ann.append(message, "Box")
    bob.box = f'"Other Users/{ann.user}/Box"'
    ann.ok("SELECT Box (ANNOTATE)")
    return ann, bob


def share(owner, friend, rights):
    owner.ok(f"SETACL Box {friend.user} {rights}")


# ---- capability, SELECT

def test_capability(inbox):
    words = inbox.ok("CAPABILITY").untagged[0].split()
    assert {b"ANNOTATE-EXPERIMENT-1", b"RIGHTS=texkn", b"QUOTA=RES-ANNOTATION-STORAGE"} <= set(words)


def test_select_tells_the_level(inbox):
    for command, level in (("SELECT INBOX", b"65536"), ("SELECT INBOX (ANNOTATE)", b"65536"), ("SELECT INBOX (CONDSTORE ANNOTATE)", b"65536"),
                           ("EXAMINE INBOX (annotate)", b"READ-ONLY")):
        assert inbox.ok(command).of(rb"^\* OK \[ANNOTATIONS %b\]" % level), command
    assert inbox.do("SELECT INBOX (ANNOTATED)").status == inbox.do("SELECT INBOX (ANNOTATE x)").status == "BAD"


# ---- STORE and FETCH

def test_store_and_fetch(one):
    r = one.ok('STORE 1 ANNOTATION (/comment (value.priv "My new comment"))')
    assert r.untagged == []  # 4.5: it is silent
    assert annotation(one, "/comment value") == '/comment (value.priv "My new comment" value.shared NIL)'
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "My comment" value.shared "Group note") /altsubject (value.priv "Wots On"))')
    assert annotation(one, "/comment value") == '/comment (value.priv "My comment" value.shared "Group note")'
    assert annotation(one, "/comment (value size)") == ('/comment (value.priv "My comment" value.shared "Group note" '
                                                        'size.priv "10" size.shared "10")')
    assert annotation(one, "(/comment /altsubject) value.priv") == '/comment (value.priv "My comment") /altsubject (value.priv "Wots On")'
    assert annotation(one, "/comment (size.shared value.shared)") == '/comment (size.shared "10" value.shared "Group note")'


def test_nil(one):
    assert annotation(one, "/comment (value size)") == '/comment (value.priv NIL value.shared NIL size.priv "0" size.shared "0")'
    one.ok('STORE 1 ANNOTATION (/comment (value.shared "x" value.priv ""))')
    assert annotation(one, "/comment (value size.priv)") == '/comment (value.priv "" value.shared "x" size.priv "0")'
    one.ok("STORE 1 ANNOTATION (/comment (value.shared NIL))")
    assert annotation(one, "/comment value") == '/comment (value.priv "" value.shared NIL)'
    one.ok("STORE 1 ANNOTATION (/comment (value.priv NIL) /altsubject (value.priv NIL))")
    assert annotation(one, "/* value") is None
    assert one.ok("UID FETCH 1 (ANNOTATION (/* value))").untagged == [b"* 1 FETCH (UID 1)"]


def test_wildcards(inbox):
    inbox.append(NESTED)
    inbox.ok('STORE 1 ANNOTATION (/comment (value.shared "a") /altsubject (value.priv "b") /1/comment (value.priv "c") '
             '/vendor/foobar/label.priv (value.priv "d") /vendor/foobar (value.shared "e") /2.1/flags/seen (value.shared "1"))')

    def names(what):
        return sorted(re.findall(r"(/\S+) \(", annotation(inbox, what) or ""))

    assert names("/% value") == ["/altsubject", "/comment"]
    assert names("/* value") == names("* value") == names("*%*%* value") == sorted(
        ["/1/comment", "/2.1/flags/seen", "/altsubject", "/comment", "/vendor/foobar", "/vendor/foobar/label.priv"])
    assert names("/%/%ar value") == ["/vendor/foobar"]
    assert names("/1/% value") == ["/1/comment"]
    assert names("/%/comment value") == ["/1/comment"]
    assert names("(/% /vendor/* /comment) value") == ["/altsubject", "/comment", "/vendor/foobar", "/vendor/foobar/label.priv"]
    assert annotation(inbox, "/% value.shared") == '/comment (value.shared "a")'
    assert annotation(inbox, "/c* value") == '/comment (value.priv NIL value.shared "a")'
    assert names('"/v%/*" size.priv') == ["/vendor/foobar/label.priv"]


def test_names_have_their_case(one):
    one.ok('STORE 1 ANNOTATION (/vendor/x/A (value.priv "upper") "/vendor/x/a b" (value.priv "space"))')
    assert annotation(one, "/vendor/x/a value.priv") == "/vendor/x/a (value.priv NIL)"
    assert annotation(one, "/vendor/x/* value.priv") == '/vendor/x/A (value.priv "upper") "/vendor/x/a b" (value.priv "space")'
    assert one.do("FETCH 1 (ANNOTATION (/comment VALUE))").status == "BAD"


def test_bytes_of_any_value(one):
    one.ok(b"STORE 1 ANNOTATION (/comment (value.priv ~{5+}\r\na\0\r\nb value.shared {2+}\r\n\xff\xfe))")
    assert annotation(one, "/comment value") == "/comment (value.priv ~{5}\r\na\0\r\nb value.shared {2}\r\n\xff\xfe)"


def test_with_other_items(one):
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    r = one.ok("UID FETCH 1:* (FLAGS ANNOTATION (/comment value.priv) BODY.PEEK[TEXT]<0.5>)")
    assert r.untagged == [b'* 1 FETCH (UID 1 FLAGS (\\Recent) ANNOTATION (/comment (value.priv "x")) BODY[TEXT]<0> {5}\r\nfirst)']
    assert one.ok("FETCH 1 ANNOTATION (/comment value.priv)").untagged == [b'* 1 FETCH (ANNOTATION (/comment (value.priv "x")))']


def test_many_messages(inbox):
    for _ in range(30):
        inbox.append(PLAIN)
    inbox.ok("NOOP")
    inbox.ok('STORE 2,5:7,30 ANNOTATION (/comment (value.shared "here"))')
    got = inbox.fetch("FETCH 1:* (UID ANNOTATION (/comment value.shared))")
    assert len(got) == 30
    assert [n for n, u in got.items() if b'"here"' in u] == [2, 5, 6, 7, 30]
    assert list(inbox.fetch("FETCH 1:* ANNOTATION (/* value)")) == [2, 5, 6, 7, 30]
    inbox.ok("STORE 6 ANNOTATION (/comment (value.shared NIL))")
    assert list(inbox.fetch("FETCH 1:* ANNOTATION (/* value)")) == [2, 5, 7, 30]


MALFORMED = ("FETCH 1 ANNOTATION", "FETCH 1 ANNOTATION (/comment)", "FETCH 1 ANNOTATION (comment value)", "FETCH 1 ANNOTATION (/comment values)",
             "FETCH 1 ANNOTATION (/comment value.both)", "FETCH 1 ANNOTATION (/comment ())", "FETCH 1 ANNOTATION (() value)", "FETCH 1 ANNOTATION (// value)",
             "FETCH 1 ANNOTATION (/a//b value)", "FETCH 1 ANNOTATION (/a/ value)", "FETCH 1 ANNOTATION (/ value)", "FETCH 1 ANNOTATION (/1 value)",
             "FETCH 1 ANNOTATION (/0/comment value)", "FETCH 1 ANNOTATION (/1./comment value)", "FETCH 1 ANNOTATION (/1x/comment value)",
             "FETCH 1 ANNOTATION (/01/% value)", "FETCH 1 ANNOTATION (/1..2/comment value)", "FETCH 1 ANNOTATION (/flags value)", "FETCH 1 ANNOTATION (/flags/seen value)",
             "FETCH 1 (ANNOTATION (/a value) ANNOTATION (/b value))", "FETCH 1 ANNOTATION (/" + "x" * 255 + " value)",
             "FETCH 1 ANNOTATION ((" + " ".join(f"/{i}x*" for i in "abcdefghijk") + ") value)", "FETCH 1 ANNOTATION ((" + " ".join(f"/v{i}" for i in range(101)) + ") value)",
             'STORE 1 ANNOTATION (/comment (value "x"))', 'STORE 1 ANNOTATION (/comment (size.priv "1"))', 'STORE 1 ANNOTATION (/comment (value.priv))',
             'STORE 1 ANNOTATION (/comment ())', "STORE 1 ANNOTATION ()", 'STORE 1 ANNOTATION (/* (value.priv "x"))', 'STORE 1 ANNOTATION (/a%b (value.priv "x"))',
             'STORE 1 ANNOTATION (comment (value.priv "x"))', 'STORE 1 ANNOTATION (/flags/seen (value.priv "1"))', 'STORE 1 ANNOTATION (/vendor (value.priv "x"))',
             'STORE 1 ANNOTATION (/1/flags (value.priv "1"))', 'STORE 1 ANNOTATION (/1/flags/seen (value.priv "2"))', 'STORE 1 ANNOTATION (/1/flags/seen (value.priv "01"))',
             'STORE 1 ANNOTATION (/comment (value.priv "x")', 'STORE 1 +ANNOTATION (/comment (value.priv "x"))', 'STORE 1 ANNOTATION.SILENT (/comment (value.priv "x"))',
             'STORE 1 ANNOTATION (/comment (value.priv x))', "SEARCH ANNOTATION /comment value", "SEARCH ANNOTATION /comment size x", 'SEARCH ANNOTATION comment value "x"',
             'SEARCH ANNOTATION /a//* value "x"', "SORT (ANNOTATION /comment value) UTF-8 ALL", "SORT (ANNOTATION /* value.priv) UTF-8 ALL",
             "SORT (ANNOTATION /comment size.priv) UTF-8 ALL", "SORT (ANNOTATION /comment) UTF-8 ALL",
             "SORT (" + " ".join(["ANNOTATION /comment value.priv"] * 5) + ") UTF-8 ALL")


@pytest.mark.parametrize("bad", MALFORMED)
def test_malformed(one, bad):
    assert one.do(bad).status == "BAD"
    assert one.ok("FETCH 1 ANNOTATION (/* value)").untagged == []


def test_keys_of_one_search(one):
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "here"))')
    key = 'ANNOTATION /* value "here" '
    assert one.ok("SEARCH " + key * 16 + "ALL").untagged == [b"* SEARCH 1"]
    for command in ("SEARCH ", "SORT (ARRIVAL) UTF-8 ", "THREAD REFERENCES UTF-8 "):
        r = one.do(command + key * 17 + "ALL")
        assert r.status == "NO" and r.text.startswith("[LIMIT]")


def test_names_in_literals_may_not_hold_more(one):
    for name in (b"/caf\xc3\xa9", b"/a\rb", b"/a\x7fb"):
        assert one.do(b"FETCH 1 ANNOTATION ({%d+}\r\n%b value)" % (len(name), name)).status == "BAD"


# ---- parts

def test_parts(inbox):
    inbox.append(NESTED)
    inbox.append(PLAIN)
    for part in ("1", "2", "2.1", "2.2", "3"):
        inbox.ok(f'STORE 1 ANNOTATION (/{part}/comment (value.priv "of {part}"))')
        assert annotation(inbox, f"/{part}/comment value.priv") == f'/{part}/comment (value.priv "of {part}")'
    for part in ("4", "1.2", "2.3", "1.1.1"):
        assert inbox.do(f'STORE 1 ANNOTATION (/{part}/comment (value.priv "x"))').status == "BAD", part
        assert inbox.do(f"FETCH 1 ANNOTATION (/{part}/comment value)").status == "BAD", part
    assert inbox.do('STORE 1:2 ANNOTATION (/2/comment (value.priv "x"))').status == "BAD"  # the second has one part
    inbox.ok('STORE 1:2 ANNOTATION (/1/comment (value.priv "both"))')
    assert inbox.do("FETCH 1:2 ANNOTATION (/2/comment value)").status == "BAD"
    assert len(inbox.ok("FETCH 1:2 ANNOTATION (/1/comment value)").untagged) == 2


def test_flags_of_parts(inbox):
    inbox.append(NESTED)
    for flag in ("seen", "answered", "flagged", "forwarded"):
        inbox.ok(f'STORE 1 ANNOTATION (/1/flags/{flag} (value.shared "1"))')
        inbox.ok(f'STORE 1 ANNOTATION (/1/flags/{flag} (value.priv "0"))')
        assert annotation(inbox, f"/1/flags/{flag} value") == f'/1/flags/{flag} (value.priv "0" value.shared "1")'
        inbox.ok(f"STORE 1 ANNOTATION (/1/flags/{flag} (value.shared NIL value.priv NIL))")
    assert inbox.fetch("FETCH 1 FLAGS")[1] == b"* 1 FETCH (FLAGS (\\Recent))"  # 3.2.1: they change no flag


# ---- limits

def test_too_big(new_server, connect):
    c = connect("alice@example.test", on=new_server("imap.literal-bytes-max = 1m", accounts=("alice",)))
    c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert store(c, "/comment", "value.priv", b"x" * 65536).status == "OK"
    r = store(c, "/comment", "value.priv", b"y" * 65537)
    assert r.status == "NO" and r.text.startswith("[ANNOTATE TOOBIG]")
    assert annotation(c, "/comment size.priv") == '/comment (size.priv "65536")'
    for i in range(3):
        store(c, f"/v{i}", "value.priv", b"x" * 65000)
    r = store(c, "/v3", "value.priv", b"x" * 65000)  # 256 KiB in all
    assert r.status == "NO" and r.text.startswith("[ANNOTATE TOOMANY]")
    assert store(c, "/v3", "value.shared", b"x" * 65000).status == "OK"
    c.send(b"x APPEND INBOX ANNOTATION (/comment (value.priv {65537+}\r\n" + b"x" * 65537 + b")) {5}\r\n")
    assert c.wait("x").text.startswith("[ANNOTATE TOOBIG]")
    whole = c.ok("FETCH 1 ANNOTATION (/* value)").untagged[0]
    assert len(whole) > 65536 + 4 * 65000


def test_too_many(one):
    one.ok("STORE 1 ANNOTATION (" + " ".join(f'/v{i} (value.priv "{i}")' for i in range(100)) + ")")
    for command in ('STORE 1 ANNOTATION (/more (value.priv "x"))', 'STORE 1 ANNOTATION (/v1 (value.priv "x") /more (value.priv "x"))',
                    "STORE 1 ANNOTATION (" + " ".join(f'/w{i} (value.shared "{i}")' for i in range(101)) + ")",
                    "APPEND INBOX ANNOTATION (" + " ".join(f'/w{i} (value.shared "{i}")' for i in range(101)) + ") {5}"):
        r = one.do(command)
        assert r.status == "NO" and r.text.startswith("[ANNOTATE TOOMANY]"), command
    assert annotation(one, "/v1 value.priv") == '/v1 (value.priv "1")'
    one.ok('STORE 1 ANNOTATION (/v1 (value.priv "changed") /v2 (value.priv NIL) /more (value.priv "now"))')
    one.ok('STORE 1 ANNOTATION (/v1 (value.shared "there are as many shared ones"))')
    assert annotation(one, "/* value.priv").count("value.priv") == 100


def test_100000_entries_in_many_messages(inbox):
    """All that a user may set, and the widest question about it: answered, and others are served meanwhile."""
    for _ in range(100):
        inbox.append(b"Subject: x\r\n\r\n")
    inbox.ok("NOOP")
    names = " ".join(f'/{"x" * 240}{i} (value.priv "{i}")' for i in range(100))
    inbox.ok(f"STORE 1:100 ANNOTATION ({names})")
    got = inbox.fetch("FETCH 1:100 ANNOTATION (*%*x*%x*%*x*z value)")
    assert got == {}
    got = inbox.fetch("FETCH 1:100 ANNOTATION (* value)")
    assert len(got) == 100 and sum(u.count(b"value.priv") for u in got.values()) == 10000
    inbox.ok('SEARCH ANNOTATION *%*x%*x*7* value "77"')


def test_more_than_one_call_writes(one):
    """20,000 entries are what the store sets at once: STORE goes on. It copies 200,000 at once, and no more."""
    for _ in range(8):
        one.ok("COPY 1:* INBOX")
    names = " ".join(f'/v{i} (value.priv "{i}")' for i in range(100))
    one.ok(f"STORE 1:256 ANNOTATION ({names})")
    assert found(one.ok('SEARCH ANNOTATION /v99 value.priv "99"')) == list(range(1, 257))
    for _ in range(3):
        one.ok("COPY 1:* INBOX")
    r = one.do("COPY 1:2048 Archive")
    assert (r.status, r.text[:7]) == ("NO", "[LIMIT]"), r
    assert one.ok("STATUS Archive (MESSAGES)").untagged[0].endswith(b"(MESSAGES 0)")
    one.ok("COPY 1:2000 Archive")


def test_removed_names_leave_nothing_behind(one):
    for i in range(60):
        one.ok(f'STORE 1 ANNOTATION (/r{i} (value.priv "x"))')
        one.ok(f"STORE 1 ANNOTATION (/r{i} (value.priv NIL))")
    assert annotation(one, "/* value") is None
    one.ok("STORE 1 ANNOTATION (" + " ".join(f'/v{i} (value.priv "{i}")' for i in range(100)) + ")")


# ---- quota

def usage(c):
    return int(re.search(rb"ANNOTATION-STORAGE (\d+) ", c.ok('GETQUOTA ""').untagged[0])[1])


def test_quota(new_server, connect):
    s = new_server("quota-annotations = 10k\nimap.literal-bytes-max = 1m", accounts=("alice",))
    c = connect("alice@example.test", on=s)
    for _ in range(3):
        c.append(PLAIN)
    c.ok("SELECT INBOX")
    assert c.ok('GETQUOTA ""').untagged == [b'* QUOTA "" (ANNOTATION-STORAGE 0 10)']
    assert store(c, "/comment", "value.priv", b"x" * 4000).status == "OK"
    assert store(c, "/comment", "value.shared", b"x" * 4000).status == "OK"
    assert usage(c) == 8
    r = store(c, "/comment", "value.priv", b"x" * 4000, "2")
    assert r.status == "NO" and r.text.startswith("[OVERQUOTA]")
    assert c.do("COPY 1 Archive").text.startswith("[OVERQUOTA]")
    assert c.do(b"APPEND INBOX ANNOTATION (/c (value.priv {3000+}\r\n%b)) {%d+}\r\n%b" % (b"x" * 3000, len(PLAIN), PLAIN)).text.startswith("[OVERQUOTA]")
    c.ok("MOVE 1 Archive")
    assert usage(c) == 8
    assert store(c, "/comment", "value.shared", b"x" * 2000, "1").status == "OK"
    assert usage(c) == 10
    c.ok("STORE 1 ANNOTATION (/comment (value.shared NIL))")
    assert usage(c) == 8
    c.ok("SELECT Archive")
    c.ok(b"UID STORE 1:* +FLAGS (\\Deleted)")
    c.ok("EXPUNGE")
    assert usage(c) == 0
    c.ok("SELECT INBOX")
    c.ok("CREATE gone")
    assert store(c, "/comment", "value.shared", b"x" * 2000, "1").status == "OK"
    c.ok("MOVE 1 gone")
    assert usage(c) == 2
    c.ok("DELETE gone")
    assert usage(c) == 0
    s.stop()
    assert s.command("check", "--store").returncode == 0


def test_administrators_set_the_quota(new_server):
    s = new_server(accounts=("alice",))
    s.add_account("boss", "--admin")
    with_limits = Client(s.port("imap")).login("boss@example.test")
    r = with_limits.ok("SETQUOTA alice@example.test (ANNOTATION-STORAGE 512)")
    assert r.untagged == [b'* QUOTA "alice@example.test" (ANNOTATION-STORAGE 0 512)']
    assert Client(s.port("imap")).login("alice@example.test").ok('GETQUOTA ""').untagged == [b'* QUOTA "" (ANNOTATION-STORAGE 0 512)']


# ---- SEARCH

def test_search(inbox):
    for _ in range(5):
        inbox.append(PLAIN)
    inbox.ok("NOOP")
    inbox.ok('STORE 1 ANNOTATION (/comment (value.priv "about IMAP4 and more"))')
    inbox.ok('STORE 2 ANNOTATION (/comment (value.shared "imap4"))')
    inbox.ok('STORE 3 ANNOTATION (/vendor/x/y (value.shared "IMAP4"))')
    inbox.ok('STORE 4 ANNOTATION (/comment (value.shared ""))')
    assert found(inbox.ok('SEARCH ANNOTATION /comment value "IMAP4"')) == [1, 2]
    assert found(inbox.ok('SEARCH ANNOTATION /comment value.priv "imap4"')) == [1]
    assert found(inbox.ok('SEARCH ANNOTATION /comment value.shared "IMAP4"')) == [2]
    assert found(inbox.ok('SEARCH ANNOTATION * value "IMAP4"')) == [1, 2, 3]
    assert found(inbox.ok('SEARCH ANNOTATION /% value "IMAP4"')) == [1, 2]
    assert found(inbox.ok('SEARCH ANNOTATION /%/* value.shared "IMAP4"')) == [3]
    assert found(inbox.ok('SEARCH ANNOTATION /comment value ""')) == [1, 2, 4]
    assert found(inbox.ok("SEARCH ANNOTATION /comment value NIL")) == [3, 5]
    assert found(inbox.ok('SEARCH NOT ANNOTATION /comment value "IMAP4" UID 2:4')) == [3, 4]
    assert found(inbox.ok('UID SEARCH OR ANNOTATION /comment value.priv "IMAP4" ANNOTATION /vendor/x/y value.shared "IMAP4"')) == [1, 3]
    assert inbox.ok('SEARCH RETURN (COUNT) ANNOTATION * value "imap"').of(rb"COUNT 3")
    assert inbox.ok('THREAD ORDEREDSUBJECT UTF-8 ANNOTATION /comment value.priv "IMAP4"').of(rb"^\* THREAD \(1\)")


def test_search_of_text(one):
    one.ok("STORE 1 ANNOTATION (/comment (value.priv {6+}\r\nGr\xc3\x9c\xc3\x9f))".encode("latin-1"))
    assert found(one.ok(b"SEARCH CHARSET UTF-8 ANNOTATION /comment value {4+}\r\ngr\xc3\xbc")) == [1]
    assert found(one.ok(b"SEARCH CHARSET ISO-8859-1 ANNOTATION /comment value {3+}\r\ngr\xfc")) == [1]
    one.ok(b"STORE 1 ANNOTATION (/comment (value.priv ~{4+}\r\na\0\xffb))")
    assert found(one.ok(b"SEARCH ANNOTATION /comment value ~{3+}\r\na\0\xff")) == [1]
    assert found(one.ok(b"SEARCH ANNOTATION /comment value ~{3+}\r\nb\0\xff")) == []


def test_search_context_hears_of_it(inbox):
    for _ in range(3):
        inbox.append(PLAIN)
    inbox.ok("NOOP")
    tag = inbox.start('SEARCH RETURN (UPDATE ALL) ANNOTATION /comment value "x"')
    inbox.wait(tag)
    r = inbox.ok('STORE 2 ANNOTATION (/comment (value.priv "xyz"))')
    r2 = inbox.ok("NOOP")
    assert any(b"ADDTO" in u and b" 2" in u for u in r.untagged + r2.untagged)


# ---- SORT

def test_sort(inbox):
    for subject in (b"c", b"a", b"b", b"d"):
        inbox.append(b"Subject: " + subject + b"\r\n\r\nx\r\n")
    inbox.ok("NOOP")
    for n, text in ((1, "beta"), (2, "Gamma"), (3, "ALPHA")):
        inbox.ok(f'STORE {n} ANNOTATION (/altsubject (value.shared "{text}"))')
    assert found(inbox.ok("SORT (ANNOTATION /altsubject value.shared) UTF-8 ALL")) == [4, 3, 1, 2]
    assert found(inbox.ok("SORT (REVERSE ANNOTATION /altsubject value.shared) UTF-8 ALL")) == [2, 1, 3, 4]
    assert found(inbox.ok("SORT (ANNOTATION /altsubject value.priv SUBJECT) UTF-8 ALL")) == [2, 3, 1, 4]
    inbox.ok('STORE 1,3 ANNOTATION (/comment (value.priv "z"))')
    assert found(inbox.ok("SORT (ANNOTATION /comment value.priv REVERSE ANNOTATION /altsubject value.shared) UTF-8 ALL")) == [2, 4, 1, 3]
    assert found(inbox.ok("UID SORT (ANNOTATION /altsubject value.shared) UTF-8 UID 1:2")) == [1, 2]
    assert inbox.ok("SORT RETURN (UPDATE) (ANNOTATION /altsubject value.shared) UTF-8 ALL").of(rb"NOUPDATE")


# ---- APPEND, REPLACE

def test_append(inbox):
    assert inbox.append(PLAIN, more='ANNOTATION (/comment (value.priv "Don\'t send") /1/comment (value.shared "s")) ').status == "OK"
    inbox.append(PLAIN, more='(\\Seen) "01-Jan-2020 00:00:00 +0000" ANNOTATION (/comment (value.priv {3+}\r\nx y)) ')
    inbox.append(PLAIN, more="ANNOTATION (/comment (value.priv NIL)) ")
    inbox.ok("NOOP")
    assert annotation(inbox, "/* value") == '/1/comment (value.priv NIL value.shared "s") /comment (value.priv "Don\'t send" value.shared NIL)'
    assert annotation(inbox, "/* value.priv", "2") == '/comment (value.priv "x y")'
    assert annotation(inbox, "/* value", "3") is None
    assert b"\\Seen" in inbox.fetch("FETCH 2 FLAGS")[2]
    assert inbox.do(b"APPEND INBOX ANNOTATION (/2/comment (value.priv \"x\")) {%d+}\r\n%b" % (len(PLAIN), PLAIN)).status == "BAD"


def test_append_of_several(inbox):
    """RFC 3502, RFC 4469: values in literals of the later messages, too; a client that waits for each of them."""
    n = len(PLAIN)
    inbox.send(b"x APPEND INBOX ANNOTATION (/comment (value.priv {3}\r\n")
    assert inbox.line().startswith(b"+")
    inbox.send(b"one)) {%d}\r\n" % n)
    assert inbox.line().startswith(b"+")
    inbox.send(PLAIN + b" (\\Flagged) ANNOTATION (/comment (value.priv {3}\r\n")
    assert inbox.line().startswith(b"+")
    inbox.send(b"two value.shared ~{4}\r\n")
    assert inbox.line().startswith(b"+")
    inbox.send(b"t\0wo)) CATENATE (TEXT {%d}\r\n" % n)
    assert inbox.line().startswith(b"+")
    inbox.send(PLAIN + b")\r\n")
    r = inbox.wait("x")
    assert r.status == "OK" and "APPENDUID" in r.text, r
    inbox.ok("NOOP")
    assert annotation(inbox, "/* value.priv") == '/comment (value.priv "one")'
    assert annotation(inbox, "/* value", "2") == '/comment (value.priv "two" value.shared ~{4}\r\nt\0wo)'
    assert b"\\Flagged" in inbox.fetch("FETCH 2 FLAGS")[2]


def test_append_malformed(inbox):
    n = len(PLAIN)
    for what in (b"ANNOTATION ()", b"ANNOTATION (/comment)", b"ANNOTATION (/comment (value \"x\"))", b"ANNOTATION (/1/flags/seen (value.priv \"x\"))",
                 b"ANNOTATION (comment (value.priv \"x\"))", b"ANNOTATION (/a (value.priv \"x\")) ANNOTATION (/b (value.priv \"x\"))",
                 b"ANNOTATION (/comment (value.priv {3+}\r\nabc)"):
        assert inbox.do(b"APPEND INBOX %b {%d+}\r\n%b" % (what, n, PLAIN)).status == "BAD", what
    r = inbox.do(b"APPEND INBOX {%d+}\r\n%b ANNOTATION (/comment (value.priv {3+}\r\nabc) {%d+}\r\n%b" % (n, PLAIN, n, PLAIN))
    assert r.status == "BAD"
    r = inbox.do(b"APPEND INBOX {%d+}\r\n%b ANNOTATION (/comment (value.priv {99999999}" % (n, PLAIN))
    assert r.status == "NO" and r.text.startswith("[TOOBIG]")
    assert inbox.ok("STATUS INBOX (MESSAGES)").of(rb"MESSAGES 0")


def test_replace(one):
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "old"))')
    one.ok(b'REPLACE 1 INBOX ANNOTATION (/altsubject (value.priv "new")) {%d+}\r\n%b' % (len(NESTED), NESTED))
    assert annotation(one, "/* value.priv") == '/altsubject (value.priv "new")'


# ---- COPY, MOVE, RENAME, EXPUNGE

def test_copy_and_move(one):
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "mine" value.shared "ours") /gone (value.priv "x"))')
    one.ok("STORE 1 ANNOTATION (/gone (value.priv NIL))")
    one.ok("COPY 1 INBOX")
    one.ok("COPY 1 Archive")
    one.ok("NOOP")
    assert annotation(one, "/* value", "2") == '/comment (value.priv "mine" value.shared "ours")'
    one.ok('STORE 2 ANNOTATION (/comment (value.priv "another"))')
    assert annotation(one, "/comment value.priv", "1") == '/comment (value.priv "mine")'
    one.ok("MOVE 2 Sent")
    one.ok("SELECT Archive")
    assert annotation(one, "/* value") == '/comment (value.priv "mine" value.shared "ours")'
    one.ok("SELECT Sent")
    assert annotation(one, "/* value") == '/comment (value.priv "another" value.shared "ours")'
    one.ok("MOVE 1 Sent")
    assert annotation(one, "/* value") == '/comment (value.priv "another" value.shared "ours")'


def test_rename_and_delete(inbox):
    inbox.ok("CREATE a")
    inbox.append(PLAIN, "a", 'ANNOTATION (/comment (value.priv "kept")) ')
    inbox.append(PLAIN, "INBOX", 'ANNOTATION (/comment (value.priv "kept, too")) ')
    inbox.ok("RENAME a b")
    inbox.ok("RENAME INBOX c")
    inbox.ok("SELECT b")
    assert annotation(inbox, "/* value.priv") == '/comment (value.priv "kept")'
    inbox.ok("SELECT c")
    assert annotation(inbox, "/* value.priv") == '/comment (value.priv "kept, too")'
    inbox.ok("UNSELECT")
    inbox.ok("DELETE b")
    inbox.ok("CREATE b")
    inbox.append(PLAIN, "b")
    inbox.ok("SELECT b")
    assert annotation(inbox, "/* value") is None


def test_they_stay_through_a_restart(new_server, connect):
    s = new_server(accounts=("alice",))
    c = connect("alice@example.test", on=s)
    c.append(PLAIN, more='ANNOTATION (/comment (value.priv "kept" value.shared "shared")) ')
    s.restart()
    c = connect("alice@example.test", on=s)
    c.ok("SELECT INBOX")
    assert annotation(c, "/comment value") == '/comment (value.priv "kept" value.shared "shared")'


# ---- CONDSTORE, UIDONLY, read-only

def modseq(c, n=1):
    return int(re.search(rb"MODSEQ \((\d+)\)", c.fetch(f"FETCH {n} MODSEQ")[n])[1])


def test_condstore(one):
    before = modseq(one)
    r = one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    assert r.of(rb"^\* 1 FETCH \(UID 1 MODSEQ \(\d+\)\)$")  # 4.5, RFC 7162 3.1.3
    after = modseq(one)
    assert after > before
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    assert modseq(one) == after  # nothing changed
    r = one.ok(f'STORE 1 (UNCHANGEDSINCE {before}) ANNOTATION (/comment (value.priv "y"))')
    assert r.text.startswith("[MODIFIED 1]")
    assert annotation(one, "/comment value.priv").count('"x"')
    one.ok(f'STORE 1 (UNCHANGEDSINCE {after}) ANNOTATION (/comment (value.priv "y"))')
    assert annotation(one, "/comment value.priv").count('"y"')
    assert one.fetch(f"FETCH 1:* (FLAGS) (CHANGEDSINCE {after})").keys() == {1}
    assert one.ok(f"SEARCH MODSEQ {after + 1}").of(rb"SEARCH 1 \(MODSEQ")


def test_uidonly(one):
    one.ok("ENABLE UIDONLY")
    one.ok('UID STORE 1 ANNOTATION (/comment (value.priv "x"))')
    assert one.ok("UID FETCH 1 (ANNOTATION (/comment value.priv))").untagged == [b'* 1 UIDFETCH (ANNOTATION (/comment (value.priv "x")))']
    assert one.do('STORE 1 ANNOTATION (/comment (value.priv "x"))').status == "BAD"


def test_examined(one):
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    one.ok("EXAMINE INBOX")
    r = one.do('STORE 1 ANNOTATION (/comment (value.priv "y"))')
    assert r.status == "NO" and r.text.startswith("[READ-ONLY]")
    assert annotation(one, "/comment value.priv") == '/comment (value.priv "x")'


# ---- two sessions, two users

def test_others_hear_of_it(connect, one):
    other = connect(one.user)
    other.ok("SELECT INBOX (ANNOTATE)")
    silent = connect(one.user)
    silent.ok("SELECT INBOX")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x" value.shared "y") /altsubject (value.priv "z"))')
    r = other.ok("NOOP")
    assert r.untagged == [b"* 1 FETCH (UID 1 ANNOTATION (/comment /altsubject))"]  # 4.4: names, and no values
    assert silent.ok("NOOP").untagged == []
    assert other.ok("NOOP").untagged == []
    other.ok('STORE 1 ANNOTATION (/comment (value.priv "own"))')
    assert other.ok("NOOP").untagged == []
    one.ok("STORE 1 ANNOTATION (/altsubject (value.priv NIL))")
    assert other.ok("NOOP").untagged == [b"* 1 FETCH (UID 1 ANNOTATION (/altsubject))"]
    one.ok('STORE 1 ANNOTATION (/theirs (value.priv "1"))')
    r = other.ok('STORE 1 ANNOTATION (/ours (value.priv "2"))')
    assert r.untagged + other.ok("NOOP").untagged == [b"* 1 FETCH (UID 1 ANNOTATION (/theirs))"]
    other.ok("SELECT INBOX")  # 4.2: it is said again with each SELECT
    one.ok('STORE 1 ANNOTATION (/theirs (value.priv "3"))')
    assert other.ok("NOOP").untagged == []


def test_who_idles_hears_of_it(connect, one):
    other = connect(one.user)
    other.ok("ENABLE CONDSTORE")
    other.ok("SELECT INBOX (ANNOTATE)")
    tag = other.start("IDLE")
    assert other.line().startswith(b"+")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    lines = [other.line(), other.line()]
    assert any(re.match(rb"\* 1 FETCH \(UID 1 ANNOTATION \(/comment\) MODSEQ \(\d+\)\)$", x) for x in lines), lines
    other.send(b"DONE\r\n")
    assert other.wait(tag).status == "OK"


def test_numbers_are_those_that_the_client_knows(connect, inbox):
    for _ in range(4):
        inbox.append(PLAIN)
    inbox.ok("NOOP")
    other = connect(inbox.user)
    other.ok("SELECT INBOX (ANNOTATE)")
    inbox.ok("STORE 2 +FLAGS (\\Deleted)")
    inbox.ok("EXPUNGE")
    inbox.ok('STORE 3 ANNOTATION (/comment (value.priv "x"))')
    inbox.append(PLAIN, more='ANNOTATION (/comment (value.priv "x")) ')
    untagged = other.ok("NOOP").untagged
    assert untagged.index(b"* 4 FETCH (UID 4 ANNOTATION (/comment))") < untagged.index(b"* 2 EXPUNGE")
    assert sum(b"ANNOTATION" in u for u in untagged) == 1  # of a message that is new there is nothing to be told


def test_private_and_shared(two):
    ann, bob = two
    share(ann, bob, "lrswin")
    assert bob.ok(f"SELECT {bob.box}").of(rb"ANNOTATIONS 65536")
    ann.ok('STORE 1 ANNOTATION (/comment (value.priv "of ann" value.shared "of all"))')
    bob.ok('STORE 1 ANNOTATION (/comment (value.priv "of bob"))')
    assert annotation(bob, "/comment value") == '/comment (value.priv "of bob" value.shared "of all")'
    assert annotation(ann, "/comment value") == '/comment (value.priv "of ann" value.shared "of all")'
    bob.ok('STORE 1 ANNOTATION (/comment (value.shared "by bob"))')
    assert ann.ok("NOOP").of(rb"ANNOTATION \(/comment\)")
    assert annotation(ann, "/comment value.shared") == '/comment (value.shared "by bob")'
    assert found(ann.ok('SEARCH ANNOTATION * value "bob"')) == [1]
    assert found(ann.ok('SEARCH ANNOTATION * value.priv "bob"')) == []
    bob.ok('STORE 2 ANNOTATION (/secret (value.priv "x"))')
    assert ann.ok("NOOP").untagged == []  # what is private to others is not told


def test_rights(two):
    ann, bob = two
    ann.ok('STORE 1 ANNOTATION (/comment (value.priv "of ann" value.shared "of all"))')
    share(ann, bob, "lr")
    r = bob.ok(f"SELECT {bob.box}")
    assert r.of(rb"ANNOTATIONS 65536") and r.text.startswith("[READ-ONLY]")
    bob.ok('STORE 1 ANNOTATION (/comment (value.priv "of bob"))')  # 3.4: r is enough
    assert annotation(bob, "/comment value") == '/comment (value.priv "of bob" value.shared "of all")'
    for what in ('value.shared "x"', 'value.shared NIL', 'value.priv "x" value.shared "y"'):
        r = bob.do(f"STORE 1 ANNOTATION (/comment ({what}))")
        assert r.status == "NO" and r.text.startswith("[NOPERM]")
    assert annotation(bob, "/comment value") == '/comment (value.priv "of bob" value.shared "of all")'
    share(ann, bob, "+n")
    assert bob.ok(f"SELECT {bob.box}").text.startswith("[READ-WRITE]")  # 3.4: n is a shared flag right
    bob.ok('STORE 1 ANNOTATION (/comment (value.shared "x"))')
    share(ann, bob, "-n")
    assert bob.do('STORE 1 ANNOTATION (/comment (value.shared "y"))').text.startswith("[NOPERM]")
    assert bob.do("FETCH 1 ANNOTATION (/comment value)").status == "OK"
    share(ann, bob, "-r")
    assert bob.do("FETCH 1 ANNOTATION (/comment value)").status in ("NO", "CLOSED")


def test_the_right_is_shown(two):
    ann, bob = two
    share(ann, bob, "lrn")
    assert ann.ok("GETACL Box").of(rb"%b. lrn" % bob.user.encode())
    assert bob.ok(f"MYRIGHTS {bob.box}").of(rb" lrn$")
    assert b" n" in ann.ok(f"LISTRIGHTS Box {bob.user}").untagged[0]
    assert ann.ok("MYRIGHTS Box").of(rb"[a-z]*n[a-z]*$")


def test_append_to_others(two):
    ann, bob = two
    share(ann, bob, "lri")
    r = bob.do(b'APPEND %b ANNOTATION (/comment (value.shared "x")) {%d+}\r\n%b' % (bob.box.encode(), len(PLAIN), PLAIN))
    assert r.status == "NO" and r.text.startswith("[NOPERM]")
    bob.append(PLAIN, bob.box, 'ANNOTATION (/comment (value.priv "of bob")) ')
    share(ann, bob, "+n")
    bob.append(PLAIN, bob.box, 'ANNOTATION (/comment (value.shared "by bob")) ')
    ann.ok("NOOP")
    assert annotation(ann, "/* value", "4") is None
    assert annotation(ann, "/* value.shared", "5") == '/comment (value.shared "by bob")'
    bob.ok(f"SELECT {bob.box}")
    assert annotation(bob, "/* value.priv", "4") == '/comment (value.priv "of bob")'


def test_copies_between_users(two):
    """4.6: shared ones and one's own, as far as the rights on the target let."""
    ann, bob = two
    share(ann, bob, "lrite")
    bob.ok(f"SELECT {bob.box}")
    ann.ok('STORE 1 ANNOTATION (/comment (value.priv "of ann" value.shared "of all"))')
    bob.ok('STORE 1 ANNOTATION (/comment (value.priv "of bob"))')
    bob.ok("COPY 1 INBOX")
    bob.ok(f"COPY 1 {bob.box}")  # no right n there: without the shared one
    bob.ok("NOOP")
    assert annotation(bob, "/* value", "4") == '/comment (value.priv "of bob" value.shared NIL)'
    ann.ok("NOOP")
    assert annotation(ann, "/* value", "4") is None
    bob.ok("MOVE 1 INBOX")
    bob.ok("SELECT INBOX")
    for n in ("1", "2"):
        assert annotation(bob, "/* value", n) == '/comment (value.priv "of bob" value.shared "of all")'
    bob.ok('STORE 2 ANNOTATION (/vendor/x/y (value.shared "back"))')
    share(ann, bob, "+n")
    bob.ok(f"COPY 2 {bob.box}")
    ann.ok("NOOP")
    assert annotation(ann, "/* value", "4") == '/comment (value.priv NIL value.shared "of all") /vendor/x/y (value.priv NIL value.shared "back")'


# ---- NOTIFY

def test_notify(connect, one):
    other = connect(one.user)
    one.ok("CREATE elsewhere")
    one.append(PLAIN, "elsewhere")
    other.ok("SELECT INBOX")
    assert other.do("NOTIFY SET (SELECTED (AnnotationChange))").status == "BAD"
    other.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge AnnotationChange)) (PERSONAL (MessageNew MessageExpunge AnnotationChange))")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    assert other.line() == b"* 1 FETCH (UID 1 ANNOTATION (/comment))"
    one.ok("SELECT elsewhere")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "x"))')
    assert other.line().startswith(b'* STATUS "elsewhere" (')
    other.ok("NOTIFY SET (SELECTED (MessageNew MessageExpunge FlagChange)) (PERSONAL (MessageNew MessageExpunge FlagChange))")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "y"))')
    one.ok("SELECT INBOX")
    one.ok('STORE 1 ANNOTATION (/comment (value.priv "y"))')
    assert not [u for u in other.ok("NOOP").untagged if b"ANNOTATION" in u or b"STATUS" in u]


# ---- a model: two users, a few messages, random steps

def test_like_the_model(two, connect):
    rng = random.Random(5257)
    ann, bob = two
    share(ann, bob, "lrsn")
    bob.ok(f"SELECT {bob.box} (ANNOTATE)")
    people = {"ann": ann, "bob": bob}
    uids, model, heard, knows = [1, 2, 3], {}, {"ann": set(), "bob": set()}, {"ann": 3, "bob": 3}

    def hear(who, untagged):
        for u in untagged:
            m = re.match(rb"\* \d+ FETCH \(UID (\d+) ANNOTATION \((.*)\)\)$", u)
            for name in m[2].split() if m else ():
                heard[who].discard((int(m[1]), name.decode()))

    for step in range(400):
        who = rng.choice(("ann", "bob"))
        c = people[who]
        uid, name = rng.choice(uids), rng.choice(("/comment", "/altsubject", "/vendor/a/b"))
        dice = rng.randrange(10)
        if uid > knows[who]:  # it must have heard of the message
            hear(who, c.ok("NOOP").untagged)
            knows[who] = max(uids)
        if dice < 6:
            whose = rng.choice(("priv", "shared"))
            value = rng.choice((None, f"v{step}", ""))
            hear(who, c.ok(f"UID STORE {uid} ANNOTATION ({name} (value.{whose} " + ("NIL" if value is None else f'"{value}"') + "))").untagged)
            key = (uid, name, "" if whose == "shared" else who)
            if model.get(key) != value:
                other = "bob" if who == "ann" else "ann"
                if whose == "shared" and uid <= knows[other]:
                    heard[other].add((uid, name))
                if whose == "shared":  # what stood there before is of no interest any more
                    heard[who].discard((uid, name))
                model.pop(key, None)
                if value is not None:
                    model[key] = value
        elif dice < 7 and len(uids) < 12:
            r = ann.ok(f"UID COPY {uid} Box")
            hear("ann", r.untagged)
            new = int(re.search(r"COPYUID \d+ \d+ (\d+)", r.text)[1])
            uids.append(new)
            for (u, n, w), v in list(model.items()):
                if u == uid and w in ("", "ann"):
                    model[new, n, w] = v
        elif dice < 8 and len(uids) > 2:
            hear("ann", ann.ok(f"UID STORE {uid} +FLAGS.SILENT (\\Deleted)").untagged)
            hear("ann", ann.ok("EXPUNGE").untagged)
            uids.remove(uid)
            model = {k: v for k, v in model.items() if k[0] != uid}
            for h in heard.values():
                h.difference_update({x for x in h if x[0] == uid})
        else:
            hear(who, c.ok("NOOP").untagged)
            r = c.ok("UID FETCH 1:* (ANNOTATION (/* value))")
            hear(who, r.untagged)
            got = {}
            for u in r.of(rb"ANNOTATION \(.*value"):
                n = int(re.search(rb"UID (\d+)", u)[1])
                for entry, private, shared in re.findall(rb'(/\S+) \(value\.priv (NIL|"[^"]*") value\.shared (NIL|"[^"]*")\)', u):
                    for value, w in ((private, who), (shared, "")):
                        if value != b"NIL":
                            got[n, entry.decode(), w] = value[1:-1].decode()
            assert got == {k: v for k, v in model.items() if k[2] in ("", who)}, step
    for who, c in people.items():
        hear(who, c.ok("NOOP").untagged)
        assert not heard[who], (who, heard[who])
