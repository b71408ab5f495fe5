# SPDX-License-Identifier: Apache-2.0
"""Criteria for SEARCH, the same ones for the same seed, with words that are in the mailbox."""
import random
import re

FIELDS = ["FROM", "TO", "CC", "BCC", "SUBJECT"]
FLAGS = ["ANSWERED", "DELETED", "DRAFT", "FLAGGED", "SEEN", "UNANSWERED", "UNDELETED", "UNDRAFT", "UNFLAGGED", "UNSEEN", "ALL", "KEYWORD $Work", "KEYWORD OTHER", "UNKEYWORD $work", "KEYWORD nowhere"]
HEADERS = ["Message-ID", "Subject", "Received", "X-Mailer", "Content-Type", "List-Id", "References", "X-None", "In-Reply-To", "Date", "Return-Path"]
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
CHARSETS = ["UTF-8", "ISO-8859-1", "US-ASCII"]


class Words:
    def __init__(self, messages, rng):
        self.headers, self.bodies, self.special = [], [], ["Grüße", "straße", "STRASSE", "日本", "NAÏVE", "Jürgen"]
        for _, data in rng.sample(messages, min(len(messages), 400)):
            header, _, body = data.partition(b"\r\n\r\n")
            lines = re.findall(rb"(?im)^(?:subject|from|to|cc|message-id|received|x-mailer): *([ -~]{3,80})", header)
            self.headers += lines[:6]
            lines = [l for l in body[:5000].split(b"\r\n") if re.fullmatch(rb"[ -~]{6,100}", l)]
            self.bodies += rng.sample(lines, min(len(lines), 4))

    def pick(self, rng, where):
        if rng.random() < .08:
            return rng.choice(self.special)
        line = rng.choice(where).decode()
        words = line.split()
        if not words:
            return "nothing"
        start = rng.randrange(len(words))
        text = " ".join(words[start:start + rng.choice([1, 1, 1, 2, 3])])
        if rng.random() < .3 and len(text) > 4:
            a = rng.randrange(len(text) - 3)
            text = text[a:a + rng.randint(3, 12)].strip() or "x"
        return rng.choice([str, str.upper, str.lower, str])(text)


def quoted(text, charset):
    data = text.encode({"UTF-8": "utf-8", "ISO-8859-1": "latin-1", "US-ASCII": "ascii"}[charset])
    return b"{%d+}\r\n" % len(data) + data if any(c > 126 for c in data) else b'"' + data.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def date(rng):
    return f"{rng.randint(1, 28)}-{rng.choice(MONTHS)}-{rng.randint(2001, 2003)}".encode()


def key(rng, words, charset, count, depth=0):
    def text(where):
        while True:
            word = words.pick(rng, where)
            try:
                return quoted(word, charset)
            except UnicodeEncodeError:
                continue

    what = rng.random()
    if what < .25:
        return rng.choice(FIELDS).encode() + b" " + text(words.headers)
    if what < .4:
        return rng.choice([b"BODY", b"TEXT"]) + b" " + text(words.bodies)
    if what < .5:
        return b"HEADER " + rng.choice(HEADERS).encode() + b" " + (text(words.headers) if rng.random() < .8 else b'""')
    if what < .62:
        return rng.choice(FLAGS).encode()
    if what < .72:
        return rng.choice([b"BEFORE", b"ON", b"SINCE", b"SENTBEFORE", b"SENTON", b"SENTSINCE"]) + b" " + date(rng)
    if what < .78:
        return rng.choice([b"LARGER", b"SMALLER"]) + b" %d" % rng.choice([0, 500, 2000, 2999, 5000, 100000])
    if what < .86:
        a, b = rng.randint(1, count), rng.randint(1, count)
        return rng.choice([b"%d:%d" % (a, b), b"UID %d:%d" % (a, b), b"%d:*,1" % a, b"UID *:%d,%d" % (a, b), b"UID 4000000:*"])
    if depth > 3:
        return b"ALL"
    if what < .92:
        return b"NOT " + key(rng, words, charset, count, depth + 1)
    if what < .97:
        return b"OR " + key(rng, words, charset, count, depth + 1) + b" " + key(rng, words, charset, count, depth + 1)
    return b"(" + b" ".join(key(rng, words, charset, count, depth + 1) for _ in range(rng.randint(1, 3))) + b")"


def searches(seed, count, messages):
    """(charset, criteria) in bytes; each charset is told in the command."""
    rng = random.Random(seed)
    words = Words(messages, rng)
    for _ in range(count):
        charset = rng.choice(CHARSETS)
        yield charset.encode(), b" ".join(key(rng, words, charset, len(messages)) for _ in range(rng.choice([1, 1, 1, 2])))
