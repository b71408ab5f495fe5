# SPDX-License-Identifier: Apache-2.0
"""SORT and THREAD (RFC 5256), ESORT (RFC 5267), SORT=DISPLAY (RFC 5957)."""
import pytest


def message(n, subject, sender, day, to="x@example.test", more=""):
    return (f"From: {sender}\r\nTo: {to}\r\nSubject: {subject}\r\nDate: {day:02d} Feb 2001 10:00:00 +0000\r\nMessage-ID: <{n}@t>\r\n{more}\r\n" + "x" * (10 * n) + "\r\n").encode()


@pytest.fixture
def six(inbox):
    inbox.append(message(1, "banana", '"Zoe" <b@example.net>', 20, to="c@example.test"))
    inbox.append(message(2, "Re: Apple", '"Adam" <c@example.net>', 10, to="a@example.test", more="References: <9@t>\r\n"))
    inbox.append(message(3, "apple", "a@example.net", 15, to="b@example.test", more="Cc: k@example.test\r\n"))
    inbox.append(message(4, "Re: [list] banana", '"mike" <d@example.net>', 21, more="In-Reply-To: <1@t>\r\n"))
    inbox.append(message(5, "Re: banana", "b@example.net", 22, more="References: <1@t> <4@t>\r\n"))
    inbox.append(message(6, "", "b@example.net", 5, more="References: <1@t>\r\nCc: c@example.test\r\n"), more='"17-Jul-1996 02:44:25 -0700" ')
    return inbox


def order(c, command):
    r = c.ok(command).of(rb"^\* SORT")
    assert len(r) == 1
    return [int(n) for n in r[0].split()[2:]]


@pytest.mark.parametrize("criteria, expected", [
    ("ARRIVAL", [6, 1, 2, 3, 4, 5]),
    ("DATE", [6, 2, 3, 1, 4, 5]),
    ("REVERSE DATE", [5, 4, 1, 3, 2, 6]),
    ("SIZE", None),
    ("SUBJECT", [6, 2, 3, 1, 4, 5]),
    ("SUBJECT REVERSE DATE", [6, 3, 2, 5, 4, 1]),
    ("REVERSE SUBJECT", [1, 4, 5, 2, 3, 6]),
    ("FROM", [3, 1, 5, 6, 2, 4]),
    ("FROM SIZE", None),
    ("TO", [2, 3, 1, 4, 5, 6]),
    ("CC ARRIVAL", [1, 2, 4, 5, 6, 3]),
    ("DISPLAYFROM", [3, 2, 5, 6, 4, 1]),
    ("DISPLAYTO", [2, 3, 1, 4, 5, 6]),
    ("date", [6, 2, 3, 1, 4, 5]),
    ("DATE " + "REVERSE DATE " * 200 + "SIZE", [6, 2, 3, 1, 4, 5]),
])
def test_sort(six, criteria, expected):
    found = order(six, f"SORT ({criteria}) UTF-8 ALL")
    assert sorted(found) == [1, 2, 3, 4, 5, 6] and (expected is None or found == expected)
    assert order(six, f"UID SORT ({criteria}) US-ASCII ALL") == found


def test_sort_of_some_and_none(six):
    assert order(six, "SORT (DATE) UTF-8 2:4 SUBJECT apple") == [2, 3]
    assert order(six, 'SORT (DATE) UTF-8 SUBJECT "not there"') == []
    assert b"(MODSEQ " in six.ok("SORT (SIZE) UTF-8 MODSEQ 1").of(rb"SORT")[0]


@pytest.mark.parametrize("command", ["SORT", "SORT ALL", "SORT () UTF-8 ALL", "SORT (NONE) UTF-8 ALL", "SORT (REVERSE) UTF-8 ALL", "SORT (DATE) ALL", "SORT (DATE) UTF-8", "SORT (DATE UTF-8 ALL",
                                     "SORT (REVERSE REVERSE DATE) UTF-8 ALL", "THREAD", "THREAD NONE UTF-8 ALL", "THREAD REFERENCES ALL", "THREAD REFERENCES UTF-8"])
def test_malformed(six, command):
    assert six.do(command).status == "BAD"
    six.ok("NOOP")


def test_charset(six):
    assert six.do("SORT (DATE) X-NONE ALL").text.startswith("[BADCHARSET")
    assert six.do("THREAD REFERENCES X-NONE ALL").text.startswith("[BADCHARSET")


def test_extended_sort(six):
    r = six.ok("SORT RETURN (MIN MAX COUNT ALL) (DATE) UTF-8 ALL")
    assert r.of(rb"ESEARCH \(TAG \"t\d+\"\) MIN 6 MAX 5 COUNT 6 ALL 6,2:3,1,4:5$")
    r = six.ok("UID SORT RETURN () (REVERSE DATE) UTF-8 ALL")
    assert r.of(rb"ESEARCH \(TAG \"t\d+\"\) UID ALL 5,4,1,3,2,6$")
    assert six.ok("SORT RETURN (COUNT) (DATE) UTF-8 ANSWERED").of(rb"ESEARCH \(TAG \"t\d+\"\) COUNT 0$")


def threads(c, command):
    r = c.ok(command).of(rb"^\* THREAD")
    assert len(r) == 1
    return r[0].decode()[len("* THREAD"):].strip()


def test_thread_by_references(six):
    # 3 is "apple", 2 its reply by subject; 4 answers 1, 5 answers 4, 6 answers 1
    assert threads(six, "THREAD REFERENCES UTF-8 ALL") == "(3 2)(1 (6)(4 5))"
    assert threads(six, "UID THREAD REFERENCES UTF-8 ALL") == "(3 2)(1 (6)(4 5))"
    assert threads(six, "THREAD REFERENCES UTF-8 4:6") == "((6)(4 5))"
    assert threads(six, "THREAD REFERENCES UTF-8 ANSWERED") == ""


def test_thread_by_subject(six):
    assert threads(six, "THREAD ORDEREDSUBJECT UTF-8 ALL") == "(6)(2 3)(1 (4)(5))"


def test_uids_and_expunges(six, connect):
    six.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    other = connect(six.user)
    other.ok("SELECT INBOX")
    other.ok("EXPUNGE")
    for command in ("SORT (DATE) UTF-8 ALL", "THREAD REFERENCES UTF-8 ALL"):
        assert not six.ok(command).of(rb"EXPUNGE")
    assert sorted(order(six, "UID SORT (DATE) UTF-8 ALL")) in ([2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    six.ok("NOOP")
    assert order(six, "SORT (DATE) UTF-8 ALL") == [5, 1, 2, 3, 4]
    assert order(six, "UID SORT (DATE) UTF-8 ALL") == [6, 2, 3, 4, 5]


def test_threads_by_references_alone(inbox):
    """THREAD=REFS: one subject makes no thread, and the thread with the newest message comes last."""
    message = b"Subject: same\r\nMessage-ID: <%s@x>\r\n%sDate: %d Feb 2000 00:00:00 +0000\r\n\r\nx\r\n"
    for id, reference, day in ((b"a", b"", 1), (b"b", b"", 2), (b"c", b"References: <a@x>\r\n", 5), (b"d", b"References: <gone@x>\r\n", 4), (b"e", b"References: <gone@x>\r\n", 3)):
        inbox.append(message % (id, reference, day))
    assert inbox.ok("THREAD REFS UTF-8 ALL").of(rb"THREAD") == [b"* THREAD (2)((5)(4))(1 3)"]
    assert b"THREAD=REFS" in inbox.ok("CAPABILITY").untagged[0]
