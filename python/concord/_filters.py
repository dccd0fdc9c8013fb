"""Filters over metadata: what a dictionary means as a condition.

``{"year": 2020}`` means that the field equals the value. ``{"year": {"$gte": 2000, "$lt": 2010}}`` applies
operators. Several fields must all match; ``$and``, ``$or`` and ``$not`` combine whole filters. A field that
is missing, or of a type that cannot be compared, matches only ``$ne``, ``$nin`` and ``{"$exists": False}``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from concord.errors import InvalidParameterError

Condition = Callable[[Mapping[str, Any]], bool]
"""Whether metadata match."""

MISSING = object()


def _one_of(value: Any, among: Any) -> bool:
    return any(value == one for one in among)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
    "$in": _one_of,
}
NEGATIONS = {"$ne": "$eq", "$nin": "$in"}
COMBINATIONS = ("$and", "$or", "$not")


def condition(filter: Mapping[str, Any]) -> Condition:
    """The condition that a dictionary means. Throws InvalidParameterError for unknown operators."""
    if not isinstance(filter, Mapping):
        raise InvalidParameterError(f"a filter is a dictionary, not {type(filter).__name__}")
    parts = [_part(name, wanted) for name, wanted in filter.items()]
    return lambda metadata: all(part(metadata) for part in parts)


def _part(name: str, wanted: Any) -> Condition:
    if name == "$not":
        inner = condition(wanted)
        return lambda metadata: not inner(metadata)
    if name in COMBINATIONS:
        if not isinstance(wanted, Sequence) or isinstance(wanted, str):
            raise InvalidParameterError(f"{name} takes a list of filters")
        inners = [condition(one) for one in wanted]
        if name == "$and":
            return lambda metadata: all(inner(metadata) for inner in inners)
        return lambda metadata: any(inner(metadata) for inner in inners)
    if not isinstance(name, str) or name.startswith("$"):
        raise InvalidParameterError(
            f"{name!r} is no field; allowed beside fields are {', '.join(COMBINATIONS)}"
        )
    if not isinstance(wanted, Mapping) or not any(str(key).startswith("$") for key in wanted):
        return _comparison(name, "$eq", wanted)
    tests = [_comparison(name, key, value) for key, value in wanted.items()]
    return lambda metadata: all(test(metadata) for test in tests)


def _comparison(field: str, name: str, wanted: Any) -> Condition:
    if name == "$exists":
        return lambda metadata: (field in metadata) == bool(wanted)
    if name in NEGATIONS:
        inner = _comparison(field, NEGATIONS[name], wanted)
        return lambda metadata: not inner(metadata)
    if name not in COMPARISONS:
        allowed = ", ".join([*COMPARISONS, *NEGATIONS, "$exists"])
        raise InvalidParameterError(f"{name!r} is no operator; allowed are {allowed}")
    if name == "$in" and (isinstance(wanted, (str, bytes)) or not hasattr(wanted, "__iter__")):
        raise InvalidParameterError(f"{name} and $nin take a list of values")
    compare = COMPARISONS[name]

    def matches(metadata: Mapping[str, Any]) -> bool:
        value = metadata.get(field, MISSING)
        try:
            return value is not MISSING and bool(compare(value, wanted))
        except TypeError:  # text and a number have no order
            return False

    return matches
