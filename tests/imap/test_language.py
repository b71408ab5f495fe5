# SPDX-License-Identifier: Apache-2.0
"""LANGUAGE, I18NLEVEL=1, I18NLEVEL=2, COMPARATOR (RFC 5255); i;unicode-casemap (RFC 5051)."""
import pytest
from imap_dialog import PASSWORD, PLAIN, Client


def text(r):
    return r.text.encode("latin-1").decode()


def test_language_before_login(connect):
    c = connect()
    assert b" LANGUAGE" in c.greeting
    r = c.ok("LANGUAGE")
    assert r.untagged == [b"* LANGUAGE (i-default en de fr)"]
    r = c.ok("LANGUAGE DE-AT")
    assert r.untagged == [b"* LANGUAGE (de)"] and text(r) == "die Sprache ist jetzt Deutsch"
    assert text(c.do('LOGIN nobody@example.test "x"')) == "[AUTHENTICATIONFAILED] Benutzer oder Kennwort falsch"
    r = c.do("LANGUAGE MUL")
    assert r.status == "NO" and text(r) == "keine dieser Sprachen wird hier gesprochen"
    assert text(c.ok("NOOP")) == "erledigt"


def test_the_first_that_is_known(connect):
    c = connect()
    assert c.ok("LANGUAGE it-CH FR-CA EN-CA").untagged == [b"* LANGUAGE (fr)"]
    assert text(c.ok("NOOP")) == "terminé"
    assert c.ok('LANGUAGE "i-default"').untagged == [b"* LANGUAGE (i-default)"]
    assert text(c.ok("NOOP")) == "done"
    assert c.ok("LANGUAGE {2+}\r\nen").untagged == [b"* LANGUAGE (en)"]
    assert c.do("LANGUAGE ").status == "BAD" and c.do("LANGUAGE (de)").status == "BAD"
    assert c.do("LANGUAGE " + " ".join(["xx"] * 101)).status == "BAD"


def test_after_login(inbox):
    r = inbox.ok("LANGUAGE de")
    assert r.of(rb"^\* LANGUAGE \(de\)$") and r.of(rb"^\* NAMESPACE ")
    assert text(inbox.do("SELECT nirgends")) == "[NONEXISTENT] dieses Postfach gibt es nicht"
    assert text(inbox.do("NOOP x")) == "dieser Befehl hat keine Argumente"
    r = inbox.ok("LOGOUT")
    assert r.untagged == ["* BYE bis zum nächsten Mal".encode()]


def test_the_preferred_language(new_server):
    s = new_server("language = fr", accounts=("alice",))
    c = Client(s.port("imap"))
    assert text(c.ok("NOOP")) == "done", "English until another is asked for"
    assert c.ok("LANGUAGE default").untagged == [b"* LANGUAGE (fr)"]
    c.login("alice@example.test")
    c.ok("UNAUTHENTICATE")
    assert text(c.ok("NOOP")) == "done"
    c.close()


# ---- comparators

def subject(s):
    return f"Subject: {s}\r\nFrom: {s} <a@example.net>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{s}\r\n".encode()


@pytest.fixture
def box(inbox):
    inbox.ok("ENABLE UTF8=ACCEPT")
    for s in ("beta", "_alpha", "Äpfel", "apfel", "Zoo", "ÄPFEL"):
        inbox.append(subject(s))
    return inbox


def found(r):
    return [int(n) for n in r.of(rb"^\* (SEARCH|SORT)")[0].split()[2:]]


