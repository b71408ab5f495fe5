# SPDX-License-Identifier: Apache-2.0
"""SEARCH HEADER, BODY and TEXT over texts that the server keeps: the same answers as without them, while messages come and go and roles are killed."""
import base64
import io
import random
import subprocess
import time
import zipfile

import pytest

from house import DOMAIN, PROGRAM
from imap_dialog import NESTED, PLAIN

WORDS = ["alpha", "Beta", "gamma", "a", "Straße", "STRASSE", "İstanbul", "été", "mail box", "x", "ﬁne"]


def found(c, what, seconds=20):
    """What a search finds; asked again while a role that was killed is being replaced."""
    end = time.time() + seconds
    while True:
        r = c.wait(c.start(what if isinstance(what, bytes) else f"UID SEARCH {what}"))
        if r.status != "NO" or "UNAVAILABLE" not in r.text or time.time() > end:
            break
    assert r.status == "OK", (what, r)
    return [int(n) for u in r.of(rb"^\* SEARCH") for n in u.split()[2:]]


def literal(text):
    raw = text.encode()
    return b"{%d+}\r\n%s" % (len(raw), raw)


def message(rng):
    words = lambda n: " ".join(rng.choice(WORDS) for _ in range(rng.randint(0, n)))  # noqa: E731
    body = words(30)
    if rng.random() < 0.3:
        part = "Content-Type: text/plain; charset=utf-8; name=a.txt\r\nContent-Disposition: attachment\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(words(9).encode()).decode()
        body = f"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>{body}</p>\r\n--b\r\n{part}\r\n--b--\r\n"
        kind = "multipart/mixed; boundary=b"
    else:
        kind = "text/plain; charset=utf-8"
    subject = "=?utf-8?b?" + base64.b64encode(words(4).encode()).decode() + "?="
    twice = "Subject: and alpha\r\n" if rng.random() < 0.2 else ""
    return f"From: Ann <ann@example.net>\r\nSubject: {subject}\r\n{twice}MIME-Version: 1.0\r\nContent-Type: {kind}\r\n\r\n{body}\r\n".encode()


def program(rng):
    """A search with one to three texts."""
    keys = []
    for _ in range(rng.randint(1, 3)):
        text = literal(rng.choice(WORDS + ["", "a ", "ta", "nowhere"])[:rng.randint(1, 9)])
        keys.append(rng.choice([b"SUBJECT ", b"FROM ", b"BODY ", b"TEXT ", b"HEADER X-None ", b"HEADER Content-Type ", b"NOT BODY "]) + text)
    if len(keys) > 1 and rng.random() < 0.5:
        keys[:2] = [b"OR " + keys[0] + b" " + keys[1]]
    return b"UID SEARCH CHARSET UTF-8 " + b" ".join(keys)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """One server that keeps texts, one that does not."""
    from house import Server
    made = []
    for conf in ("search.text-bytes = 4k", "search.index = no"):
        s = Server(tmp_path_factory.mktemp("search"), conf).start()
        made.append(s)
        s.command("domain", "add", DOMAIN)
    yield made
    for s in made:
        s.stop()


