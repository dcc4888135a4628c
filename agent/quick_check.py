"""Checks a table of the configuration without pydantic, which takes longer to import than a daemon takes to start.

It says yes to what is plainly right, and the value is the one that pydantic would make; of everything else it says
that it does not know, and pydantic decides and finds the words. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from drivers.settings import STRICT, Check, Limit, Secret

Reader = Callable[[Any], Any]
"""From a value as TOML has it to the value of a key. Raises: Undecided."""


class Undecided(Exception):
    """The table may be right or wrong."""


def checked(settings: type[Any], table: Mapping[str, Any]) -> Any:
    """The settings object of a table that is plainly right. Raises: Undecided."""
    declared = {key.name for key in fields(settings)}
    if getattr(settings, "__pydantic_config__", None) != STRICT or not declared.issuperset(table):
        raise Undecided
    hints = get_type_hints(settings, include_extras=True)
    try:
        return settings(**{key: _reader(hints[key])(value) for key, value in table.items()})
    except (ValueError, TypeError, OverflowError) as error:
        # A check that refused, two keys that do not go together, or one that is missing.
        raise Undecided from error


def _reader(hint: Any) -> Reader:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in _PLAIN:
        return _PLAIN[hint]
    if origin is Annotated:
        return _all_of(_reader(arguments[0]), [_limit(one) for one in arguments[1:]])
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, UnionType):
        some = [one for one in arguments if one is not NoneType]
        if len(some) == 1:
            return _reader(some[0])
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _list_of(_reader(arguments[0]))
    if origin is dict and arguments[0] is str:
        return _table_of(_reader(arguments[1]))
    raise Undecided


def _all_of(read: Reader, limits: list[Reader]) -> Reader:
    def apply(value: Any) -> Any:
        value = read(value)
        for limit in limits:
            value = limit(value)
        return value

    return apply


def _limit(limit: Any) -> Reader:
    if isinstance(limit, Check):
        return limit.function
    if isinstance(limit, Limit):
        return _only(lambda value: limit.fault(value) is None)
    raise Undecided


def _only(is_right: Callable[[Any], bool]) -> Reader:
    def read(value: Any) -> Any:
        if not is_right(value):
            raise Undecided
        return value

    return read


def _one_of(values: tuple[Any, ...]) -> Reader:
    return _only(lambda value: any(type(value) is type(one) and value == one for one in values))


def _list_of(read: Reader) -> Reader:
    listed = _only(lambda value: type(value) is list)
    return lambda value: tuple(read(one) for one in listed(value))


def _table_of(read: Reader) -> Reader:
    table = _only(lambda value: type(value) is dict)
    return lambda value: {key: read(one) for key, one in table(value).items()}


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not math.isfinite(value):
        raise Undecided
    return float(value)


def _of(kind: type[Any]) -> Reader:
    # Not isinstance: True is an int, and no number in a configuration.
    return _only(lambda value: type(value) is kind)


def _text(value: Any) -> str:
    # Half of a surrogate pair is no text for pydantic.
    if type(value) is not str or not (value.isascii() or value.encode(errors="ignore").decode() == value):
        raise Undecided
    return value


_PLAIN: dict[Any, Reader] = {
    str: _text,
    int: _of(int),
    bool: _of(bool),
    float: _number,
    Path: lambda value: Path(_text(value)),
    Secret: lambda value: Secret(_text(value)),
}
