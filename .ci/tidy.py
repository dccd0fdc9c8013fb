#!/usr/bin/env python3
"""clang-tidy on files of a build, but for those that it has found clean before and that have not changed since.

    .ci/tidy.py [--all] [--since DATE] BUILD_DIR FILE ...
        --all           whatever was found before
        --since DATE    only files of .ci/changed.py; and the path-sensitive checks, which take four fifths of the
                        time, only on files that commits since DATE have changed, themselves or their own header

What clang-tidy finds in a file depends on its version, .clang-tidy, the compile command, and the bytes of the file and
of all that it includes. The hash of these is kept for each clean file, in ~/.cache/concord/tidy (XDG_CACHE_HOME, if
set); so a change of a header brings back every file that sees it, and nothing is lost. Without the folder every file is
analysed. Exit code 1 for a finding. Standard library only.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import changed

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "concord" / "tidy"
OPTIONS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option"]
NO_ANALYZER = ["--checks=-clang-analyzer-*"]
UNKNOWN_TO_CLANG = {"-fno-allow-store-data-races"}  # options of GCC that are errors, not warnings


def output(command, folder):
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def compile_commands(build_dir):
    """{file: (folder, words of its command without the compiler's launcher)}."""
    entries = json.loads((build_dir / "compile_commands.json").read_text(encoding="utf-8"))
    commands = {}
    for entry in entries:
        words = shlex.split(entry["command"])
        commands[Path(entry["file"])] = (entry["directory"], words[1:] if words[0].endswith("ccache") else words)
    return commands


def included(folder, words):
    """The file of a compile command and all that it includes, by the compiler's word."""
    at = words.index("-o")
    rule = output([*words[:at], *words[at + 2:], "-M", "-MT", "it"], folder)
    return rule.replace("\\\n", " ").split()[1:]


def states(version, folder, words):
    """The hashes of everything that the findings depend on, with the analyzer and without; the same wherever the
    repository is."""
    digest = hashlib.sha256()
    for part in (version, (ROOT / ".clang-tidy").read_text(encoding="utf-8"), *OPTIONS, *words):
        digest.update(part.replace(str(ROOT), ".").encode() + b"\0")
    for name in included(folder, words):
        path = Path(folder) / name
        digest.update(str(path).replace(str(ROOT), ".").encode() + b"\0")
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    whole = digest.hexdigest()
    digest.update(NO_ANALYZER[0].encode())
    return [whole, digest.hexdigest()]


def check(file, build_dir, command, version, every, analyzed):
    """What clang-tidy finds in the file; None where it was known to be clean."""
    if command is None:
        return f"{file}: is not part of {build_dir}\n"
    known = [CACHE / hash_of_state for hash_of_state in states(version, *command)]
    suffices = known[:1] if analyzed else known
    if any(place.exists() for place in suffices) and not every:
        return None
    folder, words = command
    compiler = Path(words[0]).name
    words = [word for word in words if word not in UNKNOWN_TO_CLANG]
    target, is_cross, _ = compiler.rpartition("-linux-gnu-")  # a cross compiler's name begins with what it is for
    # Told of options of GCC for another processor, clang warns of floating-point exceptions.
    first = [f"--target={target}-linux-gnu", "-Wno-unsupported-floating-point-opt"] if is_cross else []
    some = [] if analyzed else NO_ANALYZER
    result = subprocess.run(["clang-tidy", *OPTIONS, *some, str(file), "--", *first, *words[1:]], cwd=folder, check=False,
                            text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        return result.stdout or f"{file}: clang-tidy: exit code {result.returncode}"
    CACHE.mkdir(parents=True, exist_ok=True)
    suffices[-1].touch()
    return ""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--all", action="store_true", help="also files that are known to be clean")
    parser.add_argument("--since", metavar="DATE", help="only files that changes since then concern")
    parser.add_argument("build_dir", type=Path)
    parser.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    commands = compile_commands(options.build_dir)
    version = output(["clang-tidy", "--version"], ROOT)
    files = options.files
    if options.since:
        new = changed.since(options.since)
        files = changed.concerned(files, new)
        own = {file.with_suffix("") for file in new}

    def check_one(name):
        file = name.resolve()
        analyzed = not options.since or file.with_suffix("") in own
        return check(file, options.build_dir, commands.get(file), version, options.all, analyzed)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(check_one, files))
    print("".join(text for text in found if text), end="")
    print(f"tidy: {len(found)} files, {found.count(None)} of them unchanged since they were found clean, "
          f"{sum(map(bool, found))} with findings")
    return 1 if any(found) else 0


if __name__ == "__main__":
    sys.exit(main())
