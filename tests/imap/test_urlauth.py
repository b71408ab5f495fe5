# SPDX-License-Identifier: Apache-2.0
"""URLAUTH (RFC 4467), URLAUTH=BINARY (RFC 5524), URL-PARTIAL (RFC 5550 5.7.1): URLs that open a message to others, and no more than that message."""
import random
import re
import subprocess
import time

import pytest
from imap_dialog import INNER, NESTED, PLAIN, literal

HOST = "mail.example.test"


@pytest.fixture
def people(server, connect):
    """Ann with two messages, and eve; both logged in."""
    n = f"{random.getrandbits(40):x}"
    clients = []
    for name in ("ann", "eve"):
        c = connect(server.add_account(name + n))
        c.user = f"{name}{n}@example.test"
        c.name = c.user.replace("@", "%40")
        clients.append(c)
    clients[0].append(PLAIN)
    clients[0].append(NESTED)
    return clients


def base(c, rest="/;UID=1", mailbox="INBOX"):
    return f"imap://{c.name}@{HOST}/{mailbox}{rest}"


def sign(c, u):
    r = c.ok(f'GENURLAUTH "{u}" INTERNAL')
    (line,) = r.of(rb"GENURLAUTH")
    full = re.fullmatch(rb'\* GENURLAUTH "(.*)"', line)[1].decode()
    assert re.fullmatch(re.escape(u) + ":internal:01[0-9a-f]{64}", full)
    return full


def fetch(c, u, items=None):
    """What URLFETCH gives; None: NIL."""
    (line,) = c.ok(f'URLFETCH ("{u}" {items})' if items else f'URLFETCH "{u}"').of(rb"^\* URLFETCH")
    head = f'* URLFETCH "{u}" '.encode()
    assert line.startswith(head)
    rest = line[len(head):]
    if rest == b"NIL":
        return None
    if items:
        return rest
    n = re.match(rb"\{(\d+)\}\r\n", rest)
    assert len(rest) == n.end() + int(n[1])
    return rest[n.end():]


def test_capability(people):
    ann, _ = people
    words = ann.ok("CAPABILITY").untagged[0].split()
    assert b"URLAUTH" in words and b"URLAUTH=BINARY" in words and b"URL-PARTIAL" in words
    assert ann.ok("SELECT INBOX").of(rb"^\* OK \[URLMECH INTERNAL\]")


