"""A fault that plant.py plants."""

from typing import NamedTuple


class Fault(NamedTuple):
    file: str  # from the root of the tree
    text: str  # occurs once in it: an expression, or statements, which end with a semicolon; [[…]] around a part of it
    fault: str  # in the place of that part, or of all
    what: str
