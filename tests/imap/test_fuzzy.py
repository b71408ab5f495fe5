# SPDX-License-Identifier: Apache-2.0
"""SEARCH=FUZZY (RFC 6203): words that are misspelled or inflected, with a score for each message, before and after the server has texts for search."""
import re

import pytest
from house import DOMAIN


def mail(subject, text="nothing here", sender="ann@example.net"):
    return f"From: {sender}\r\nSubject: {subject}\r\n\r\n{text}\r\n".encode()


@pytest.fixture(scope="module", params=["search.index = yes", "search.index = no"])
def house(request, tmp_path_factory):
    """Once with texts that are kept, once without."""
    from house import Server
    s = Server(tmp_path_factory.mktemp("fuzzy"), request.param).start()
    s.command("domain", "add", DOMAIN)
    s.add_account("ann")
    s.indexes = request.param.endswith("yes")
    yield s
    s.stop()


@pytest.fixture
def box(house, connect):
    c = connect(f"ann@{DOMAIN}", on=house)
    if not c.do("SELECT Fuzzy").status == "OK":
        c.ok("CREATE Fuzzy")
        for m in (mail("hello"), mail("help"), mail("x", "say hello to them"), mail("annual report"), mail("invoice", sender="Hello <h@example.net>"),
                  mail("meetings of the year"), mail("caf\u00e9 h\u00e9llo")):
            c.append(m, "Fuzzy")
        c.ok("SELECT Fuzzy")
    return c


def esearch(c, command):
    r = c.ok(command)
    lines = [u for u in r.untagged if u.startswith(b"* ESEARCH")]
    assert len(lines) == 1, r
    return lines[0].decode()


def scores(c, command):
    line = esearch(c, command)
    found = re.search(r" (?:ALL|PARTIAL \(\S+) ([0-9:,]+)\)? RELEVANCY \(([0-9 ]+)\)", line)
    assert found, line
    numbers = []
    for part in found.group(1).split(","):
        low, _, high = part.partition(":")
        numbers += range(int(low), int(high or low) + 1)
    values = [int(n) for n in found.group(2).split()]
    assert len(values) == len(numbers) and all(1 <= v <= 100 for v in values), line
    return dict(zip(numbers, values))


def test_it_is_advertised(box):
    assert b"SEARCH=FUZZY" in box.ok("CAPABILITY").untagged[0]


def test_scores(box):
    s = scores(box, "SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT Helo")
    assert set(s) == {1, 2, 3, 5, 7}
    assert s[1] == s[2] and s[1] > s[5] > s[3]
    assert scores(box, "UID SEARCH RETURN (ALL RELEVANCY) FUZZY SUBJECT hello")[1] == 100


@pytest.mark.parametrize("keys, expected", [
    ("FUZZY SUBJECT report", b"* SEARCH 4"),
    ("FUZZY SUBJECT \"reports anual\"", b"* SEARCH 4"),
    ("FUZZY SUBJECT meeting", b"* SEARCH 6"),
    ("FUZZY BODY helo", b"* SEARCH 3"),
    ("FUZZY FROM helo", b"* SEARCH 5"),
    ("FUZZY SUBJECT cafe", b"* SEARCH 7"),
    ("SUBJECT helo", b"* SEARCH"),
    ("FUZZY (SUBJECT helo FROM ann)", b"* SEARCH 1 2 7"),
    ("FUZZY SUBJECT helo SUBJECT help", b"* SEARCH 2"),
    ("NOT FUZZY TEXT helo", b"* SEARCH 4 6"),
    ("OR FUZZY SUBJECT helo FUZZY BODY helo", b"* SEARCH 1 2 3 7"),
    ("FUZZY OR SUBJECT reprot BODY helo", b"* SEARCH 3 4"),
    ("FUZZY NOT SUBJECT helo", b"* SEARCH 3 4 5 6"),
    ("FUZZY FUZZY SUBJECT helo 1:2", b"* SEARCH 1 2"),
    ("FUZZY SEEN", b"* SEARCH"),
    ("FUZZY SUBJECT \"\"", b"* SEARCH 1 2 3 4 5 6 7"),
])
def test_what_is_found(box, keys, expected):
    assert box.ok(f"SEARCH {keys}").of(rb"^\* SEARCH") == [expected]


