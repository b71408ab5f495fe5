# SPDX-License-Identifier: Apache-2.0
"""The same mailbox in Posthouse and in Debian's Dovecot: FETCH, SEARCH, SORT and THREAD give the same answers, or answers that differ for a reason that
explain.py names with its RFC. Real messages (a fixed sample) and malformed ones.

COMPARE_EVERY=1 COMPARE_MALFORMED=3000 COMPARE_SEARCHES=1500 takes all of them (tools/compare.sh), COMPARE_SEED another seed."""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parent / "realmail"))
import corpus  # noqa: E402
import judge  # noqa: E402
import mutate  # noqa: E402
import queries  # noqa: E402
import wire  # noqa: E402
from dovecot import Dovecot  # noqa: E402
from house import DOMAIN, PASSWORD, Server  # noqa: E402

EVERY = int(os.environ.get("COMPARE_EVERY", "40"))
MALFORMED = int(os.environ.get("COMPARE_MALFORMED", "150"))
SEARCHES = int(os.environ.get("COMPARE_SEARCHES", "150"))
SEED = int(os.environ.get("COMPARE_SEED", "1"))


@pytest.fixture(scope="module")
def real():
    return [(name, data.replace(b"\0", b"?")) for name, data in corpus.messages(EVERY)]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """both(mailbox, messages): a client of each server with a mailbox of these messages selected. Headers in UTF-8 are shown as they are."""
    opened, peer = [], Dovecot()
    server = Server(tmp_path_factory.mktemp("ours"), "").start()
    server.command("domain", "add", DOMAIN)
    user = server.add_account("compared")

    def make(mailbox, messages):
        ours, theirs = wire.over_socket(server.port("imap"), user, PASSWORD), wire.over_pipes(peer.start())
        opened.extend((ours, theirs))
        try:
            for client in (ours, theirs):
                judge.fill(client, mailbox, messages)
        except (AssertionError, EOFError) as e:
            raise AssertionError(f"{e!r}; Dovecot's log:\n{peer.log()}") from e
        return theirs, ours

    yield make
    for client in opened:
        client.close()
    peer.remove()
    server.stop()


def verdict(differences):
    print(differences.report())
    assert not differences.unexplained, differences.report()


def test_real_messages(both, real):
    d = judge.Differences()
    theirs, ours = both(b"real", real)
    judge.compare_fetch(d, theirs, ours, real)
    judge.compare_search(d, theirs, ours, real, queries.searches(SEED, SEARCHES, real))
    judge.compare_sort(d, theirs, ours, real)
    judge.compare_thread(d, theirs, ours, real)
    verdict(d)


def test_malformed_messages(both, real):
    d = judge.Differences()
    messages = list(mutate.messages(SEED, MALFORMED, [data for _, data in real]))
    theirs, ours = both(b"malformed", messages)
    judge.compare_fetch(d, theirs, ours, messages)
    verdict(d)
