# SPDX-License-Identifier: Apache-2.0
"""What a search answers and leaves behind: ESEARCH (RFC 4731), "$" (RFC 5182), PARTIAL (RFC 9394), OLDER and YOUNGER (RFC 5032)."""
import pytest
from imap_dialog import PLAIN


@pytest.fixture
def eight(inbox):
    """Eight messages with UIDs 2 to 9; 2, 3, 5, 7 (numbers) are flagged."""
    for _ in range(9):
        inbox.append(PLAIN)
    inbox.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
    inbox.ok("EXPUNGE")
    inbox.ok("STORE 2,3,5,7 +FLAGS.SILENT (\\Flagged)")
    return inbox


def result(c, command):
    """What stands behind the tag in the ESEARCH response."""
    tag = c.start(command)
    r = c.wait(tag)
    assert r.status == "OK", r
    head = f'* ESEARCH (TAG "{tag}")'.encode()
    answers = [u for u in r.untagged if b"SEARCH" in u]
    assert len(answers) == 1 and answers[0].startswith(head), r
    return answers[0][len(head):].decode().strip()


@pytest.mark.parametrize("options, expected", [
    ("()", "ALL 2:3,5,7"),
    ("(ALL)", "ALL 2:3,5,7"),
    ("(MIN)", "MIN 2"),
    ("(MAX)", "MAX 7"),
    ("(COUNT)", "COUNT 4"),
    ("(min max count all)", "MIN 2 MAX 7 COUNT 4 ALL 2:3,5,7"),
    ("(SAVE COUNT)", "COUNT 4"),
    ("(PARTIAL 1:2)", "PARTIAL (1:2 2:3)"),
    ("(PARTIAL 3:2 COUNT)", "COUNT 4 PARTIAL (2:3 3,5)"),
    ("(PARTIAL -1:-2)", "PARTIAL (-1:-2 5,7)"),
    ("(PARTIAL 4:9)", "PARTIAL (4:9 7)"),
    ("(PARTIAL 5:9)", "PARTIAL (5:9 NIL)"),
    ("(PARTIAL -4294967295:-4)", "PARTIAL (-4:-4294967295 2)"),
])
def test_return(eight, options, expected):
    assert result(eight, f"SEARCH RETURN {options} FLAGGED") == expected


def test_return_by_uid_and_nothing_found(eight):
    assert result(eight, "UID SEARCH RETURN (MIN ALL) FLAGGED") == "UID MIN 3 ALL 3:4,6,8"
    assert result(eight, "SEARCH RETURN (MIN MAX ALL COUNT) ANSWERED") == "COUNT 0"
    assert result(eight, "SEARCH RETURN (MIN ALL) ANSWERED") == ""
    assert result(eight, "UID SEARCH RETURN () CHARSET UTF-8 SUBJECT none") == "UID"


def test_return_with_modseq(eight):
    r = eight.ok("SEARCH FLAGGED MODSEQ 1").of(rb"SEARCH 2 3 5 7 \(MODSEQ")[0]
    highest = int(r.split()[-1].rstrip(b")"))
    assert result(eight, "SEARCH RETURN (COUNT) FLAGGED MODSEQ 1") == f"COUNT 4 MODSEQ {highest}"
    assert result(eight, "SEARCH RETURN (ALL) ANSWERED MODSEQ 1") == ""


@pytest.mark.parametrize("options", ["", "(", "(NONE)", "(MIN", "(MIN )", "(ALL PARTIAL 1:2)", "(PARTIAL)", "(PARTIAL 1)", "(PARTIAL 0:1)", "(PARTIAL 1:*)", "(PARTIAL -1:2)",
                                     "(PARTIAL 1:-2)", "(PARTIAL 4294967296:1)"])
def test_malformed_return(eight, options):
    assert eight.do(f"SEARCH RETURN {options} ALL").status == "BAD"


# ---- "$"


def numbers(c, command):
    return sorted(int(n) for n in c.ok(command).of(rb"^\* SEARCH")[0].split()[2:])


