#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the C table of conf/answers.txt: one string for each row, read by answer_parse() when relay starts. answersc.py answers.txt answer_table.c"""
import pathlib
import re
import sys

ROW = re.compile(r"(suspend|slow|connections|recipient) (-|[0-9]+[smh]) [245][0-9x]{2} \S.*")
rows = []
for number, line in enumerate(pathlib.Path(sys.argv[1]).read_text().splitlines(), 1):
    line = line.strip()
    if not line or line.startswith("#"):
        continue
    if not ROW.fullmatch(line) or len(line) > 200:
        sys.exit(f"{sys.argv[1]}:{number}: not of the form ACTION TIME CODE PATTERN: {line}")
    rows.append(line.replace("\\", "\\\\").replace('"', '\\"'))
out = "/* Made by tools/answersc.py from conf/answers.txt: do not edit. */\n#include \"relay/answer.h\"\n\n"
out += "const char *const answer_rows[] = {\n" + "".join(f'\t"{row}",\n' for row in rows) + "};\n"
out += f"const size_t answer_rows_count = {len(rows)};\n"
pathlib.Path(sys.argv[2]).write_text(out)
