# SPDX-License-Identifier: Apache-2.0
"""Rows of bench.py about SEARCH, SORT and THREAD: a mailbox of messages of 2.5 KiB made of words as frequent as in a language, answers to each other,
the same for all servers. What is searched for stands in none, few, some or all of them; every answer is the same on both sides."""
import bisect
import imaplib
import itertools
import json
import random
import re
import statistics
import subprocess
import time

MAILBOX = "Words"
AHEAD = 64  # appends under way
SYLLABLES = "ba be bi bo bu ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni no nu ra re ri ro ru sa se si so su ta te ti to tu der ing ion ent str an on er".split()
# name: command
STEPS = {
    "subject_few": "SEARCH SUBJECT kola",
    "subject_all": "SEARCH SUBJECT a",
    "from": "SEARCH FROM user77@",
    "body_none": "SEARCH BODY nothingofthekind",
    "body_few": "SEARCH BODY needle500x",
    "body_some": "SEARCH BODY kola",
    "body_most": "SEARCH BODY baon",
    "body_all": "SEARCH BODY e",
    "text_few": "SEARCH TEXT needle500x",
    "header": "SEARCH HEADER X-Tag t77x",
    "sort_date": "SORT (DATE) UTF-8 ALL",
    "sort_subject": "SORT (SUBJECT) UTF-8 ALL",
    "sort_from": "SORT (FROM) UTF-8 ALL",
    "thread": "THREAD REFERENCES UTF-8 ALL",
    "thread_subject": "THREAD ORDEREDSUBJECT UTF-8 ALL",
}
ORDERS = [name for name in STEPS if name.startswith(("sort", "thread"))]


class Words:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.words = ["".join(self.random.choice(SYLLABLES) for _ in range(self.random.randint(1, 4))) for _ in range(20000)]
        self.weights = list(itertools.accumulate(1 / (i + 1) for i in range(len(self.words))))

    def line(self, length):
        out, have = [], 0
        while have < length:
            out.append(self.words[bisect.bisect(self.weights, self.random.random() * self.weights[-1])])
            have += len(out[-1]) + 1
        return " ".join(out)

    def message(self, i):
        r, answers = self.random, i > 1 and self.random.random() < 0.6
        head = [f"From: User {r.randint(1, 500)} <user{i % 500}@example.net>", "To: bob@example.test", f"Subject: {'Re: ' if answers else ''}{self.line(40)}"]
        head += [f"Date: {1 + i % 28:02} Nov 2026 {i % 24:02}:{i % 60:02}:00 +0000", f"Message-ID: <m{i}@example.net>", f"X-Tag: t{i % 1000}x"]
        head += [f"References: <m{i - r.randint(1, min(i - 1, 50))}@example.net>"] if answers else []
        body = [self.line(70) for _ in range(34)] + ([f"needle{i % 1000}x"] if i % 10 == 0 else [])
        return "\r\n".join(head + [""] + body + [""]).encode()


def fill(server, user, password, count):
    words = Words(5)
    with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as c:
        c.login(user, password)
        c.create(MAILBOX)
        for first in range(1, count + 1, AHEAD):
            n = min(AHEAD, count + 1 - first)
            for i in range(first, first + n):
                m = words.message(i)
                c.send(b"x APPEND %s {%d+}\r\n%s\r\n" % (MAILBOX.encode(), len(m), m))
            while n:
                line = c.readline()
                if line.startswith(b"x NO") or line.startswith(b"x BAD") or not line:
                    raise SystemExit(f"{server.name}: {line!r}")
                n -= line.startswith(b"x OK")


def wait_for_texts(server, user):
    """Ours: until all texts are kept; how long it took."""
    begun, last = time.time(), -1
    while True:
        out = subprocess.run([server.program, "-c", server.dir / "posthouse.conf", "--json", "search", "status", user], capture_output=True, text=True, check=True)
        s = json.loads(out.stdout)
        # packs come after the texts: those of the last messages are never made
        if s["texts"] == s["messages"] and s["packed"] == last:
            return time.time() - begun
        last = s["packed"]
        time.sleep(3)


def rows(bench, table, servers, args):
    count = int(100000 * args.scale)
    sides = [(s, u) for s in servers for u in (("big",) if isinstance(s, bench.Posthouse) else ("maildir", "sdbox"))]
    got = {side: [] for side in sides}
    for server, user in sides:
        fill(server, f"{user}@example.test", bench.PASSWORD, count)
        if isinstance(server, bench.Posthouse):
            wait_for_texts(server, f"{user}@example.test")
    for _ in range(args.runs):
        answers = {}
        for side in sides:
            first = {}
            for name in ORDERS:  # each is the first command of a session
                first.update(bench.imap(*side, [f"=SELECT {MAILBOX}", f"{name}_first={STEPS[name]}"]))
            warm = bench.imap(*side, [f"=SELECT {MAILBOX}"] + [step for name, command in STEPS.items() for step in (f"={command}", f"{name}={command}")])
            got[side].append({**first, **warm})
            nothing = warm["body_none"][1]  # the reply of a server, without any message
            answers[side] = {k: v[1] - nothing for k, v in warm.items() if not k.startswith("thread")}  # how trees are written is left open
        if len({json.dumps(a, sort_keys=True) for a in answers.values()}) > 1:
            print(f"answers differ in length: { {f'{s.name} {u}': a for (s, u), a in answers.items()} }")

    def row(what, key):
        medians = {side: statistics.median(run[key][0] for run in runs) for side, runs in got.items()}
        peers = tuple(v for (s, _), v in medians.items() if not isinstance(s, bench.Posthouse))
        ours = next((v for (s, _), v in medians.items() if isinstance(s, bench.Posthouse)), None)
        table.add(what, {bench.PostfixDovecot.name: peers or None, bench.Posthouse.name: ours}, "ms", False)

    for name, command in STEPS.items():
        hits = re.sub(r"^(\w+)_(none|few|some|most|all)$", r", in \2 of them", name) if "_" in name and name.startswith(("subject", "body", "text")) else ""
        row(f"{command.replace(' UTF-8 ALL', '')} over {count:,}{hits}", name)
    for name in ORDERS:
        row(f"{STEPS[name].replace(' UTF-8 ALL', '')} over {count:,}, first", f"{name}_first")
