# SPDX-License-Identifier: Apache-2.0
import pytest
from imap_dialog import Client


@pytest.fixture
def connect(server):
    """connect(user=None, tls=False, ...): a client of the shared server, logged in when a user is named."""
    made = []

    def make(user=None, on=None, port="imap", **more):
        c = Client((on or server).port(port), **more)
        made.append(c)
        return c.login(user) if user else c

    yield make
    for c in made:
        c.close()


@pytest.fixture
def inbox(connect, account):
    """A client of a fresh account with INBOX selected; .user is its address."""
    c = connect(account)
    c.user = account
    c.ok("SELECT INBOX")
    return c
