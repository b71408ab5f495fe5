# SPDX-License-Identifier: Apache-2.0
"""Malformed messages, the same ones for the same seed: templates of odd MIME, real messages cut and crossed. Lines end with CRLF and no byte is NUL: APPEND allows nothing else to be compared."""
import random
import re

FIELDS = [
    "From: ann@example.net", "From: Ann Lee <ann@example.net>, bob", "From: <>", "From: a@b@c", "From: \"quoted \\\" name\" <q@example.org> (comment)", "From: undisclosed:;",
    "From: group: a@b.c, d@e.f; , x@y.z", "From: @route,@two:user@host.example", "From: name <unclosed@example.org", "From: (only a comment)", "From: =?utf-8?q?J=C3=BCrgen?= <j@example.net>",
    "From:", "From: ,,, a@b ,", "From: a . b @ c . d", "From: \"\" <x@y>", "From: <a@b> trailing", "From: a@[127.0.0.1]", "From: \xe4\xf6 <u@x.y>", "From: J\u00fcrgen <j@x.y>",
    "To: list:;", "To: one@a.b,two@c.d", "To: \"a, b\" <c@d.e>", "To: <<a@b>>", "To: a b c <d@e>", "To: a@b; c@d", "Cc: x", "Cc: (c) a (d) @ (e) b (f)", "Bcc: hidden@x.y", "Sender: s@x.y", "Sender:",
    "Reply-To: r@x.y", "Reply-To: <>", "Subject: plain", "Subject:", "Subject: =?utf-8?b?R3LDvMOfZQ==?= =?iso-8859-1?q?=E4?=", "Subject: folded\r\n\tline", "Subject: folded\r\n  \r\n more",
    "Subject: re: Fwd: [list] Re[2]: topic (fwd)", "Subject: tab\tinside", "Subject: \"quoted\\\"", "Subject : space before the colon", "Date: Mon, 7 Feb 1994 21:52:25 -0800", "Date: 7 Feb 94 21:52 PST",
    "Date: nonsense", "Date: Mon,  7   Feb 1994 21:52:25 (comment) +0000", "Date: 32 Feb 2001 25:61:61 +9999", "Message-ID: <one@x.y>", "Message-ID: no brackets", "Message-ID: <a@b> <c@d>",
    "In-Reply-To: <one@x.y>", "In-Reply-To: your message of Monday", "References: <one@x.y>\r\n <two@x.y>", "X-Long: " + "word " * 300, "no colon at all", ": empty name", "X-Empty:",
]
TYPES = [
    "text/plain", "text/plain; charset=utf-8", "text/plain; charset=\"iso-8859-1\"; format=flowed", "text/html; charset=us-ascii", "TEXT/PLAIN; CHARSET=US-ASCII", "text", "text/", "/plain", "text/plain;", "text/plain; charset",
    "text/plain; charset=", "text/plain; =x", "text/plain; name=\"a;b\"; charset=utf-8", "text/plain; name*0=\"a\"; name*1=\"b\"", "text/plain; name*=utf-8''%e4%bd%a0", "text/plain; name*0*=utf-8''a%20; name*1=b",
    "text/plain (comment); (c) charset=(x)utf-8", "text / plain ; charset = utf-8", "application/octet-stream; name=file.bin", "image/gif; name=\"pic\\\"ture.gif\"", "message/rfc822", "message/delivery-status",
    "message/partial; id=x; number=1", "multipart/mixed", "multipart/mixed; boundary=", "multipart/mixed; boundary=\"\"", "multipart/digest; boundary=d1", "text/plain; a=1; a=2; A=3", "text/plain; name==?utf-8?q?x?=",
    "text/plain; charset=utf-8 garbage; x=y", "text/plain, text/html", "x-odd/type; q=\"unclosed", "multipart/alternative; boundary=\"b with space\"", "multipart/related; boundary=b1; type=\"text/html\"", "text/plain; name=a b c",
    "text/plain;;; charset=utf-8", "text/plain; charset=\"utf-8", "multipart/mixed; boundary=b2 ; x", "multipart/mixed; boundary=\"b3\\\"q\"", "application/x; size=12; n=@",
]
OTHERS = [
    "Content-Transfer-Encoding: 7bit", "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: QUOTED-PRINTABLE", "Content-Transfer-Encoding: x-unknown", "Content-Transfer-Encoding:", "Content-Transfer-Encoding: 8bit (really)",
    "Content-Transfer-Encoding: base64;", "Content-Disposition: inline", "Content-Disposition: attachment; filename=a.txt", "Content-Disposition: attachment; filename=\"a b.txt\"; size=1", "Content-Disposition:",
    "Content-Disposition: attachment; filename*=utf-8''%41", "Content-Disposition: ; filename=x", "Content-Disposition: attachment filename=x", "Content-Language: en, de", "Content-Language: (c) en", "Content-Language:",
    "Content-Location: http://x.y/\r\n z", "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==", "Content-ID: <cid@x>", "Content-ID:", "Content-Description: some text", "Content-Description: =?utf-8?q?x?=", "MIME-Version: 1.0", "MIME-Version: 2.0",
]
WORDS = "alpha beta gamma delta naïve Grüße STRASSE straße mail server 日本 thread folder budget report meeting quick brown fox".split()
ENDS = ["\r\n", "\r\n\r\n", "", " ", "\t\r\n"]


