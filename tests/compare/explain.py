# SPDX-License-Identifier: Apache-2.0
"""Why Dovecot's answer and ours may differ: each class with the section of the RFC that allows or demands it.

why() gives the classes of one difference, or none: then it is for us to mend, or to explain here. A class is given only where the bytes of the
message show its cause; what comes after a difference in structure (sections of parts that only one of the two sees) is counted as its consequence."""
import re

REASONS = {
    "no such part": "RFC 3501 6.4.5: a part that is not multipart has no parts; what is answered for a section that is not there is left open: NIL, \"\" and the part above are seen",
    "no text": "RFC 2046 5.1: a multipart whose boundary never comes has no part 1, though BODYSTRUCTURE must show one (RFC 3501 9, body-type-mpart); NIL or empty",
    "white space": "RFC 5322 2.2.3: unfolding takes out CRLF alone; Dovecot makes one space of a run of white space",
    "field twice": "RFC 5322 3.6: Date, Subject, Message-ID and In-Reply-To come once; of several we take the first, Dovecot the last",
    "8-bit header": "RFC 3501 4.3, 9051 4.3.1: what is not UTF-8 in a header is sent as it came (Dovecot) or read as ISO-8859-1 and sent in UTF-8 (we), so that a client of IMAP4rev2 gets valid strings",
    "obsolete address": "RFC 5322 4.4: white space and comments between the words of an address; Dovecot knows them in part only",
    "no message id": "RFC 5322 3.6.4, 5256 2.2: References with something between that is no message id; each reads out of it what it can",
    "no address": "RFC 5322 3.4: no address by the grammar; each reads out of it what it can",
    "case": "RFC 2045 5.1: types, encodings and charsets in any case; we send what the message says, Dovecot's cache keeps no case of \"text/plain; charset=us-ascii\" and \"7bit\"",
    "last line": "RFC 3501 7.4.2: lines of a text; the last one without its end counts (we) or not (Dovecot)",
    "blank header": "RFC 3501 6.4.5: the blank line is part of each header: of a part without fields, too (Dovecot: empty)",
    "no blank line": "RFC 3501 6.4.5: HEADER.FIELDS of a message without a body and without a blank line has none; Dovecot adds one (not so to HEADER.FIELDS.NOT)",
    "blank line before a boundary": "RFC 2046 5.1.1: the blank line between a header and a boundary: it ends the header (we), or is the line end that belongs to the boundary (Dovecot)",
    "lines that are no fields": "RFC 3501 6.4.5: HEADER.FIELDS.NOT are fields whose names are others; a line without a field name is none (Dovecot sends it)",
    "no type": "RFC 2045 4, 5.2: without a Content-Type the defaults of text/plain stand; Dovecot then leaves out a Content-Transfer-Encoding that is there",
    "line end before a boundary": "RFC 2046 5.1.1: the line end before a boundary belongs to the boundary, also behind the end of an inner multipart whose boundary begins with the outer one (Dovecot leaves it in the body)",
    "comments": "RFC 2045 5.1, 5322 3.2.2: comments and white space between the words of a structured field; Dovecot knows them in part only",
    "parameters": "RFC 2045 5.1, 2183 2: a Content-Type, Content-Disposition or other MIME field that the grammar does not allow; each reads out of it what it can",
    "type": "RFC 2045 5.2: a Content-Type that the grammar does not allow means text/plain; Dovecot sends empty words",
    "boundary at the end": "RFC 2046 5.1.1: a boundary that is the end of the message, without a line end: a part without bytes begins (we), or none (Dovecot)",
    "no boundary": "RFC 2046 5.1.1: a multipart without a usable boundary has no parts: it is text (we), an empty multipart (Dovecot)",
    "encoded message": "RFC 2046 5.2.1, 2045 6.4: message/rfc822 and multipart are not encoded: the first is sent as application/octet-stream by us, looked into as if it were plain by Dovecot",
    "MIME field twice": "RFC 2045 3: a MIME field comes once; of several we take the first",
    "broken header": "RFC 5322 2.2, 3.5: a header with lines that are no fields, lines of white space alone, or a boundary before its blank line; where it ends is not defined",
    "odd boundary": "RFC 2046 5.1.1: a line that begins with a boundary and goes on with something else, or boundaries of which one begins with another",
    "markup": "RFC 3501 6.4.4, 9051 6.4.4: BODY and TEXT look at the text; of HTML that is what a reader sees (we), or with its tags and styles (Dovecot)",
    "line ends": "RFC 9051 6.4.4 (flexible matching): words that a line end divides are found together (we)",
    "attachments": "RFC 9051 6.4.4 (flexible matching): which parts that are no plain text are looked into, and how text in unknown or wrong charsets is read",
    "no date": "RFC 5322 3.3, 5256 2.2: a Date that is none by the grammar; each makes out of it what it can, or takes INTERNALDATE",
    "address syntax": "RFC 3501 6.4.4: FROM, TO, CC and BCC look at the envelope structure's field, in which there are no brackets and quotes; Dovecot looks at the text of the field",
    "empty words": "RFC 5322 3.2.4, 5957 3: a name with an empty quoted string or white space at the ends of one: it counts as a word before a space (Dovecot) or not (we)",
    "structure": "the sections of a part whose structure is read in another way: consequence of a difference in BODYSTRUCTURE",
}


