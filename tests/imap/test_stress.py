# SPDX-License-Identifier: Apache-2.0
"""Many clients on one mailbox, each with a model of what it may believe (stress.py); a short run of it, and one in which the store is killed meanwhile.
STRESS_SECONDS, STRESS_SEED: longer ones, the same one again (tools/stress.sh)."""
import os
import random
import threading

import pytest
import stress

from house import PASSWORD

SECONDS = float(os.environ.get("STRESS_SECONDS", "8"))
SEED = int(os.environ.get("STRESS_SEED", random.getrandbits(24)))
CLIENTS = int(os.environ.get("STRESS_CLIENTS", "50"))


def words(server, user, *more):
    return ["--port", str(server.port("imap")), "--user", user, "--password", PASSWORD, "--seconds", str(SECONDS), "--seed", str(SEED), "--clients", str(CLIENTS), *more]


def test_fifty_clients_change_one_mailbox(new_server):
    s = new_server()
    world = stress.main(words(s, "alice@example.test"))
    assert world.commands > 500 and world.resyncs > 0


def test_the_same_while_the_store_is_killed(new_server):
    s = new_server()
    over = threading.Event()

    def kill():
        while not over.wait(SECONDS / 4):
            try:
                s.kill_role("store")
            except AssertionError:
                pass  # it is not there again yet

    killer = threading.Timer(SECONDS / 5, kill)
    threading.Timer(SECONDS * .8, over.set).start()
    killer.start()
    try:
        world = stress.main(words(s, "alice@example.test", "--forgiving"))
    finally:
        over.set()
        killer.join()
    assert world.commands > 200


def test_the_model_notices():
    """What would be a fault of a server is one for the model."""
    client = stress.Client(stress.World(type("A", (), {"seed": 1, "forgiving": False})), 0)
    client.uids, client.flags, client.modseqs = [1, 2, 5], {1: frozenset()}, {2: 9}
    client.seen_modseq = 0
    client.pending = [("a", "FETCH", False)]
    for line in (b"* 1 EXPUNGE", b"* 2 EXISTS", b"* 4 FETCH (UID 9)", b"* 1 FETCH (UID 2)", b"* 2 FETCH (UID 2 MODSEQ (8))", b"* VANISHED 1", b"* 3 FETCH (UID 5 BODY[] {3}\r\nabc)", b"* BYE"):
        with pytest.raises(stress.Violation):
            client.hear(line)
    client.hear(b"* 2 FETCH (UID 2 MODSEQ (10) FLAGS (\\Seen \\Recent))")
    assert client.flags[2] == {"\\Seen"}
    client.pending = []
    with pytest.raises(stress.Violation):
        client.hear(b"* 1 EXPUNGE")
    client.pending = [("a", "NOOP", True)]
    client.hear(b"* 1 EXPUNGE")
    assert client.uids == [2, 5]
    client.hear(b"* 3 EXISTS")
    with pytest.raises(stress.Violation):
        client.hear(b"* 3 FETCH (UID 1)")
