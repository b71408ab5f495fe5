# SPDX-License-Identifier: Apache-2.0
"""Real mail goes in by SMTP and LMTP and comes back, byte by byte, by IMAP and POP3; what BODYSTRUCTURE says adds up.

A fixed sample of the messages; REALMAIL_EVERY=1 takes all of them (tools/realmail.sh)."""
import imaplib
import itertools
import os
import poplib
import re
import smtplib

import pytest

from house import PASSWORD
from corpus import messages

imaplib._MAXLINE = 10_000_000
poplib._MAXLINE = 10_000_000
EVERY = int(os.environ.get("REALMAIL_EVERY", "40"))


@pytest.fixture(scope="module")
def sample():
    return list(messages(EVERY))


@pytest.fixture(scope="module")
def filled(server, sample):
    """An account for each way in, with the sample delivered in order."""
    smtp_user, lmtp_user = server.add_account("realsmtp"), server.add_account("reallmtp")
    for user, make in ((smtp_user, lambda: smtplib.SMTP("127.0.0.1", server.port("smtp"))), (lmtp_user, lambda: smtplib.LMTP("127.0.0.1", server.port("lmtp")))):
        client = make()
        for _, data in sample:
            client.sendmail("sender@example.org", [user], data, mail_options=["BODY=8BITMIME"])
        client.quit()
    return smtp_user, lmtp_user


def without_trace(data):
    """Without the Return-Path and Received fields that the server put on top."""
    m = re.match(rb"Return-Path: <[^\r\n]*>\r\nReceived: [^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", data)
    assert m, data[:300]
    return data[m.end():]


def imap_fetch(client, number, items):
    """One FETCH; the literals and the text between them."""
    ok, data = client.fetch(str(number), items)
    assert ok == "OK", data
    return data


def imap_body(client, number, section):
    """BODY.PEEK[section]; imaplib gives a literal as a tuple, an empty string within the line. NIL: a multipart whose boundary never
    comes has no part 1, though BODYSTRUCTURE must show one (RFC 3501 9: body-type-mpart); it is shown empty."""
    data = imap_fetch(client, number, f"(BODY.PEEK[{section}])")[0]
    if isinstance(data, tuple):
        return data[1]
    assert data.endswith((b'"")', b"NIL)")), data
    return b""


@pytest.mark.parametrize("way", [0, 1], ids=["smtp", "lmtp"])
def test_imap_gives_back_what_came(server, filled, sample, way):
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"))
    client.login(filled[way], PASSWORD)
    client.enable("UTF8=ACCEPT")  # without surrogates
    ok, count = client.select("INBOX", readonly=True)
    assert int(count[0]) == len(sample)
    for i, (name, sent) in enumerate(sample, 1):
        data = imap_fetch(client, i, "(RFC822.SIZE BODY.PEEK[])")
        got = data[0][1]
        assert without_trace(got) == sent, name
        assert int(re.search(rb"RFC822.SIZE (\d+)", data[0][0] + data[1])[1]) == len(got), name
    client.logout()


@pytest.mark.parametrize("way", [0, 1], ids=["smtp", "lmtp"])
def test_pop3_gives_back_what_came(server, filled, sample, way):
    client = poplib.POP3("127.0.0.1", server.port("pop3"))
    client.user(filled[way])
    client.pass_(PASSWORD)
    assert client.stat()[0] == len(sample)
    for i, (name, sent) in enumerate(sample, 1):
        _, lines, octets = client.retr(i)
        assert without_trace(b"".join(line + b"\r\n" for line in lines)) == sent, name
    client.quit()


# ---- BODYSTRUCTURE

def parse(data):
    """An IMAP parenthesized list, literals resolved, as nested lists of bytes and None."""
    token = re.compile(rb'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|\{(\d+)\}\r\n|([^\s()"{]+))', re.S)
    stack, at = [[]], 0
    while at < len(data):
        m = token.match(data, at)
        if not m:
            break
        at = m.end()
        if m[1]:
            stack.append([])
        elif m[2]:
            done = stack.pop()
            stack[-1].append(done)
        elif m[3] is not None:
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", m[3]))
        elif m[4]:
            n = int(m[4])
            stack[-1].append(data[at:at + n])
            at += n
        else:
            stack[-1].append(None if m[5] == b"NIL" else m[5])
    assert len(stack) == 1
    return stack[0]


def leaves(structure, prefix=""):
    """(section, size, lines) of every part that is not a multipart, messages inside included."""
    if isinstance(structure[0], list):
        for i, part in enumerate(itertools.takewhile(lambda p: isinstance(p, list), structure), 1):
            yield from leaves(part, f"{prefix}{i}.")
        return
    section = prefix.rstrip(".") or "1"
    kind = structure[0].lower(), structure[1].lower()
    lines = structure[7] if kind[0] == b"text" else structure[9] if kind == (b"message", b"rfc822") and len(structure) > 9 else None
    yield section, int(structure[6]), int(lines) if lines else None
    if kind == (b"message", b"rfc822") and isinstance(structure[8], list):
        inner = structure[8]
        yield from leaves(inner, f"{section}.") if isinstance(inner[0], list) else leaves(inner, f"{section}.1.")


def test_bodystructure_adds_up(server, filled, sample):
    client = imaplib.IMAP4("127.0.0.1", server.port("imap"))
    client.login(filled[0], PASSWORD)
    client.enable("UTF8=ACCEPT")  # without surrogates
    client.select("INBOX", readonly=True)
    checked = multi = 0
    for i, (name, sent) in enumerate(sample, 1):
        data = imap_fetch(client, i, "(BODYSTRUCTURE)")
        raw = b"".join(part[0] + b"\r\n" + part[1] if isinstance(part, tuple) else part for part in data)
        structure = parse(raw[raw.index(b"(BODYSTRUCTURE"):])[0][1]
        parts = list(leaves(structure))
        assert parts, name
        multi += len(parts) > 1
        whole = imap_body(client, i, "TEXT")
        at = 0
        for section, size, lines in parts:
            body = imap_body(client, i, section)
            assert len(body) == size, (name, section)
            if lines is not None:
                assert abs(body.count(b"\n") - lines) <= (not body.endswith(b"\n")), (name, section)
            found = whole.find(body, at)
            assert found >= 0, (name, section)
            at = found  # a message inside begins again at its own start
            checked += 1
        if len(parts) == 1 and not isinstance(structure[0], list):
            assert len(whole) == parts[0][1], name
    assert checked >= len(sample) and multi > 0
    client.logout()