def test_saved_result(eight):
    c = eight
    assert numbers(c, "SEARCH $") == []
    assert c.ok("FETCH $ FLAGS").untagged == []
    assert c.ok("SEARCH RETURN (SAVE) FLAGGED").untagged == []
    assert set(c.fetch("FETCH $ UID")) == {2, 3, 5, 7}
    assert set(c.fetch("UID FETCH $ FLAGS")) == {2, 3, 5, 7}
    assert numbers(c, "UID SEARCH UID $ NOT UID 3") == [4, 6, 8]
    assert numbers(c, "SEARCH (OR $ 1)") == [1, 2, 3, 5, 7]
    c.ok("CREATE target")
    assert "3:4,6,8 1:4" in c.ok("COPY $ target").text
    c.ok("STORE $ +FLAGS.SILENT (\\Answered)")
    assert numbers(c, "SEARCH ANSWERED") == [2, 3, 5, 7]
    for command in ("FETCH $,1 FLAGS", "FETCH 1,$ FLAGS", "FETCH $1 FLAGS", "FETCH $:2 FLAGS", "SEARCH $x"):
        assert c.do(command).status == "BAD", command


def test_saved_result_follows_expunges(eight):
    c = eight
    c.ok("SEARCH RETURN (SAVE) FLAGGED")
    c.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
    c.ok("EXPUNGE")
    c.append(PLAIN)
    assert set(c.fetch("FETCH $ UID")) == {1, 3, 5}
    assert numbers(c, "UID SEARCH $") == [3, 6, 8]
    c.ok("SELECT INBOX")
    assert numbers(c, "SEARCH $") == []


@pytest.mark.parametrize("options, expected", [
    ("SAVE MIN", [2]), ("SAVE MAX", [7]), ("SAVE MIN MAX", [2, 7]), ("SAVE ALL MIN", [2, 3, 5, 7]), ("SAVE COUNT MAX", [2, 3, 5, 7]),
    ("SAVE PARTIAL 2:3", [3, 5]), ("SAVE PARTIAL 2:3 MIN", [2, 3, 5]), ("SAVE PARTIAL 2:3 MAX MIN", [2, 3, 5, 7]), ("SAVE PARTIAL 1:2 MIN", [2, 3]),
    ("SAVE PARTIAL 2:3 COUNT", [2, 3, 5, 7]),
])
def test_what_is_saved(eight, options, expected):
    eight.ok(f"SEARCH RETURN ({options}) FLAGGED")
    assert numbers(eight, "SEARCH $") == expected


def test_failed_search_saves_nothing(eight):
    c = eight
    c.ok("SEARCH RETURN (SAVE) FLAGGED")
    assert c.do("SEARCH RETURN (SAVE) BOGUS").status == "BAD"
    assert c.do("SEARCH CHARSET X-NONE ALL").status == "NO"
    c.ok("SEARCH RETURN (COUNT) ALL")
    assert numbers(c, "SEARCH $") == [2, 3, 5, 7]
    assert c.do("SEARCH RETURN (SAVE) CHARSET X-NONE ALL").status == "NO"
    assert numbers(c, "SEARCH $") == []


def test_pipelined_use(eight):
    eight.send(b"a SEARCH RETURN (SAVE) FLAGGED\r\nb STORE $ +FLAGS (\\Seen)\r\nc FETCH $ UID\r\n")
    assert eight.wait("a").status == "OK" and len(eight.wait("b").of(rb"FETCH")) == 4 and len(eight.wait("c").untagged) == 4


# ---- the rest


@pytest.mark.parametrize("partial, expected", [("1:2", [2, 3]), ("-1:-3", [7, 8, 9]), ("2:99", [3, 4, 5, 6, 7, 8, 9]), ("9:10", []), ("-8:-9", [2])])
def test_partial_fetch(eight, partial, expected):
    r = eight.ok(f"UID FETCH 1:* (UID) (PARTIAL {partial})")
    assert [int(u.split(b"UID ")[1].rstrip(b")")) for u in r.untagged] == expected
    assert eight.do(f"FETCH 1:* (UID) (PARTIAL {partial})").status == "BAD"
    assert eight.ok(f"UID FETCH 1:* (UID) (PARTIAL {partial} CHANGEDSINCE 9223372036854775807)").of(rb" FETCH \(") == []


def test_partial_fetch_over_gaps(eight):
    assert set(eight.fetch("UID FETCH 2:3,5,8:9 (UID) (PARTIAL 2:4)")) == {2, 4, 7}


def test_within(eight):
    eight.append(PLAIN, more='"17-Jul-1996 02:44:25 -0700" ')
    assert numbers(eight, "SEARCH OLDER 3600") == [9]
    assert numbers(eight, "SEARCH YOUNGER 3600") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert numbers(eight, "SEARCH NOT YOUNGER 4294967295") == []
    assert eight.do("SEARCH OLDER 0").status == "BAD" and eight.do("SEARCH YOUNGER x").status == "BAD"