def deep(value, f):
    return [deep(v, f) for v in value] if isinstance(value, list) else f(value) if isinstance(value, bytes) else value


def spaces(b):
    return re.sub(rb"[ \t\r\n]+", b" ", b).strip()


def utf8(b):
    try:
        b.decode()
        return b
    except UnicodeDecodeError:
        return b.decode("latin-1").encode()


def header_of(data):
    m = re.search(rb"\r\n(?:[ \t]*\r\n)?(?=\r\n)|^(?=\r\n)", data)
    return re.split(rb"\r\n\r\n", b"\r\n" + data, maxsplit=1)[0] + b"\r\n"


def values_of(header, name):
    return re.findall(rb"(?im)^" + name + rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", header)


# ---- addresses by the grammar of RFC 5322 (3.4 and 4.4; comments are not nested)

# Repetitions are atomic groups: Python 3.11.2 (Debian 12) forgets where it was when a group with a possessive quantifier matched in part.

def many(text, least=b""):
    return rb"(?>(?:" + text + rb")" + (least or b"*") + rb")"


FWS = rb"[ \t\r\n]"
CFWS = many(FWS + rb"|\(" + many(rb"[^()\\]|\\.", b"+") + rb"\)|\(\)")
ATOM = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++"
WORD = CFWS + rb"(?:" + ATOM + rb'|"' + many(rb'[^"\\]|\\.') + rb'")' + CFWS
DOMAIN = rb"(?:" + CFWS + ATOM + CFWS + many(rb"\." + CFWS + ATOM + CFWS) + rb"|" + CFWS + rb"\[[^\[\]\\]*+\]" + CFWS + rb")"
ADDR = rb"(?:" + WORD + many(rb"\." + WORD) + rb"@" + DOMAIN + rb")"
ROUTE = rb"(?:" + many(rb"@" + DOMAIN + rb",?", b"+") + rb":)?"
PHRASE = WORD + many(WORD + rb"|\." + CFWS)
MAILBOX = rb"(?:" + ADDR + rb"|(?:" + PHRASE + rb")?" + CFWS + rb"<" + CFWS + ROUTE + ADDR + rb">" + CFWS + rb")"
LIST = many(CFWS + rb",") + CFWS + rb"(?:" + MAILBOX + many(rb",(?:" + CFWS + MAILBOX + rb")?" + CFWS) + rb")?"
GROUP = PHRASE + rb":" + LIST + rb";" + CFWS
ADDRESSES = re.compile(rb"(?:" + GROUP + rb"|" + MAILBOX + rb")" + many(rb",(?:" + GROUP + rb"|" + MAILBOX + rb"|" + CFWS + rb")"), re.S)
ONE = rb"\s*+(?:" + many(rb"[\w!#$%&'*+/=?^`{|}~-]++\s*+") + rb"<[\w!#$%&'*+/=?^`{|}~.-]++@[\w-]++" + many(rb"\.[\w-]++") + rb">|[\w!#$%&'*+/=?^`{|}~.-]++@[\w-]++" + many(rb"\.[\w-]++") + rb")\s*+"
PLAIN = re.compile(ONE + many(rb"," + ONE))

ENVELOPE = [b"date", b"subject", b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"in-reply-to", b"message-id"]


def why_envelope(theirs, ours, header, data):
    """header None: that of a message inside; its fields are looked for in the whole message."""
    found, inside = set(), header is None
    header = data if inside else header
    for i, name in enumerate(ENVELOPE):
        a, b = theirs[i], ours[i]
        if a == b:
            continue
        values = values_of(header, name)
        if 2 <= i <= 7:
            values += values_of(header, b"from") if i in (3, 4) else []
            a, b = deep(a, utf8), deep(b, utf8)
            if a == b:
                found.add("8-bit header")
                continue
            a, b = deep(a, spaces), deep(b, spaces)
            if a == b:
                found.add("white space")
                continue
            if any(len(v) > 3000 or not ADDRESSES.fullmatch(v) for v in values):
                found.add("no address")
            elif any(not PLAIN.fullmatch(v) for v in values):
                found.add("obsolete address")
            else:
                return None
        else:
            if len(values) > 1 and not inside:
                found.add("field twice")
                continue
            a, b = spaces(utf8(a or b"")), spaces(utf8(b or b""))
            if a != b:
                return {"field twice"} if len(values) > 1 else None
            found.add("white space" if spaces(theirs[i] or b"") == spaces(ours[i] or b"") else "8-bit header")
    return found


def shape(structure):
    """What decides which sections there are."""
    if isinstance(structure[0], list):
        return [shape(p) for p in structure if isinstance(p, list) and p and (isinstance(p[0], list) or len(p) > 6)]
    if is_message(structure):
        return [structure[0].lower(), structure[6], shape(structure[8])]
    return structure[6]


def is_message(part):
    return len(part) > 9 and isinstance(part[8], list) and isinstance(part[7], list) and (part[0] or b"").lower() == b"message"


# ---- MIME fields by the grammar of RFC 2045 5.1

TOKEN = rb"[^\s\x00-\x20()<>@,;:\\\"/\[\]?=\x7f-\xff]++"
VALUE = rb"(?:" + TOKEN + rb'|"(?:[^"\\\r]|\\.)*+")'
PARAMETERS = rb"(?:%s;%s" + TOKEN + rb"%s=%s" + VALUE + rb")*+%s"
STRICT = {  # without comments, and with them
    False: [re.compile(rb"(?:\s*" + TOKEN + rb"/" + TOKEN + rb"|\s*" + TOKEN + rb")" + PARAMETERS % (rb"\s*", rb"\s*", b"", b"", rb"\s*"), re.S)],
    True: [re.compile(CFWS + TOKEN + CFWS + rb"(?:/" + CFWS + TOKEN + rb")?" + PARAMETERS % ((CFWS,) * 5), re.S)],
}


def mime_fields(data, comments):
    """Are all Content-Type and Content-Disposition fields of a message by the grammar?"""
    for name, value in re.findall(rb"(?im)^content-(type|disposition|transfer-encoding|language)[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", data):
        value = value.rstrip(b"\r")
        if name.lower() == b"transfer-encoding":
            if not re.fullmatch((CFWS if comments else rb"\s*") + TOKEN + (CFWS if comments else rb"\s*"), value):
                return False
        elif name.lower() == b"language":
            word = CFWS + TOKEN + CFWS if comments else rb"\s*" + TOKEN + rb"\s*"
            if not re.fullmatch(word + rb"(?:," + word + rb")*+", value):
                return False
        elif not any(r.fullmatch(value) for r in STRICT[comments]) or (name.lower() == b"type" and b"/" not in value):
            return False
    return True


def mime_cause(data):
    return "parameters" if not mime_fields(data, True) else "comments" if not mime_fields(data, False) else None


def number(value):
    return int(value) if isinstance(value, bytes) and value.isdigit() else -1


class Structures:
    """Walks through two BODYSTRUCTUREs at once; .found are the classes, None among them when something has no cause."""

    def __init__(self, data, extended):
        self.data, self.found = data, set()

    def add(self, cause):
        self.found.add(cause)

    def words(self, a, b):
        a, b = (deep(v, bytes.lower) for v in (a, b))
        if a == b:
            self.add("case")
        elif deep(a, spaces) == deep(b, spaces) or [v or None for v in (deep(a, spaces), deep(b, spaces))] == [None, None]:
            self.add("white space")
        elif deep(a, utf8) == deep(b, utf8):
            self.add("8-bit header")
        elif re.search(rb"(?im)^(content-[a-z0-9-]+)[ \t]*:(?:.*\r\n)(?:[ \t].*\r\n|(?!--)[\w-]+[ \t]*:.*\r\n)*\1[ \t]*:", self.data):
            self.add("MIME field twice")
        else:
            self.add(mime_cause(self.data))

    def part(self, a, b):
        if a == b:
            return
        multi = isinstance(a[0], list), isinstance(b[0], list)
        children = [[p for p in v if isinstance(p, list) and p and (isinstance(p[0], list) or len(p) > 6)] if isinstance(v[0], list) else [] for v in (a, b)]
        if multi == (True, True) and len(children[0]) == len(children[1]):
            for x, y in zip(*children):
                self.part(x, y)
            n = len(children[0])
            for x, y in zip(a[n:], b[n:]):
                if x != y:
                    self.words(x, y)
        elif multi == (False, False) and is_message(a) == is_message(b):
            self.leaf(a, b)
        else:
            self.add(self.shape_cause())

    def leaf(self, a, b):
        for i, (x, y) in enumerate(zip(a, b)):
            if x == y:
                continue
            if i == 7 and is_message(a):
                self.found |= why_envelope(x, y, None, self.data) or {None}
            elif i == 8 and is_message(a):
                self.part(x, y)
            elif i == 6 or (i in (7, 9) and number(x) >= 0 and number(y) >= 0 and number(y) != number(x) + 1):
                self.add(self.shape_cause())
            elif i in (7, 9) and number(y) == number(x) + 1:
                self.add("last line")
            elif i in (0, 1) and (x or b"").lower() != (y or b"").lower():
                self.add("type" if not mime_fields(self.data, True) else None)
            elif i >= 3 and x in (None, b"7bit") and any(re.search(rb"(?im)^content-", h) and not re.search(rb"(?im)^content-type", h) for h in re.split(rb"\r\n(?:\r\n|--[^\n]*\n)", self.data)):
                self.add("no type")
            else:
                self.words(x, y)
        if len(a) != len(b):
            self.add(self.shape_cause())

    def shape_cause(self):
        data = self.data
        if re.search(rb"(?i)content-type[ \t]*:\s*message/", data) and re.search(rb"(?i)content-transfer-encoding[ \t]*:\s*(?!7bit|8bit|binary)", data):
            return "encoded message"
        boundaries = [(x or y).rstrip() for x, y in re.findall(rb"(?i)boundary\s*=\s*(?:\"([^\"\r]*)\"|([^\s;\"]*))", data)]
        if not all(boundaries) or len(boundaries) < len(re.findall(rb"(?i)content-type[ \t]*:\s*multipart", data)):
            return "no boundary"
        if any(x != y and y.startswith(x) for x in boundaries for y in boundaries) or any(re.search(rb"(?m)^--" + re.escape(x) + rb"(?!(?:--)?[ \t]*\r?$)", data) for x in boundaries) or len(set(boundaries)) < len(boundaries):
            return "odd boundary"
        if re.search(rb"(?m)^--[^\n]+\Z", data):
            return "boundary at the end"
        if broken_header(data):
            return "broken header"
        return mime_cause(data)


def broken_header(data):
    """Is there, in the message or a part of it, a header with a line that is no field?"""
    for block in re.split(rb"\r\n\r\n|(?:^|\r\n)--[^\r]*\r\n", data):
        lines = block.split(b"\r\n")
        if re.match(rb"[!-9;-~]+[ \t]*:", lines[0]) and any(not l.strip() or not re.match(rb"[!-9;-~]+[ \t]*:|[ \t]+\S", l) for l in lines):
            return True
        if lines[0][:1] in (b" ", b"\t", b":") or lines[0] == b"no colon at all":
            return True
    return bool(re.search(rb"\r\n[ \t]+\r\n", data))


def why(what, theirs, ours, context):
    if what == "SEARCH":
        return why_search(theirs, ours, context)
    if what == "SORT":
        return why_sort(theirs, ours, context)
    if what == "THREAD":
        return why_thread(theirs, ours, context)
    data = context["data"]
    header = header_of(data)
    if what == "ENVELOPE":
        return why_envelope(theirs, ours, header, data)
    if what in ("BODY", "BODYSTRUCTURE"):
        s = Structures(data, what == "BODYSTRUCTURE")
        s.part(theirs, ours)
        return None if None in s.found else s.found
    if what.startswith("BODY["):
        return why_section(what, theirs, ours, context)
    return None


def why_section(what, theirs, ours, context):
    data = context["data"]
    if ours in (None, "missing") and theirs == b"":
        return {"no such part"}
    a, b = (context[k][b"BODYSTRUCTURE"] for k in ("theirs", "ours"))
    if shape(a) != shape(b):
        return {"structure"}
    if ours is None and re.match(r"BODY\[[\d.]+", what) and theirs is not None:
        return {"no such part"}
    if what.endswith("MIME]") and theirs == b"" and ours == b"\r\n":
        return {"blank header"}
    if isinstance(theirs, bytes) and isinstance(ours, bytes):
        if theirs == ours + b"\r\n" and re.search(rb"(?:^|\n)--[^\n]*$", ours):
            return {"line end before a boundary"}
        if "FIELDS (" in what and theirs == ours + b"\r\n" and ("section" in context or not re.search(rb"(?:^|\n)\r\n", data)):
            return {"no blank line"}
        if ours == theirs + b"\r\n" and ("MIME" in what or "HEADER" in what):
            return {"blank line before a boundary"}
        if "FIELDS" in what and without_lines(theirs) == without_lines(ours):
            return {"lines that are no fields"}
    return None


def without_lines(header):
    """Without lines that are neither a field nor the continuation of one."""
    out, keeps = [], False
    for line in re.findall(rb"[^\n]*\n?", header):
        if line == b"\r\n":
            out.append(line)
        elif line[:1] in (b" ", b"\t"):
            out.append(line if keeps else b"")
        else:
            keeps = bool(re.match(rb"[!-9;-~]+[ \t]*:", line))
            out.append(line if keeps else b"")
    return b"".join(out)


# ---- SEARCH, SORT, THREAD

DATE = re.compile(CFWS + rb"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)" + CFWS + rb"," + CFWS + rb")?\d{1,2}" + CFWS + rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)" + CFWS + rb"(?:19\d\d|[2-9]\d{3}|\d\d)" + CFWS +
                  rb"([01]\d|2[0-3]):[0-5]\d(?::[0-6]\d)?" + CFWS + rb"(?:[+-]\d{4}|UT|GMT|[ECMP][SD]T)" + CFWS, re.I | re.S)


