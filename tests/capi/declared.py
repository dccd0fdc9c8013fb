#!/usr/bin/env python3
"""The C header declares what the shared library exports, and the tests in C call all of it.

    declared.py LIBRARY TESTS        the shared library, and the program of the tests in C

Fails, with a line for each finding, where
- a function is declared and not exported, or the reverse;
- a symbol of the C interface has no version;
- the tests do not call a function.
"""

import re
import subprocess
import sys
from pathlib import Path

INCLUDE = Path(__file__).parent.parent.parent / "common" / "include" / "concord"
HEADERS = [INCLUDE / "concord.h", *sorted((INCLUDE / "c").glob("*.h"))]


def declared(text):
    """The functions that a header declares."""
    code = re.sub(r"//.*", "", text)
    return set(re.findall(r"\bCONCORD_C_API\s[^;(]*?\b(concord_\w+)\s*\(", code))


def symbols(path, *options):
    """{name: version} of the dynamic symbols of a file that are of the C interface."""
    output = subprocess.run(["nm", "-D", *options, path], check=True, capture_output=True, text=True).stdout
    names = [line.split()[-1] for line in output.splitlines()]
    return {name: version for name, _, version in (n.partition("@") for n in names) if name.startswith("concord_")}


def main():
    library, tests = sys.argv[1:]
    text = "".join(header.read_text(encoding="utf-8") for header in HEADERS)
    names = declared(text)
    exported = symbols(library, "--defined-only")
    called = symbols(tests, "--undefined-only")
    findings = [f"{name}: declared and not exported" for name in sorted(names - set(exported))]
    findings += [f"{name}: exported and not declared" for name in sorted(set(exported) - names)]
    findings += [f"{name}: has no version" for name, version in sorted(exported.items())
                 if not re.fullmatch(r"@CONCORD_C_\d+\.\d+", version)]
    findings += [f"{name}: no test in C calls it" for name in sorted(names - set(called))]
    declarations = len(re.findall(r"^CONCORD_C_API\b", text, re.MULTILINE))
    if declarations != len(names):
        findings.append(f"{declarations} declarations, of which {len(names)} were understood")
    print("\n".join(findings) if findings else f"{len(names)} functions are declared, exported and called")
    return 1 if findings or len(names) < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
