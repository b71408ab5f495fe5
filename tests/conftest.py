# SPDX-License-Identifier: Apache-2.0
"""`server` is shared by all tests of a run, `new_server` makes one of its own with other settings, `account` is a fresh account on the shared one."""
import random

import pytest

from house import DOMAIN, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """example.test with alice, bob and carol (PASSWORD), and admin. Tests must not depend on what others left in the mailboxes."""
    s = Server(tmp_path_factory.mktemp("server")).start()
    s.command("domain", "add", DOMAIN)
    for name in ("alice", "bob", "carol"):
        s.add_account(name)
    yield s
    s.stop()


@pytest.fixture
def new_server(tmp_path):
    """new_server(conf="...", accounts=("alice",), start=True): a server that only this test uses."""
    made = []

    def make(conf="", accounts=("alice", "bob"), arguments=(), start=True):
        s = Server(tmp_path / f"server{len(made)}" if made else tmp_path, conf, arguments)
        made.append(s)
        if start:
            s.start()
            s.command("domain", "add", DOMAIN)
            for name in accounts:
                s.add_account(name)
        return s

    yield make
    for s in made:
        s.stop()


@pytest.fixture
def account(server):
    """A fresh account on the shared server: its address."""
    return server.add_account(f"user{random.getrandbits(40):x}")
