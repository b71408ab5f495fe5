# SPDX-License-Identifier: Apache-2.0
"""What two servers answer about the same mailbox, and every difference by its class."""
import collections
import datetime
import re

import explain
from wire import fetched, parse

BATCH = 200


class Differences:
    """Counts of each class; of what has none the first few are kept."""

    def __init__(self):
        self.explained = collections.Counter()
        self.unexplained = []
        self.compared = collections.Counter()

    def compare(self, what, where, theirs, ours, context):
        self.compared[what] += 1
        if theirs == ours:
            return
        reasons = explain.why(what, theirs, ours, context)
        if reasons:
            for reason in reasons:
                self.explained[reason, what] += 1
        else:
            self.unexplained.append((what, where, theirs, ours))

    def report(self):
        lines = [f"{what}: {n} compared" for what, n in sorted(self.compared.items())]
        for reason in sorted({reason for reason, _ in self.explained}):
            counts = {what: n for (r, what), n in sorted(self.explained.items()) if r == reason}
            lines.append(f"{sum(counts.values())} × {reason}: {explain.REASONS[reason]}\n    " + ", ".join(f"{what}: {n}" for what, n in counts.items()))
        for what, where, theirs, ours in self.unexplained[:40]:
            lines.append(f"UNEXPLAINED {what} {where}\n  Dovecot:   {short(theirs)}\n  Posthouse: {short(ours)}")
        lines.append(f"{len(self.unexplained)} unexplained")
        return "\n".join(lines)


def short(value):
    text = repr(value)
    return text if len(text) < 1500 else text[:1500] + " …"


# ---- filling

def fill(client, mailbox, messages):
    """APPEND of all, each with a date of its own and some with flags."""
    client.ok(b"CREATE " + mailbox)

    def commands():
        for i, (_, data) in enumerate(messages):
            flags = b" ".join(f for n, f in ((3, b"\\Seen"), (5, b"\\Flagged"), (7, b"\\Answered"), (11, b"\\Draft"), (13, b"\\Deleted"), (4, b"$Work"), (9, b"other")) if i % n == 0)
            yield b"APPEND %s (%s) %s {%d+}\r\n" % (mailbox, flags, date_of(i), len(data)) + data

    for i, (status, words, _) in enumerate(client.many(commands())):
        assert status == "OK", (messages[i][0], words)
    client.ok(b"SELECT " + mailbox)


def date_of(i):
    """An INTERNALDATE: days apart, with zones."""
    day = datetime.datetime(2001, 1, 1, 12, 30, 5) + datetime.timedelta(hours=(i * 7919) % 17000)
    return day.strftime(f'"%d-%b-%Y %H:%M:%S {["+0000", "-0800", "+0530"][i % 3]}"').encode()


# ---- FETCH

WHOLE = [b"ENVELOPE", b"BODY", b"BODYSTRUCTURE", b"RFC822.SIZE", b"INTERNALDATE", b"FLAGS", b"BODY[]", b"BODY[HEADER]", b"BODY[TEXT]", b"BODY[1]", b"BODY[]<10.50>", b"BODY[TEXT]<0.100>", b"BODY[TEXT]<1000000.5>",
         b"BODY[HEADER]<5.7>", b"BODY[HEADER.FIELDS (Subject FROM x-none)]", b"BODY[HEADER.FIELDS.NOT (Received subject To)]", b"BODY[HEADER.FIELDS (Content-Type)]<3.20>", b"BODY[2.1]", b"BODY[1.MIME]", b"BODY[1.HEADER]",
         b"BODY[1.1]", b"BODY[2.MIME]", b"BODY[99]", b"BODY[1.TEXT]"]


def asked(label):
    return label.replace(b"BODY[", b"BODY.PEEK[")


def label_of(label):
    """BODY[...]<10.50> is answered as BODY[...]<10>."""
    return re.sub(rb"<(\d+)\.\d+>$", rb"<\1>", label).upper()


def sections(structure, prefix=b""):
    """Every section number of a BODYSTRUCTURE, with whether it is a message."""
    if isinstance(structure[0], list):
        for i, part in enumerate(structure):
            if not isinstance(part, list):
                break
            number = prefix + b"%d" % (i + 1)
            yield number, is_message(part)
            if isinstance(part[0], list):
                yield from sections(part, number + b".")
            elif is_message(part):
                yield from sections_inside(part, number)
    elif not prefix and is_message(structure):
        yield from sections_inside(structure, b"1")


def is_message(part):
    return not isinstance(part[0], list) and part[0] and part[0].lower() == b"message" and (part[1] or b"").lower() == b"rfc822" and len(part) > 8 and isinstance(part[8], list)


