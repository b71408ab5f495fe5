#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks what the compiler does not: licence lines, opening paragraphs, which room includes which, that every RFC that is
cited is listed in rfc/index.txt, functions that are not used here, and how long functions and files are.

lint.py [--lengths]   prints one line for each fault and ends with 1 when there is any. --lengths: also the longest functions.
"""
import pathlib
import re
import statistics
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
FILE_LINES_MAX = 1000
FUNCTION_LINES_LONG = 65
LONG_PER_THOUSAND_MAX = 50

# A room includes itself and these. Roles see each other's message tables only.
BASE, MAIL, FRAME = {"base"}, {"base", "mail"}, {"base", "mail", "task", "ipc", "role"}
MAY_INCLUDE = {
    "base": BASE, "mail": MAIL, "task": BASE, "ipc": {"base", "task"}, "role": {"base", "task", "ipc", "cmd"},
    "session": FRAME, "auth": FRAME, "scan": FRAME, "resolver": FRAME, "relay": FRAME, "indexer": FRAME, "store": FRAME, "cmd": FRAME,
}
BELOW_MESSAGES = {"base", "mail", "task"}  # know no message between roles
# Numbers and flags that stand in messages; check --store works without a server; relay and SMTP write notices alike.
SHARED_HEADERS = {"store/rows.h", "scan/rows.h", "store/fsck.h", "relay/notice_mail.h", "relay/breaker_mail.h", "store/sent.h", "store/suppression.h"}
TESTS = ("_test.c", "_fuzz.c", "_testing.h", "bare_store.h")
TESTS_MAY_CALL = {"system"}

BANNED = "strcpy strcat sprintf vsprintf atoi atol gets strtok alloca strncpy strncat system popen longjmp rand srand tmpnam mktemp"
BANNED_CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED.split()) + r")\s*\(")
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
CITED = re.compile(r"\bRFC\s?(\d{3,5})\b")
SPDX = "SPDX-License-Identifier: Apache-2.0"
NEEDS_SPDX = {".c", ".h", ".py", ".sh", ".msg", ".ts", ".js", ".service", ".css", ".html"}
NEEDS_SPDX_NAMES = {"run", "test", "meson.build", "options.txt"}

faults = []


def fault(path, line, text):
    faults.append(f"{path.relative_to(TOP)}:{line}: {text}")


def tracked():
    names = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True, capture_output=True).stdout
    return [TOP / n for n in names.decode().split("\0") if n and (TOP / n).is_file()]


def without_comments(text):
    """Comments and literals become spaces; lines stay where they are."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), text)


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def check_licence(path, text):
    if (path.suffix in NEEDS_SPDX or path.name in NEEDS_SPDX_NAMES) and SPDX not in "\n".join(text.split("\n", 4)[:4]):
        fault(path, 1, f"the first lines have no '{SPDX}'")


def check_opening(path, text):
    lines = text.split("\n", 2)
    if not re.match(r"/\* " + re.escape(path.name) + r" - \S", lines[1] if len(lines) > 1 else ""):
        fault(path, 2, f"the second line does not open with '/* {path.name} - ' and what the file is for")


def check_includes(path, text):
    room = path.relative_to(TOP / "src").parts[0]
    test = path.name.endswith(TESTS)
    for m in INCLUDE.finditer(text):
        name, line = m[1], line_of(text, m.start())
        other = name.split("/")[0] if "/" in name else None
        if name.endswith("_msg.h") or name == "conf_table.h":
            if room in BELOW_MESSAGES or (room == "ipc" and not test):
                fault(path, line, f"{room} knows no messages between roles, but includes {name}")
        elif other is None:
            fault(path, line, f'"{name}" names no room: includes begin with one, such as "base/slice.h"')
        elif other != room and other not in MAY_INCLUDE.get(room, FRAME) and name not in SHARED_HEADERS and not test:
            fault(path, line, f"{room} may not include {name} (it may: {', '.join(sorted(MAY_INCLUDE.get(room, FRAME)))})")


def check_banned(path, code):
    if path.name == "check.h":
        return
    for m in BANNED_CALL.finditer(code):
        if path.name.endswith(TESTS) and m[1] in TESTS_MAY_CALL:
            continue
        fault(path, line_of(code, m.start()), f"{m[1]} is not used here (base/check.h says why)")


def rfc_listed():
    index = TOP / "rfc" / "index.txt"
    listed = set()
    for number, line in enumerate(index.read_text().splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        m = re.fullmatch(r"(\d{3,5}) +(yes|partial|no) +\S.*", line)
        if not m:
            fault(index, number, "not of the form: NUMBER yes|partial|no TITLE")
        elif m[1] in listed:
            fault(index, number, f"RFC {m[1]} is listed twice")
        else:
            listed.add(m[1])
    return listed


def check_cited(path, text, listed):
    for m in CITED.finditer(text):
        if m[1] not in listed:
            fault(path, line_of(text, m.start()), f"RFC {m[1]} is cited but not listed in rfc/index.txt")


def functions(path, code):
    """(lines, name, first line) of each: a body opens and closes in the first column."""
    lines, start = code.split("\n"), None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            head = next((lines[i] for i in range(start - 1, max(start - 8, -1), -1) if re.match(r"[A-Za-z_]\w*\(", lines[i])), "")
            yield number - start - 1, head.split("(")[0], start + 1
            start = None


def main():
    listed, lengths = rfc_listed(), []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        check_licence(path, text)
        if TOP / "src" not in path.parents:
            continue
        if path.suffix in (".c", ".h", ".msg"):
            check_cited(path, text, listed)
        if path.suffix not in (".c", ".h"):
            continue
        code = without_comments(text)
        check_opening(path, text)
        check_includes(path, text)
        check_banned(path, code)
        if text.count("\n") > FILE_LINES_MAX:
            fault(path, FILE_LINES_MAX, f"the file has more than {FILE_LINES_MAX} lines")
        lengths += [(n, f"{path.relative_to(TOP)}:{line}: {name}") for n, name, line in functions(path, code)]
    long = sorted((row for row in lengths if row[0] > FUNCTION_LINES_LONG), reverse=True)
    if len(long) * 1000 > len(lengths) * LONG_PER_THOUSAND_MAX:
        faults.append(f"{len(long)} of {len(lengths)} functions have more than {FUNCTION_LINES_LONG} lines")
    for line in faults:
        print(line)
    if "--lengths" in sys.argv:
        for n, where in long:
            print(f"{where} has {n} lines")
    median = statistics.median(n for n, _ in lengths)
    print(f"{len(lengths)} functions, median {median:.0f} lines, {len(long)} over {FUNCTION_LINES_LONG}; {len(faults)} faults")
    return 1 if faults else 0


sys.exit(main())
