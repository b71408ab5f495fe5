#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Lists source files for meson.build by their names: library, tests, fuzzers or messages. Paths are relative to the top."""
import pathlib
import sys

top = pathlib.Path(__file__).resolve().parent.parent
kind = sys.argv[1]


def wanted(path):
    name = path.name
    if kind == "messages":
        return name.endswith(".msg")
    if not name.endswith(".c") or path == top / "src/role/main.c":
        return False
    if kind == "tests":
        return name.endswith("_test.c")
    if kind == "fuzzers":
        return name.endswith("_fuzz.c")
    return not name.endswith(("_test.c", "_fuzz.c"))


for path in sorted((top / "src").rglob("*")):
    if path.is_file() and wanted(path):
        print(path.relative_to(top))