@pytest.mark.parametrize("rest,want", [
    ("", NESTED), ("/;SECTION=TEXT", NESTED[NESTED.index(b"\r\n\r\n") + 4:]), ("/;section=2", INNER), ("/;section=2.HEADER", INNER[:INNER.index(b"\r\n\r\n") + 4]),
    ("/;section=3", b"aGVsbG8="), ("/;section=HEADER.FIELDS%20(Subject)", b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\n"),
    ("/;partial=0.4", b"From"), ("/;section=3/;partial=1.3", b"GVs"), ("/;section=3/;PARTIAL=6", b"8="), ("/;section=3/;partial=8.5", b""), ("/;section=3/;partial=4294967295.1", b""),
    ("/;section=HEADER.FIELDS%20(Subject)/;partial=0.7", b"Subject"),
])
def test_what_it_means(people, rest, want):
    ann, eve = people
    u = sign(ann, base(ann, f"/;uid=2{rest};urlauth=anonymous"))
    assert fetch(eve, u) == want
    assert fetch(ann, u) == want
    # CATENATE takes what the URL opens
    assert eve.ok(f'APPEND INBOX CATENATE (TEXT {{4+}}\r\na:b\n URL "{u}")')
    eve.ok("SELECT INBOX")
    assert literal(eve.ok("FETCH * BODY.PEEK[]").untagged[-1], b"BODY[]") == b"a:b\n" + want


def test_who_may_use_it(people, connect, server):
    ann, eve = people
    third = connect(server.add_account(f"third{random.getrandbits(40):x}"))
    at = lambda access: sign(ann, base(ann, f"/;UID=1;URLAUTH={access}"))
    for access in ("authuser", "anonymous", "AUTHUSER"):
        assert fetch(eve, at(access)) == PLAIN and fetch(third, at(access)) == PLAIN
    only = at(f"user+{eve.name}")
    assert fetch(eve, only) == PLAIN and fetch(third, only) is None and fetch(ann, only) is None
    assert fetch(eve, at("user+nobody%40example.test")) is None
    # "submit+" is for submission servers
    submitted = at(f"submit+{ann.name}")
    assert [fetch(c, submitted) for c in (ann, eve, third)] == [None] * 3


def test_submission_server(people, connect, server):
    ann, _ = people
    address = server.add_account(f"msa{random.getrandbits(40):x}")
    subprocess.run(["curl", "-sSf", "-X", "PATCH", "--unix-socket", server.folder / "house/run/admin.sock", f"http://x/api/v1/accounts/{address}",
                    "-H", "Content-Type: application/json", "-d", '{"rights": ["imap", "submission"]}'], check=True, capture_output=True, timeout=30)
    assert fetch(connect(address), sign(ann, base(ann, f"/;UID=1;URLAUTH=submit+{ann.name}"))) == PLAIN


def test_time(people):
    ann, eve = people
    at = lambda seconds, zone="Z": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(time.time() + seconds)) + zone
    assert fetch(eve, sign(ann, base(ann, f"/;UID=1;EXPIRE={at(1000)};URLAUTH=anonymous"))) == PLAIN
    assert fetch(eve, sign(ann, base(ann, f"/;UID=1;EXPIRE={at(7200, '+01:00')};URLAUTH=anonymous"))) == PLAIN
    assert fetch(eve, sign(ann, base(ann, f"/;UID=1;EXPIRE={at(-5)};URLAUTH=anonymous"))) is None
    assert fetch(eve, sign(ann, base(ann, f"/;UID=1;EXPIRE={at(-7300, '-02:00')};URLAUTH=anonymous"))) is None
    good = sign(ann, base(ann, f"/;UID=1;EXPIRE={at(-5)};URLAUTH=anonymous"))
    assert fetch(eve, re.sub("EXPIRE=....", "EXPIRE=2999", good)) is None
    assert fetch(eve, re.sub(";EXPIRE=[^;]*", "", good)) is None


def test_keys(people):
    ann, eve = people
    ann.ok("CREATE Box")
    ann.append(NESTED, "Box")
    one = sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous"))
    two = sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous", "Box"))
    assert sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous")) == one  # RFC 4467 2.5: deterministic
    r = ann.ok("RESETKEY INBOX INTERNAL")
    assert r.text.startswith("[URLMECH INTERNAL]")
    assert fetch(eve, one) is None and fetch(eve, two) == NESTED
    again = sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous"))
    assert again != one and fetch(eve, again) == PLAIN
    ann.ok("RESETKEY")
    assert fetch(eve, two) is None and fetch(eve, again) is None
    two = sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous", "Box"))
    assert fetch(eve, two) == NESTED
    # another mailbox of that name has another key; and a message that is gone is gone
    ann.ok("DELETE Box")
    assert fetch(eve, two) is None
    ann.ok("CREATE Box")
    ann.append(NESTED, "Box")
    assert fetch(eve, two) is None
    u = sign(ann, base(ann, "/;UID=2;URLAUTH=anonymous"))
    ann.ok("SELECT INBOX")
    ann.ok("STORE 2 +FLAGS \\Deleted")
    ann.ok("EXPUNGE")
    assert fetch(eve, u) is None
    for line in ("RESETKEY none", "RESETKEY &&&"):
        assert ann.do(line).status == "NO", line
    for line in ("RESETKEY INBOX OTHER", "RESETKEY  INBOX", "RESETKEY INBOX INTERNAL (", 'RESETKEY ""x'):
        assert ann.do(line).status == "BAD", line