def text(rng):
    return "".join(" ".join(rng.choice(WORDS) for _ in range(rng.randint(0, 9))) + "\r\n" for _ in range(rng.randint(0, 5)))


def entity(rng, depth=0):
    """Header and body of a part."""
    kind = rng.choice(TYPES)
    head = []
    body = text(rng)
    if depth < 4 and rng.random() < .45:
        boundary = rng.choice(["b1", "out", "in", "x" * 70, "b.1", "=_a?b", "out-in"]) + (str(depth) if rng.random() < .7 else "")
        kind = f"multipart/{rng.choice(['mixed', 'alternative', 'digest', 'x'])}; boundary={rng.choice(['%s', chr(34) + '%s' + chr(34)]) % boundary}"
        body = text(rng) if rng.random() < .4 else ""
        for _ in range(rng.randint(0, 4)):
            body += f"--{boundary}{rng.choice(['', '', '', '', '', '', ' ', chr(9), 'x'])}\r\n" + entity(rng, depth + 1)
            body += rng.choice(["\r\n", "\r\n", "\r\n", "\r\n", "\r\n", ""])
        body += rng.choice([f"--{boundary}--", f"--{boundary}--", f"--{boundary}--", f"--{boundary}-", "", f"--{boundary}"]) + rng.choice(ENDS)
        body += text(rng) if rng.random() < .3 else ""
    elif depth < 4 and rng.random() < .2:
        kind = "message/rfc822"
        body = fields(rng) + entity(rng, depth + 1)
    if rng.random() < .9:
        head.append(f"{rng.choice(['Content-Type', 'content-type', 'Content-Type '])}: {kind}")
    for other in rng.sample(OTHERS, rng.choice([0, 0, 1, 2, 3])):
        if rng.random() < .03 or not any(h.partition(":")[0] == other.partition(":")[0] for h in head):
            head.append(other)
    rng.shuffle(head)
    return "".join(h + "\r\n" for h in head) + (rng.choice([" \r\n", ""]) if rng.random() < .03 else "\r\n") + body


def fields(rng):
    """Some fields; one of a name that is there already now and then only."""
    chosen, names = [], set()
    for _ in range(rng.randint(0, 10)):
        field = rng.choice(FIELDS)
        name = field.partition(":")[0].strip().lower()
        if name not in names or rng.random() < .03:
            chosen.append(field + "\r\n")
            names.add(name)
    return "".join(chosen)


def crossed(rng, real):
    """A real message with lines taken out, doubled, moved or bent."""
    lines = rng.choice(real)[:20000].split(b"\r\n")
    for _ in range(rng.randint(1, 6)):
        i, what = rng.randrange(len(lines)), rng.random()
        if what < .25:
            del lines[i]
        elif what < .4:
            lines.insert(i, lines[rng.randrange(len(lines))])
        elif what < .6:
            bounds = [n for n, l in enumerate(lines) if l.startswith(b"--") or b"oundary" in l]
            if bounds:
                i = rng.choice(bounds)
                lines[i] = rng.choice([lines[i][:-1], lines[i] + b" ", lines[i] + b"--", b"-" + lines[i], lines[i].upper()])
        elif what < .8 and lines[i]:
            at = rng.randrange(len(lines[i]))
            lines[i] = lines[i][:at] + rng.choice([b'"', b"(", b"\\", b"<", b";", b"=", b"\xff", b"\t", b":", b",", b"%", b"*"]) + lines[i][at + rng.randint(0, 1):]
        elif what < .9:
            lines = lines[:i + 1]
        else:
            lines.insert(i, rng.choice(FIELDS + OTHERS).encode())
        lines = lines or [b""]
    return b"\r\n".join(lines)


def messages(seed, count, real):
    """(name, bytes)"""
    rng = random.Random(seed)
    for i in range(count):
        data = crossed(rng, real) if real and i % 3 == 2 else (fields(rng) + entity(rng)).encode("utf-8" if i % 2 else "latin-1", "replace")
        data = re.sub(rb"\r+\n|\r+$", b"\r\n", data).replace(b"\0", b"?")
        yield f"malformed {seed}.{i}", data or b"\r\n"
