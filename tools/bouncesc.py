#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C tables of conf/bounces.txt. bouncesc.py bounces.txt bounce_table.c"""
import pathlib
import re
import sys

CLASSES = "no-user no-domain inactive full temporary policy blocked spam reputation content size auth loop relay".split()
KINDS = "daemon copy challenge delayed auto-reply failed".split()
PLACES = "from subject line text".split()
STATUS = re.compile(r"[245x]\.(x|[0-9]{1,3})\.(x|[0-9]{1,3})")
REPLY = re.compile(r"[245x][0-9x]{2}")
why, what = [], []


def name(before, word):
    return before + word.upper().replace("-", "_")


for number, line in enumerate(pathlib.Path(sys.argv[1]).read_text().splitlines(), 1):
    line = line.strip()
    if not line or line.startswith("#"):
        continue
    words = line.split(" ", 3)
    if words[0] == "is" and len(words) == 4 and words[1] in KINDS and words[2] in PLACES:
        pattern = words[3]
        what.append(f'{{ {name("BOUNCE_IS_", words[1])}, {name("BOUNCE_IN_", words[2])}, S_ROW("{pattern}") }}')
    else:
        words = line.split(" ", 2)
        pattern = words[2] if len(words) == 3 else ""
        code = words[1] if len(words) == 3 else ""
        if words[0] not in CLASSES or not pattern or not (code == "-" or STATUS.fullmatch(code) or REPLY.fullmatch(code)) or (code == "-" and pattern == "-"):
            sys.exit(f"{sys.argv[1]}:{number}: neither CLASS CODE PATTERN nor is KIND WHERE PATTERN: {line}")
        text = "" if pattern == "-" else pattern
        why.append(f'{{ {name("BOUNCE_", words[0])}, S_ROW("{"" if code == "-" else code}"), S_ROW("{text}") }}')
    if len(pattern) > 100 or not re.fullmatch(r"[ !#-\[\]-~]+", pattern):
        sys.exit(f"{sys.argv[1]}:{number}: a pattern is at most 100 printable characters, without quotes and backslashes: {line}")
out = "/* Made by tools/bouncesc.py from conf/bounces.txt: do not edit. */\n#include \"mail/bounce_table.h\"\n\n"
out += "const struct bounce_why bounce_whys[] = {\n" + "".join(f"\t{row},\n" for row in why) + f"}};\nconst size_t bounce_whys_count = {len(why)};\n\n"
out += "const struct bounce_what bounce_whats[] = {\n" + "".join(f"\t{row},\n" for row in what) + f"}};\nconst size_t bounce_whats_count = {len(what)};\n"
pathlib.Path(sys.argv[2]).write_text(out)