REFERENCES = re.compile(many(CFWS + rb"<[^<>\s\"]+>") + CFWS)


def odd_date(data):
    values = values_of(header_of(data), b"date")
    return len(values) != 1 or not DATE.fullmatch(values[0].rstrip(b"\r")) or spaces(values[0]).startswith(b"31 Feb")


def odd_references(data):
    return any(b"<" in v and not REFERENCES.fullmatch(v.rstrip(b"\r")) for v in values_of(header_of(data), b"references"))


def odd_address(data, name):
    return any(not ADDRESSES.fullmatch(v.rstrip(b"\r")) or len(v) > 3000 for v in values_of(header_of(data), name))


def why_search(theirs, ours, context):
    if isinstance(theirs, str) or isinstance(ours, str):
        return None
    criteria, found = context["criteria"], set()
    for n in theirs ^ ours:
        cause = why_found(context["messages"][n - 1][1], criteria)
        if not cause:
            return None
        found.add(cause)
    return found


def why_found(data, criteria):
    if re.search(rb"SENT(BEFORE|ON|SINCE)", criteria) and odd_date(data):
        return "no date"
    if re.search(rb'(?:FROM|TO|CC|BCC) "(?:[^"\\]|\\.)*(?:[<>(),;:]|\\")', criteria):
        return "address syntax"
    if any(name in criteria and odd_address(data, name) for name in (b"FROM", b"TO", b"CC", b"BCC")):
        return "no address"
    if re.search(rb"(?:^|[ (])(BODY|TEXT) ", criteria):
        text = re.findall(rb'(?:BODY|TEXT) (?:"((?:[^"\\]|\\.)*)"|\{\d+\+\}\r\n([^)]*))', criteria)
        if re.search(rb"(?i)text/html", data):
            return "markup"
        if any(b" " in (a or b) for a, b in text):
            return "line ends"
        if re.search(rb"(?i)content-type[ \t]*:\s*(?!text/plain)|charset|[\x80-\xff]", data):
            return "attachments"
    return None