def test_order_of_relevancy(box):
    line = box.ok("SORT (RELEVANCY) UTF-8 FUZZY TEXT hello").of(rb"SORT")[0].decode().split()[2:]
    by_score = scores(box, "SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT hello")
    assert [by_score[int(n)] for n in line] == sorted(by_score.values(), reverse=True) and line[0] == "1"
    assert line == [str(n) for n in scores(box, "SORT RETURN (RELEVANCY ALL) (RELEVANCY) UTF-8 FUZZY TEXT hello")]
    reverse = box.ok("SORT (REVERSE RELEVANCY ARRIVAL) UTF-8 FUZZY TEXT hello").of(rb"SORT")[0].decode().split()[2:]
    assert [by_score[int(n)] for n in reverse] == sorted(by_score.values())
    some = scores(box, "SORT RETURN (RELEVANCY PARTIAL 1:2) (RELEVANCY) UTF-8 FUZZY TEXT hello")
    assert list(some) == [int(n) for n in line[:2]]


def test_several_mailboxes(box):
    r = box.ok("ESEARCH IN (personal) RETURN (ALL RELEVANCY) FUZZY SUBJECT helo")
    assert any(b'MAILBOX "Fuzzy"' in u and b"RELEVANCY (" in u for u in r.untagged), r


def test_updates(box):
    r = box.ok("SORT RETURN (UPDATE ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT helo")  # its scores are those of one search
    assert any(u.startswith(b"* NO [NOUPDATE ") for u in r.untagged)
    tag = box.start("SEARCH RETURN (UPDATE COUNT) FUZZY SUBJECT unusual")
    assert box.wait(tag).status == "OK"
    r = box.append(mail("unusuall"), "Fuzzy")
    assert any(b"ADDTO (" in u for u in r.untagged), r
    box.ok("STORE 8 +FLAGS.SILENT (\\Deleted)")
    box.ok("EXPUNGE")


@pytest.mark.parametrize("command, status", [
    ("SEARCH RETURN (RELEVANCY ALL) SUBJECT x", "BAD"),
    ("SORT (RELEVANCY) UTF-8 ALL", "BAD"),
    ("SORT RETURN (RELEVANCY) (DATE) UTF-8 ALL", "BAD"),
    ("ESEARCH IN (personal) RETURN (RELEVANCY) ALL", "BAD"),
    ("SEARCH FUZZY", "BAD"),
    ("SEARCH FUZZY ", "BAD"),
    ("SEARCH FUZZY ()", "BAD"),
    ("SEARCH " + "FUZZY " * 16 + "SEEN", "OK"),
    ("SEARCH " + "FUZZY " * 64 + "SEEN", "NO"),
    ("SEARCH FUZZY (" + " ".join(["TEXT x"] * 17) + ")", "NO"),
    ("SEARCH FUZZY TEXT \"" + "word " * 399 + "\"", "OK"),
    ("SEARCH FUZZY TEXT " + "q" * 2000, "OK"),
    ("SEARCH FUZZY TEXT " + "q" * 2001, "NO"),
])
def test_hostile(box, command, status):
    assert box.do(command).status == status
    assert box.ok("NOOP")


def test_after_the_texts_were_made(box, house):
    """The indexer made texts and they say the same."""
    before = esearch(box, "SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT hello").split(" ", 4)[4]
    if house.indexes:
        house.kill_role("indexer")
    assert esearch(box, "SEARCH RETURN (RELEVANCY ALL) FUZZY TEXT hello").split(" ", 4)[4] == before