def document(name, entry, xml):
    """A message with an attached document."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("[Content_Types].xml", "<Types>contents</Types>")
        z.writestr(entry, xml)
    return (f"From: ann@example.net\r\nSubject: {name}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee below\r\n--b\r\n"
            f"Content-Type: application/octet-stream; name=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n").encode() + base64.encodebytes(file.getvalue()) + b"\r\n--b--\r\n"


def test_office_documents(pair, connect):
    """With texts that are kept and without."""
    for s in pair:
        s.add_account("office")
        c = connect(f"office@{DOMAIN}", on=s)
        for m in (document("a.docx", "word/document.xml", "<w:document><w:p><w:t>Quar</w:t><w:t>terly R\u00e9sum\u00e9 &amp; more</w:t></w:p></w:document>"),
                  document("b.odt", "content.xml", "<office:document-content><text:p>quarterly losses</text:p></office:document-content>"),
                  document("c.xlsx", "xl/sharedStrings.xml", "<sst><si><t>Gross</t></si></sst>"), document("d.zip", "word/document.xml", "<w:p>quarterly</w:p>"),
                  document("e.docx", "word/document.xml", "x" * 100)[:-300] + b"\r\n--b--\r\n"):
            c.append(m)
        c.ok("SELECT INBOX")
        for _ in range(2):  # at once, and when the index is there
            assert found(c, "BODY quarterly") == [1, 2]
            assert found(c, b"UID SEARCH CHARSET UTF-8 TEXT " + literal("R\u00e9sum\u00e9 & more")) == [1]
            assert found(c, "BODY gross") == [3]
            assert found(c, "BODY contents") == []
            time.sleep(0.5)


def test_same_answers_while_messages_come_and_go(pair, connect):
    rng = random.Random(7)
    for s in pair:
        s.add_account("ann")
    clients = [connect(f"ann@{DOMAIN}", on=s) for s in pair]
    for c in clients:
        c.ok("SELECT INBOX")
    for step in range(25):
        for _ in range(rng.randint(0, 6)):
            m = message(rng)
            if rng.random() < 0.05:
                m += b"filler " * 2000 + b"nowhere else\r\n"  # longer than what is kept
            for c in clients:
                c.append(m)
        if rng.random() < 0.5:
            n = rng.randint(1, 5)
            for c in clients:
                c.ok(f"UID STORE {n}:{n + 2} +FLAGS.SILENT (\\Deleted)")
                c.ok("EXPUNGE")
        if step % 5 == 4:
            pair[0].kill_role(["indexer", "scan", "store"][step // 5 % 3])
        for _ in range(4):
            what = program(rng)
            assert found(clients[0], what) == found(clients[1], what), what


def test_real_structures(inbox, server):
    for m in (PLAIN, NESTED):
        inbox.append(m)
    expected = [
        ("SUBJECT", "grÜßE", [2]), ("SUBJECT", "grüsse", []), ("FROM", "jürgen", [2]), ("HEADER X-Odd", "SPECIAL", [2]), ("HEADER X-Odd", "", [2]), ("HEADER X-None", "", []),
        ("BODY", "café", [2]), ("BODY", "inner plain", [2]), ("BODY", "inside", [2]), ("BODY", "first line second", [1]), ("TEXT", "hello world", [1]),
        ("BODY", "aGVsbG8", []), ("SUBJECT", "inside", []),
    ]
    end = time.time() + 3  # before and after the texts were made
    while True:
        for where, text, uids in expected:
            assert found(inbox, f"UID SEARCH CHARSET UTF-8 {where} ".encode() + literal(text)) == uids, (where, text)
        if time.time() > end:
            break
        time.sleep(0.1)


def test_many_texts_in_one_search(inbox):
    for i in range(30):
        inbox.append(PLAIN.replace(b"first line", b"word%dx" % i))
    keys = " ".join(f"NOT BODY word{i}x" for i in range(25))
    assert found(inbox, keys) == [26, 27, 28, 29, 30]
    assert found(inbox, "OR " * 24 + " ".join(f"BODY word{i}x" for i in range(25))) == list(range(1, 26))


def test_roles_end_while_texts_are_made(new_server, connect):
    """Answers are right all along, and the texts come in the end."""
    s = new_server(accounts=("ann",))
    c = connect(f"ann@{DOMAIN}", on=s)
    c.ok("SELECT INBOX")
    for i in range(40):
        c.append(PLAIN.replace(b"first line", b"word%dx" % i))
        if i in (5, 25):
            s.kill_role(["scan", "indexer"][i == 25])
        assert found(c, f"BODY word{i // 2}x") == [i // 2 + 1]


def test_rebuild_while_searches_go_on(new_server, connect):
    s = new_server(accounts=("ann",))
    c = connect(f"ann@{DOMAIN}", on=s)
    c.ok("SELECT INBOX")
    for i in range(60):
        c.append(PLAIN.replace(b"first line", b"word%dx" % i))
    end = time.time() + 20
    while s.json("search", "status", f"ann@{DOMAIN}")["texts"] < 60:
        assert time.time() < end
        time.sleep(0.1)
    rebuild = subprocess.Popen([PROGRAM, "-c", s.conf, "search", "rebuild", f"ann@{DOMAIN}"], stdout=subprocess.PIPE, text=True)
    looks = 0
    while rebuild.poll() is None or looks < 20:
        assert found(c, f"BODY word{looks % 60}x") == [looks % 60 + 1]
        looks += 1
    assert "with text         60" in rebuild.stdout.read() and rebuild.returncode == 0
    rebuild.stdout.close()
    r = s.command("search", "rebuild", "nobody@example.test", check=False)
    assert r.returncode == 1 and "there is no such account" in r.stderr


def test_without_texts_nothing_is_rebuilt(pair):
    pair[1].add_account("eve")
    r = pair[1].command("search", "rebuild", f"eve@{DOMAIN}", check=False)
    assert r.returncode == 1 and "search.index" in r.stderr
    assert pair[1].json("search", "status", f"eve@{DOMAIN}") == {"on": False, "messages": 0, "texts": 0, "packed": 0}


def test_a_message_larger_than_shared_memory(pair, connect):
    """It comes to scan in a file; what is beyond the text that is kept is found all the same."""
    clients = []
    for s in pair:
        s.add_account("big")
        clients.append(connect(f"big@{DOMAIN}", on=s))
        clients[-1].ok("SELECT INBOX")
        clients[-1].append(b"Subject: large\r\n\r\n" + b"some filler, line by line\r\n" * 200000 + b"at the very end\r\n")
    end = time.time() + 20
    while pair[0].json("search", "status", f"big@{DOMAIN}")["texts"] < 1:
        assert time.time() < end
        time.sleep(0.1)
    for what in ("BODY \"very end\"", "BODY \"line by\"", "SUBJECT LARGE", "BODY nowhere", "NOT BODY nowhere"):
        assert found(clients[0], what) == found(clients[1], what), what
