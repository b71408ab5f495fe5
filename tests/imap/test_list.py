# SPDX-License-Identifier: Apache-2.0
"""LIST with options (RFC 5258), with STATUS (RFC 5819), by special use (RFC 6154); SIZE (RFC 8438)."""
import re

import pytest
from imap_dialog import PLAIN


@pytest.fixture
def tree(inbox):
    """INBOX (one message), a, a/b (subscribed), a/b/c, d/e (d is only a parent), gone/away (only subscribed), Trash."""
    inbox.ok("UNSUBSCRIBE INBOX")
    listed = [re.search(rb'"/" "?([^"]*)"?$', u)[1].decode() for u in inbox.ok('LIST "" *').untagged]
    for name in listed:
        inbox.ok(f'UNSUBSCRIBE "{name}"')
        if name != "INBOX":
            inbox.ok(f'DELETE "{name}"')
    for name in ("a", "a/b", "a/b/c", "d/e", "gone", "gone/away"):
        inbox.ok(f"CREATE {name}")
    inbox.ok("CREATE Bin (USE (\\Trash))")
    for name in ("INBOX", "a", "a/b", "a/b/c", "d", "d/e", "gone", "gone/away", "Bin"):
        inbox.ok(f"{'SUBSCRIBE' if name in ('a/b', 'gone/away') else 'UNSUBSCRIBE'} {name}")
    inbox.ok("DELETE gone/away")
    inbox.ok("DELETE gone")
    inbox.append(PLAIN)
    return inbox


def listed(c, command):
    """{name: (attributes, what stands behind it)}"""
    r = c.ok(command)
    found = {}
    for u in r.of(rb"^\* LIST "):
        m = re.match(rb'\* LIST \(([^)]*)\) "/" "?([^" ]*)"?(.*)$', u)
        assert m[2].decode() not in found
        found[m[2].decode()] = (set(m[1].decode().split()), m[3].decode().strip())
    return found


def test_plain_list_stays_as_it_was(tree):
    found = listed(tree, 'LIST "" *')
    assert set(found) >= {"INBOX", "a", "a/b", "a/b/c", "d/e", "Bin"} and "gone/away" not in found
    assert not any("\\Subscribed" in attributes or more for attributes, more in found.values())
    assert tree.ok('LIST "" ""').untagged == [b'* LIST (\\Noselect) "/" ""']


def test_several_patterns(tree):
    assert set(listed(tree, 'LIST "" (INBOX a/% "d/*" a/b)')) == {"INBOX", "a/b", "d/e"}
    assert set(listed(tree, 'LIST "a/" (% %/c)')) == {"a/b", "a/b/c"}
    assert listed(tree, 'LIST "" ("")') == {}
    assert listed(tree, 'LIST () "" ""') == {}
    assert tree.do('LIST "" ()').status == "BAD"
    assert tree.do('LIST "" (' + " ".join(["a"] * 101) + ")").status == "BAD"


def test_subscribed(tree):
    found = listed(tree, 'LIST (SUBSCRIBED) "" *')
    assert set(found) == {"a/b", "gone/away"}
    assert found["a/b"][0] == {"\\Subscribed", "\\HasChildren"}
    assert found["gone/away"][0] == {"\\Subscribed", "\\NonExistent", "\\HasNoChildren"}
    found = listed(tree, 'LIST "" * RETURN (SUBSCRIBED CHILDREN)')
    assert "\\Subscribed" in found["a/b"][0] and "\\Subscribed" not in found["a"][0] and "gone/away" not in found
    assert "\\HasNoChildren" in found["INBOX"][0]


def test_recursivematch(tree):
    found = listed(tree, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" %')
    assert set(found) == {"a", "gone"}  # "gone" stays a name while it has a child
    assert found["a"] == ({"\\HasChildren"}, '(CHILDINFO ("SUBSCRIBED"))')
    assert found["gone"] == ({"\\Noselect", "\\HasChildren"}, '(CHILDINFO ("SUBSCRIBED"))')
    tree.ok("SUBSCRIBE never/was/there")
    found = listed(tree, 'LIST (SUBSCRIBED RECURSIVEMATCH) "" never*%was')
    assert found == {"never/was": ({"\\NonExistent", "\\HasChildren"}, '(CHILDINFO ("SUBSCRIBED"))')}
    tree.ok("UNSUBSCRIBE never/was/there")
    assert set(listed(tree, 'LIST (RECURSIVEMATCH SUBSCRIBED REMOTE) "" *')) == {"a/b", "gone/away"}
    tree.ok("SUBSCRIBE a/b/c")
    assert listed(tree, 'LIST (RECURSIVEMATCH SUBSCRIBED) "" *')["a/b"][1] == '(CHILDINFO ("SUBSCRIBED"))'
    for bad in ("(RECURSIVEMATCH)", "(REMOTE RECURSIVEMATCH)", "(NONE)", "(SUBSCRIBED", "( SUBSCRIBED)"):
        assert tree.do(f'LIST {bad} "" *').status == "BAD", bad


def test_special_use(tree):
    found = listed(tree, 'LIST (SPECIAL-USE) "" *')
    assert set(found) == {"Bin"} and "\\Trash" in found["Bin"][0]
    assert "\\Trash" in listed(tree, 'LIST "" Bin RETURN (SPECIAL-USE)')["Bin"][0]
    assert listed(tree, 'LIST (SPECIAL-USE SUBSCRIBED) "" *') == {}


def test_status(tree):
    r = tree.ok('LIST "" % RETURN (STATUS (MESSAGES SIZE UIDNEXT) SUBSCRIBED)')
    inbox = [u for u in r.untagged if b"INBOX" in u]
    assert inbox[0].startswith(b"* LIST") and inbox[1] == b'* STATUS "INBOX" (MESSAGES 1 UIDNEXT 2 SIZE %d)' % len(PLAIN)
    assert len(r.of(rb"STATUS \"a\"")) == 1
    assert not tree.ok('LIST (SUBSCRIBED) "" gone* RETURN (STATUS (MESSAGES))').of(rb"STATUS")
    assert not tree.ok('LIST (SUBSCRIBED RECURSIVEMATCH) "" a RETURN (STATUS (MESSAGES))').of(rb"STATUS")
    for bad in ("(STATUS)", "(STATUS ())", "(STATUS (NONE))", "(NONE)", "STATUS", "(SUBSCRIBED", ""):
        assert tree.do(f'LIST "" * RETURN {bad}').status == "BAD", bad
    r = tree.ok('LIST "" INBOX RETURN (STATUS (HIGHESTMODSEQ))')
    assert r.of(rb"^\* STATUS .*HIGHESTMODSEQ \d+\)$")


def test_status_size(tree):
    tree.append(PLAIN * 2)
    assert tree.ok("STATUS INBOX (SIZE)").untagged[-1] == b'* STATUS "INBOX" (SIZE %d)' % (3 * len(PLAIN))