def why_sort(theirs, ours, context):
    """Without the messages whose field is none by the grammar the order must be the same."""
    found, odd = set(), set()
    tests = {b"DATE": (b"date", "no date")} | {key: (name, "no address") for key, name in ((b"FROM", b"from"), (b"TO", b"to"), (b"CC", b"cc"))}
    for key, (name, cause) in tests.items():
        if key in context["keys"]:
            out = {n for n, (_, data) in enumerate(context["messages"], 1) if (odd_date(data) if name == b"date" else odd_address(data, name))}
            if b"DISPLAY" in context["keys"]:
                empty = {n for n, (_, data) in enumerate(context["messages"], 1) if any(q != q.strip() or not q for v in values_of(header_of(data), name) for q in re.findall(rb'"([^"]*)"', v))}
                odd |= empty
                found |= {"empty words"} if empty else set()
            odd |= out
            found |= {cause} if out else set()
    same = [n for n in theirs if n not in odd] == [n for n in ours if n not in odd]
    return found if same else None


def members(thread):
    return sum((members(t) for t in thread if isinstance(t, list)), [int(t) for t in thread if isinstance(t, bytes)])


def why_thread(theirs, ours, context):
    """Threads without a message of an odd date, or with References that are none, are the same and in the same order, and each thread has the same members."""
    odd = {n for n, (_, data) in enumerate(context["messages"], 1) if odd_date(data)}
    torn = {n for n, (_, data) in enumerate(context["messages"], 1) if odd_references(data)}
    if {frozenset(members(t)) for t in theirs} != {frozenset(members(t)) for t in ours}:
        return None
    def without(out):
        return [[t for t in threads if not out & set(members(t))] for threads in (theirs, ours)]

    a, b = without(odd)
    if a == b:
        return {"no date"}
    a, b = without(odd | torn)
    return {"no date", "no message id"} if a == b else None