def test_tampering(people):
    """Whatever is changed in a URL, it opens nothing."""
    ann, eve = people
    good = sign(ann, base(ann, "/;UID=1/;SECTION=TEXT/;PARTIAL=0.10;URLAUTH=anonymous"))
    assert fetch(eve, good) == b"first line"
    rng = random.Random(4467)
    for old, new in ((";UID=1", ";UID=2"), ("TEXT", "HEADER"), ("/;SECTION=TEXT", ""), ("/;PARTIAL=0.10", ""), ("0.10", "0.99"), ("INBOX", "inbox"), ("INBOX", "%49NBOX"), (HOST, HOST.upper()),
                     (HOST, HOST + ":143"), ("anonymous", "ANONYMOUS"), ("anonymous", "authuser"), ("imap://", "IMAP://"), (HOST, "other.example.test"), (ann.name, eve.name), ("@" + HOST, ";AUTH=*@" + HOST),
                     (":internal:01", ":internal:02"), (":internal:", ":other:"), ("/INBOX", ""), (";UID=1", ""), (f"imap://{ann.name}@", "imap://"), ("/;UID=1", ";UIDVALIDITY=7/;UID=1")):
        changed = good.replace(old, new)
        assert changed != good and fetch(eve, changed) is None, changed
    assert fetch(eve, good.replace(":internal:", ":INTERNAL:")) == b"first line"
    for _ in range(200):
        i = rng.randrange(len(good))
        changed = good[:i] + rng.choice("0123456789abcdef;/:.%A") + good[i + 1:]
        if changed.lower() != good.lower():
            assert fetch(eve, changed) is None, changed
    for i in (1, 2, 64, 65, 66):
        assert fetch(eve, good[:-i]) is None
    for more in ("0", "00", ":", "/", ";URLAUTH=anonymous:internal:" + "0" * 66, "%00"):
        assert fetch(eve, good + more) is None
    # a token of eve's opens nothing of ann's
    eve.append(PLAIN)
    token = sign(eve, base(eve, "/;UID=1/;SECTION=TEXT/;PARTIAL=0.10;URLAUTH=anonymous")).rpartition(":")[2]
    assert fetch(eve, good.rpartition(":")[0] + ":" + token) is None


def test_without_a_token(people):
    ann, eve = people
    for u in (base(ann), base(ann, "/;UID=1;URLAUTH=anonymous"), base(eve), "/INBOX/;UID=1", "", "x", f"imap://{HOST}/", f"imap://{ann.name}@{HOST}/INBOX", f"imap://{ann.name}@{HOST}/INBOX?SUBJECT%20x",
              base(ann, "/;UID=1;URLAUTH=anonymous:internal:" + "0" * 64), base(ann, "/;UID=1;URLAUTH=anonymous:internal:01" + "0" * 64), base(ann, "", "none") + "/;UID=1;URLAUTH=anonymous:internal:01" + "0" * 64):
        assert fetch(eve, u) is None, u


def test_what_is_not_signed(people):
    ann, eve = people
    for u in (base(ann), base(ann, "/;UID=1/;SECTION=1.2"), base(ann, ";URLAUTH=anonymous"), base(ann, "/;UID=1;URLAUTH="), base(ann, "/;UID=1;URLAUTH=user+"), base(ann, "/;UID=1;URLAUTH=fred"),
              base(ann, "/;UID=1;URLAUTH=anonymous:internal:" + "0" * 66), base(eve, "/;UID=1;URLAUTH=anonymous"), base(ann, "/;UID=1;URLAUTH=anonymous", "none"), base(ann, "/;UID=1;URLAUTH=anonymousx"),
              f"imap://{HOST}/INBOX/;UID=1;URLAUTH=anonymous", f"imap://{ann.name}@elsewhere.test/INBOX/;UID=1;URLAUTH=anonymous", "/INBOX/;UID=1;URLAUTH=anonymous", "", base(ann, "/;UID=1;URLAUTH=user+a%00"),
              base(ann, "/;UID=1;EXPIRE=2026-13-01T00:00:00Z;URLAUTH=anonymous"), base(ann, "/;UID=1;EXPIRE=;URLAUTH=anonymous"), base(ann, "/;UID=1/;PARTIAL=0.0;URLAUTH=anonymous"),
              base(ann, "/;UID=1/;PARTIAL=;URLAUTH=anonymous"), base(ann, "/;UID=1;URLAUTH=anonymous;URLAUTH=anonymous"), base(ann, "/;UID=1;URLAUTH=anonymous;EXPIRE=2999-01-01T00:00:00Z"),
              base(ann, "/;UID=1/;PARTIAL=1.1/;SECTION=1;URLAUTH=anonymous"), base(ann, "/;UID=1;EXPIRE=2999-01-01T00:00:00Z"), base(ann, "/;UID=1;URLAUTH=anonymous", f"Other%20Users/{eve.name}")):
        r = ann.do(f'GENURLAUTH "{u}" INTERNAL')
        assert r.status == "BAD" and not r.of(rb"GENURLAUTH"), u
        ann.ok("NOOP")
    good = base(ann, "/;UID=1;URLAUTH=anonymous")
    for line in ("GENURLAUTH", f'GENURLAUTH "{good}"', f'GENURLAUTH "{good}" OTHER', f'GENURLAUTH "{good}" INTERNAL "{good}"', "URLFETCH", "URLFETCH ", "URLFETCH (", 'URLFETCH ("x" BODY BINARY)',
                 'URLFETCH ("x" BODY BODY)', 'URLFETCH ("x" ODD)', 'URLFETCH ("x" BODY', "URLFETCH ()"):
        assert ann.do(line).status == "BAD", line
    ann.ok("NOOP")