def test_comparator_command(inbox):
    assert b"I18NLEVEL=1 I18NLEVEL=2" in inbox.ok("CAPABILITY").untagged[0]
    assert inbox.ok("COMPARATOR").untagged == [b"* COMPARATOR i;unicode-casemap"]
    assert inbox.ok('COMPARATOR "cz;*" i;octet').untagged == [b"* COMPARATOR i;octet"]
    assert inbox.ok("COMPARATOR").untagged == [b"* COMPARATOR i;octet"]
    r = inbox.do("COMPARATOR i;basic x")
    assert r.status == "NO" and r.text.startswith("[BADCOMPARATOR]")
    assert inbox.ok("COMPARATOR").untagged == [b"* COMPARATOR i;octet"]
    assert inbox.ok('COMPARATOR "i;*casemap"').untagged == [b"* COMPARATOR i;unicode-casemap (i;unicode-casemap i;ascii-casemap)"]
    assert inbox.ok("COMPARATOR I;ASCII-CASEMAP default").untagged == [b"* COMPARATOR i;ascii-casemap (i;unicode-casemap i;ascii-casemap)"]
    assert inbox.ok("COMPARATOR default").untagged == [b"* COMPARATOR i;unicode-casemap"]
    assert inbox.do("COMPARATOR (i;octet)").status == "BAD"


@pytest.mark.parametrize("how, word, key, expected", [
    ("i;unicode-casemap", "äpf", "SUBJECT", [3, 6]),
    ("i;unicode-casemap", "äpf", "BODY", [3, 6]),
    ("i;unicode-casemap", "äpf", "FROM", [3, 6]),
    ("i;unicode-casemap", "APF", "SUBJECT", [4]),
    ("i;ascii-casemap", "äpf", "SUBJECT", []),
    ("i;ascii-casemap", "Äpf", "SUBJECT", [3, 6]),
    ("i;ascii-casemap", "ÄPF", "BODY", [3, 6]),
    ("i;ascii-casemap", "Äpf", "TEXT", [3, 6]),
    ("i;octet", "Äpf", "SUBJECT", [3]),
    ("i;octet", "ÄPF", "BODY", [6]),
    ("i;octet", "ÄPF", "TEXT", [6]),
    ("i;octet", "zoo", "HEADER Subject", []),
    ("i;octet", "Zoo", "HEADER Subject", [5]),
])
def test_search_by_comparator(box, how, word, key, expected):
    box.ok(f"COMPARATOR {how}")
    assert found(box.ok(f'SEARCH {key} "{word}"')) == expected


@pytest.mark.parametrize("how, expected", [
    ("i;unicode-casemap", [4, 3, 6, 1, 5, 2]),   # Ä is A and a mark, which comes behind P
    ("i;ascii-casemap", [4, 1, 5, 2, 3, 6]),
    ("i;octet", [5, 2, 4, 1, 6, 3]),
])
def test_sort_by_comparator(box, how, expected):
    box.ok(f"COMPARATOR {how}")
    assert found(box.ok("SORT (SUBJECT) UTF-8 ALL")) == expected


def test_thread_by_comparator(box):
    assert box.ok("THREAD ORDEREDSUBJECT UTF-8 SUBJECT \"äpfel\"").untagged == [b"* THREAD (3 6)"]
    box.ok("COMPARATOR i;octet")
    assert box.ok("THREAD ORDEREDSUBJECT UTF-8 FROM PF").untagged == [b"* THREAD (6)"]
    assert b"(3)" in box.ok("THREAD ORDEREDSUBJECT UTF-8 ALL").untagged[0]


def test_names_of_namespaces(inbox):
    """RFC 5255 3.4"""
    c = inbox
    assert c.ok("LANGUAGE de").of(rb"NAMESPACE") == [b'* NAMESPACE (("" "/")) (("Other Users/" "/" "TRANSLATION" ("Andere Benutzer/"))) (("Shared/" "/" "TRANSLATION" ("Gemeinsame Postf&AOQ-cher/")))']
    c.ok("LANGUAGE fr")
    assert b'"TRANSLATION" ("Bo&AO4-tes partag&AOk-es/")' in c.ok("NAMESPACE").untagged[0]
    c.ok("LANGUAGE i-default")
    assert c.ok("NAMESPACE").untagged == [b'* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/"))']