def sections_inside(part, number):
    inner = part[8]
    if isinstance(inner[0], list):
        yield from sections(inner, number + b".")
    else:
        yield number + b".1", is_message(inner)
        if is_message(inner):
            yield from sections_inside(inner, number + b".1")


def normal_date(text):
    return datetime.datetime.strptime(text.decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()


def compare_fetch(d, theirs, ours, messages):
    for start in range(1, len(messages) + 1, BATCH):
        numbers = range(start, min(start + BATCH, len(messages) + 1))
        command = b"FETCH %d:%d (%s)" % (numbers[0], numbers[-1], b" ".join(asked(w) for w in WHOLE))
        a, b = fetched(theirs.ok(command)), fetched(ours.ok(command))
        wanted = []
        for n in numbers:
            name, data = messages[n - 1]
            context = {"data": data, "theirs": a[n], "ours": b[n]}
            for label in WHOLE:
                x, y = a[n].get(label_of(label), "missing"), b[n].get(label_of(label), "missing")
                if label == b"INTERNALDATE":
                    x, y = normal_date(x), normal_date(y)
                if label == b"FLAGS":
                    x, y = sorted(f.lower() for f in x if f != b"\\Recent"), sorted(f.lower() for f in y if f != b"\\Recent")
                d.compare(label.decode(), name, x, y, context)
            found = dict(sections(a[n][b"BODYSTRUCTURE"])) | dict(sections(b[n][b"BODYSTRUCTURE"]))
            for number, message in list(found.items())[:60]:
                labels = [b"BODY[%s]" % number, b"BODY[%s.MIME]" % number]
                if message:
                    labels += [b"BODY[%s.HEADER]" % number, b"BODY[%s.TEXT]" % number, b"BODY[%s.HEADER.FIELDS (Subject X-y)]" % number]
                wanted.append((n, number, labels))
        commands = [b"FETCH %d (%s)" % (n, b" ".join(asked(l) for l in labels)) for n, _, labels in wanted]
        # Dovecot answers several FETCHes at once: all answers are taken together
        xs, ys = (fetched(u for _, _, untagged in c.many(commands) for u in untagged) for c in (theirs, ours))
        for n, number, labels in wanted:
            context = {"data": messages[n - 1][1], "theirs": a[n], "ours": b[n], "section": number}
            for label in labels:
                kind = re.sub(r"[\d.]*\d", "n", label.decode())
                d.compare(kind, (messages[n - 1][0], label), xs.get(n, {}).get(label_of(label), "missing"), ys.get(n, {}).get(label_of(label), "missing"), context)


# ---- SEARCH, SORT, THREAD

def numbers_of(untagged, word):
    out = []
    for u in untagged:
        if u.startswith(b"* " + word):
            out += [int(n) for n in u[len(word) + 2:].split() if n.isdigit()]
    return out


def compare_search(d, theirs, ours, messages, queries):
    for charset, criteria in queries:
        command = b"SEARCH CHARSET " + charset + b" " + criteria
        x, y = theirs.do(command), ours.do(command)
        a, b = (set(numbers_of(r[2], b"SEARCH")) if r[0] == "OK" else r[0] for r in (x, y))
        context = {"messages": messages, "charset": charset, "criteria": criteria}
        d.compare("SEARCH", command, a, b, context)


SORTS = [b"ARRIVAL", b"CC", b"DATE", b"FROM", b"SIZE", b"SUBJECT", b"TO", b"DISPLAYFROM", b"DISPLAYTO"]


def compare_sort(d, theirs, ours, messages):
    for keys in [*SORTS, *(b"REVERSE " + s for s in SORTS), b"SUBJECT REVERSE DATE", b"FROM SUBJECT", b"REVERSE SIZE ARRIVAL"]:
        command = b"SORT (" + keys + b") UTF-8 ALL"
        a, b = (numbers_of(c.ok(command), b"SORT") for c in (theirs, ours))
        d.compare("SORT", command, a, b, {"messages": messages, "keys": keys})


def compare_thread(d, theirs, ours, messages):
    for algorithm in (b"ORDEREDSUBJECT", b"REFERENCES", b"REFS"):
        command = b"THREAD " + algorithm + b" UTF-8 ALL"
        a, b = (threads_of(c.ok(command)) for c in (theirs, ours))
        d.compare("THREAD", command, a, b, {"messages": messages, "algorithm": algorithm})


def threads_of(untagged):
    for u in untagged:
        if u.startswith(b"* THREAD"):
            return parse(u, 8)
    return []