def test_several(people):
    ann, eve = people
    a, b = base(ann, "/;UID=1;URLAUTH=anonymous"), base(ann, "/;UID=2/;SECTION=3;URLAUTH=authuser")
    (line,) = ann.ok(f'GENURLAUTH "{a}" INTERNAL "{b}" internal').of(rb"GENURLAUTH")
    a, b = re.findall(rb'"([^"]*)"', line)
    r = eve.ok(b'URLFETCH "%b" nonsense ("%b") ("%b" BODY)' % (a, b, b))
    assert r.untagged == [b'* URLFETCH "%b" {%d}\r\n%b' % (a, len(PLAIN), PLAIN), b'* URLFETCH "nonsense" NIL', b'* URLFETCH "%b" {8}\r\naGVsbG8=' % b, b'* URLFETCH "%b" (BODY {8}\r\naGVsbG8=)' % b]
    assert eve.do(b"URLFETCH" + b" x" * 300).text.startswith("[LIMIT]")


def test_binary(people):
    ann, eve = people
    ann.append(b"Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n")
    ann.append(b"Content-Type: image/png\r\nContent-Transfer-Encoding: x-odd\r\n\r\nabc\r\n")
    at = lambda rest: sign(ann, base(ann, f"{rest};URLAUTH=anonymous"))
    u = at("/;UID=2/;SECTION=3")
    assert fetch(eve, u, "BINARY") == b"(BINARY {5}\r\nhello)"
    assert fetch(eve, u, "BODYPARTSTRUCTURE") == b'(BODYPARTSTRUCTURE ("application" "octet-stream" NIL NIL NIL "base64" 8 NIL NIL NIL NIL))'
    assert fetch(eve, u, "BINARY BODYPARTSTRUCTURE") == b'(BODYPARTSTRUCTURE ("application" "octet-stream" NIL NIL NIL "BINARY" 5 NIL NIL NIL NIL)) (BINARY {5}\r\nhello)'
    assert fetch(eve, u, "BODY BODYPARTSTRUCTURE").endswith(b'"base64" 8 NIL NIL NIL NIL)) (BODY {8}\r\naGVsbG8=)')
    assert fetch(eve, at("/;UID=2/;SECTION=1"), "BINARY") == b"(BINARY {14}\r\ncaf\xe9 body text)"
    assert fetch(eve, at("/;UID=2/;SECTION=3/;PARTIAL=1.3"), "BINARY") == b"(BINARY {3}\r\nell)"
    assert fetch(eve, at("/;UID=2/;SECTION=2.2"), "BODYPARTSTRUCTURE").startswith(b'(BODYPARTSTRUCTURE ("text" "html"')
    assert fetch(eve, at("/;UID=1"), "BODYPARTSTRUCTURE").lower().startswith(b'(bodypartstructure ("text" "plain"')
    assert fetch(eve, at("/;UID=1"), "BINARY") == b"(BINARY {%d}\r\n%b)" % (len(PLAIN), PLAIN)
    assert fetch(eve, at("/;UID=3/;SECTION=1"), "BINARY") == b"(BINARY ~{3}\r\n\x00\x01\x02)"
    assert fetch(eve, at("/;UID=4/;SECTION=1"), "BODYPARTSTRUCTURE BINARY").endswith(b'"x-odd" 5 NIL NIL NIL NIL)) (BINARY NIL)')
    assert fetch(eve, at("/;UID=2/;SECTION=200"), "BODYPARTSTRUCTURE BODY") is None
    assert fetch(eve, at("/;UID=2/;SECTION=1.MIME"), "BODYPARTSTRUCTURE") is None
    assert fetch(eve, u[:-1] + ("0" if u[-1] != "0" else "1"), "BODY") is None


