"""``python -m page``, and the program that ``concord-bench report`` starts: 2 for bad input, in one line."""

import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

try:
    from page import command, documents
except ModuleNotFoundError as error:
    requirements = pathlib.Path(__file__).resolve().parent / "requirements.txt"
    advice = f"python3 -m pip install -r {requirements}"
    print(f"concord-bench: report needs the Python package {error.name}: {advice}", file=sys.stderr)
    sys.exit(2)
try:
    command.run(sys.argv[1:])
except documents.BadInputError as error:
    print(f"concord-bench: {error}", file=sys.stderr)
    sys.exit(2)
