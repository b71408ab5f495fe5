#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes C, or the manual page, from conf/options.txt.  confc.py options.txt conf_table.h conf_table.c | confc.py --man options.txt"""
import pathlib
import re
import sys

C_TYPES = {"text": "const char *", "path": "const char *", "word": "const char *", "bool": "bool ", "number": "uint64_t ", "bytes": "uint64_t ", "time": "int64_t "}
UNITS = {"bytes": {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}, "time": {"": 1000, "ms": 1, "s": 1000, "m": 60000, "h": 3600000, "d": 86400000}, "number": {"": 1}}


class Option:
    def __init__(self, name, kind, is_list):
        self.name, self.kind, self.list = name, kind, is_list
        self.default, self.range, self.words, self.doc = "", None, [], []
        self.member = re.sub(r"[.-]", "_", name)


def quantity(text, kind):
    match = re.fullmatch(r"(\d+)([a-z]*)", text)
    if not match or match[2] not in UNITS[kind]:
        sys.exit(f"options: '{text}' is not a {kind}")
    return int(match[1]) * UNITS[kind][match[2]]


def parse(path):
    options = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        words = raw.split()
        if not words or raw.startswith("#"):
            continue
        if words[0] == "option" and not raw[0].isspace():
            if words[2] not in C_TYPES:
                sys.exit(f"{path}:{number}: unknown type {words[2]}")
            options.append(Option(words[1], words[2], words[3:] == ["list"]))
        elif words[0] == "default":
            options[-1].default = raw.split(None, 1)[1] if len(words) > 1 else ""
        elif words[0] == "range":
            options[-1].range = words[1], words[2]
        elif words[0] == "words":
            options[-1].words = words[1:]
        else:
            options[-1].doc.append(raw.strip())
    return options


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def header(options):
    out = "/* Made by tools/confc.py from conf/options.txt: do not edit. */\n#ifndef CONF_TABLE_H\n#define CONF_TABLE_H\n\n#include <stdbool.h>\n#include <stddef.h>\n#include <stdint.h>\n\nstruct conf_values {\n"
    for o in options:
        unit = {"time": " /* milliseconds */", "bytes": " /* bytes */"}.get(o.kind, "")
        out += f"\tconst char **{o.member};\n\tsize_t n{o.member};\n" if o.list else f"\t{C_TYPES[o.kind]}{o.member};{unit}\n"
    out += """};

enum conf_type { CONF_TEXT, CONF_PATH, CONF_WORD, CONF_BOOL, CONF_NUMBER, CONF_BYTES, CONF_TIME };
struct conf_option {
	const char *name;
	enum conf_type type;
	bool list;
	size_t offset, count_offset; /* in struct conf_values; count_offset for lists only */
	const char *standard;        /* the default, as it would be written in the file */
	uint64_t min, max;           /* of numbers, in the unit that is kept */
	const char *min_text, *max_text;
	const char *const *words;    /* what a word may be, ended by NULL */
	const char *doc;
};
extern const struct conf_option conf_options[];
extern const size_t conf_options_count;

#endif
"""
    return out


def table(options):
    out = "/* Made by tools/confc.py from conf/options.txt: do not edit. */\n#include \"conf_table.h\"\n\n"
    for o in options:
        if o.words:
            out += f"static const char *const {o.member}_words[] = {{ {', '.join(map(quote, o.words))}, NULL }};\n"
    out += "const struct conf_option conf_options[] = {\n"
    for o in options:
        low, high = (quantity(o.range[0], o.kind), quantity(o.range[1], o.kind)) if o.range else (0, 2**64 - 1)
        if o.kind in UNITS and o.default:
            quantity(o.default, o.kind)
        out += (f"\t{{ {quote(o.name)}, CONF_{o.kind.upper()}, {'true' if o.list else 'false'}, offsetof(struct conf_values, {o.member}), "
                f"{f'offsetof(struct conf_values, n{o.member})' if o.list else 0}, {quote(o.default)}, {low}u, {high}u, "
                f"{quote(o.range[0]) if o.range else 'NULL'}, {quote(o.range[1]) if o.range else 'NULL'}, "
                f"{o.member + '_words' if o.words else 'NULL'}, {quote(' '.join(o.doc))} }},\n")
    return out + "};\nconst size_t conf_options_count = sizeof conf_options / sizeof conf_options[0];\n"


def manual(options):
    out = '.\\" Made by tools/confc.py from conf/options.txt: do not edit.\n.TH POSTHOUSE.CONF 5\n.SH NAME\nposthouse.conf \\- configuration of the posthouse mail server\n.SH DESCRIPTION\n'
    out += "One option a line: \\fIname\\fR = \\fIvalue\\fR. A # begins a comment. Options marked (list) may be given several times. Relative paths begin in the folder of the file.\n.SH OPTIONS\n"
    for o in options:
        out += f".TP\n\\fB{o.name}\\fR ({o.kind}{', list' if o.list else ''})\n" + " ".join(o.doc).replace("\\", "\\\\") + "\n"
        if o.default:
            out += f"Default: {o.default}.\n"
        if o.words:
            out += f"Allowed: {', '.join(o.words)}.\n"
        if o.range:
            out += f"Allowed: {o.range[0]} to {o.range[1]}.\n"
    return out + ".SH SEE ALSO\n.BR posthouse (1)\n"


if sys.argv[1] == "--man":
    print(manual(parse(pathlib.Path(sys.argv[2]))), end="")
else:
    rows = parse(pathlib.Path(sys.argv[1]))
    pathlib.Path(sys.argv[2]).write_text(header(rows))
    pathlib.Path(sys.argv[3]).write_text(table(rows))