def test_shared_mailboxes(people, connect, server):
    """RFC 4467 7: what the one who signed may read by now, not what the owner may."""
    ann, eve = people
    third = connect(server.add_account(f"third{random.getrandbits(40):x}"))
    u = base(eve, "/;UID=1;URLAUTH=anonymous", f"Other%20Users/{ann.name}")
    assert eve.do(f'GENURLAUTH "{u}" INTERNAL').status == "BAD"
    ann.ok(f"SETACL INBOX {eve.user} lr")
    good = sign(eve, u)
    assert fetch(third, good) == PLAIN
    ann.ok("RESETKEY INBOX")  # each has keys of his own
    assert fetch(third, good) == PLAIN
    ann.ok(f"SETACL INBOX {eve.user} l")
    assert fetch(third, good) is None
    ann.ok(f"SETACL INBOX {eve.user} r")
    assert fetch(third, good) == PLAIN
    eve.ok("RESETKEY")
    assert fetch(third, good) is None


def test_suspended(people, server):
    ann, eve = people
    u = sign(ann, base(ann, "/;UID=1;URLAUTH=anonymous"))
    server.command("account", "suspend", ann.user)
    assert fetch(eve, u) is None
    server.command("account", "resume", ann.user)
    assert fetch(eve, u) == PLAIN


def test_large(people):
    """In pieces; and the session goes on as if nothing had been."""
    ann, eve = people
    body = b"Subject: x\r\n\r\n" + bytes(random.Random(1).choices(b"abcdefgh\r\n", k=3 << 20))
    ann.append(body, more="(\\Seen) ")
    u = sign(ann, base(ann, "/;UID=3;URLAUTH=anonymous"))
    eve.ok("SELECT INBOX")
    assert fetch(eve, u) == body
    assert fetch(eve, u.replace("/;UID=3", "/;UID=2")) is None
    eve.ok("NOOP")


def test_other_sessions_hear_of_a_reset_key(people, connect):
    """RFC 4467 7 (RESETKEY): each session of the user that has the mailbox selected gets an untagged OK with URLMECH."""
    ann, eve = people
    told = b"* OK [URLMECH INTERNAL] URLs that were signed are good no longer"
    idles, waits, away, elsewhere = (connect(ann.user) for _ in range(4))
    ann.ok(f"SETACL INBOX {eve.user} lr")
    eve.ok(f'SELECT "Other Users/{ann.user}"')
    for c in (ann, idles, waits):
        c.ok("SELECT INBOX")
    elsewhere.ok("SELECT Drafts")
    tag = idles.start("IDLE")
    assert idles.line().startswith(b"+")
    r = ann.ok("RESETKEY INBOX")
    assert r.text.startswith("[URLMECH INTERNAL]") and not r.of(rb"URLMECH")
    assert idles.line() == told
    assert waits.ok("NOOP").untagged == [told] and waits.ok("NOOP").untagged == []
    for c in (ann, away, elsewhere, eve):
        assert c.ok("NOOP").of(rb"URLMECH") == []
    ann.ok("RESETKEY")  # of all mailboxes
    assert idles.line() == told
    assert elsewhere.ok("NOOP").untagged == [told] and eve.ok("NOOP").of(rb"URLMECH") == []
    eve.ok(f'RESETKEY "Other Users/{ann.user}"')  # her own key
    assert waits.ok("NOOP").untagged == [told] and waits.ok("NOOP").untagged == []
    idles.send(b"DONE\r\n")
    assert idles.wait(tag).status == "OK"
