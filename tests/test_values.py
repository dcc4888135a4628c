"""`drivers.values.dataclass` makes what the standard library makes."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import Callable
from dataclasses import field
from typing import Any, ClassVar

import pytest

from drivers import values

Decorator = Callable[..., Callable[[type], Any]]


def _frozen(dataclass: Decorator) -> Any:
    @dataclass(frozen=True, slots=True)
    class Point:
        """With everything a field may have."""

        UNIT: ClassVar[str] = "m"

        x: int
        y: int = 2
        tags: list[str] = field(default_factory=list)
        note: str = field(default="", compare=False)
        hidden: str = field(default="h", repr=False)
        label: str = field(default="l", kw_only=True)
        derived: int = field(default=7, init=False)

        def norm(self) -> int:
            return self.x + self.y

    return Point


def _open(dataclass: Decorator) -> Any:
    @dataclass(slots=True)
    class Counter:
        name: str
        hits: dict[str, int] = field(default_factory=dict)

    return Counter


def _named(dataclass: Decorator) -> Any:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Limits:
        low: float
        high: float = 1.0

        def __post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low is above high")

    return Limits


def _empty(dataclass: Decorator) -> Any:
    @dataclass(frozen=True, slots=True)
    class Nothing:
        """No field."""

    return Nothing


_MADE: tuple[tuple[Callable[[Decorator], Any], tuple[tuple[tuple[Any, ...], dict[str, Any]], ...]], ...] = (
    (
        _frozen,
        (
            ((1,), {}),
            ((1, 3), {"tags": ["a"]}),
            ((1,), {"note": "other"}),
            ((1,), {"hidden": "other"}),
            ((1,), {"label": "other"}),
        ),
    ),
    (_open, ((("a",), {}), (("a", {"b": 1}), {}), (("b",), {"hits": {}}))),
    (_named, (((), {"low": 0.5}), ((), {"low": 0.5, "high": 2.0}))),
    (_empty, (((), {}),)),
)
_WRONG: tuple[tuple[Callable[[Decorator], Any], tuple[Any, ...], dict[str, Any]], ...] = (
    (_frozen, (), {}),
    (_frozen, (1, 2, [], "", "h", "l"), {}),
    (_frozen, (1,), {"derived": 3}),
    (_open, ("a", {}, 3), {}),
    (_named, (0.5,), {}),
    (_named, (), {"low": 3.0}),
    (_empty, (1,), {}),
)


def _parameters(made: Any) -> list[tuple[str, object]]:
    return [(one.name, one.kind) for one in inspect.signature(made).parameters.values()]


@pytest.mark.parametrize(("declare", "calls"), _MADE, ids=lambda value: getattr(value, "__name__", ""))
def test_objects_are_those_of_the_standard_library(declare: Callable[[Decorator], Any], calls: Any) -> None:
    ours, theirs = declare(values.dataclass), declare(dataclasses.dataclass)
    made = [ours(*given, **named) for given, named in calls]
    expected = [theirs(*given, **named) for given, named in calls]
    assert [repr(one) for one in made] == [repr(one) for one in expected]
    assert [dataclasses.asdict(one) for one in made] == [dataclasses.asdict(one) for one in expected]
    equal = [[one == other for other in made] for one in made]
    assert equal == [[one == other for other in expected] for one in expected]
    assert made[0] != expected[0] and (made[0] == 1) is False
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__slots__ == theirs.__slots__ and not hasattr(made[0], "__dict__")
    assert _parameters(ours) == _parameters(theirs)
    assert [(one.name, one.type, one.kw_only) for one in dataclasses.fields(ours)] == [
        (one.name, one.type, one.kw_only) for one in dataclasses.fields(theirs)
    ]
    assert copy.copy(made[0]) == made[0]


@pytest.mark.parametrize(("declare", "given", "named"), _WRONG)
def test_wrong_arguments_are_refused_alike(
    declare: Callable[[Decorator], Any], given: tuple[Any, ...], named: dict[str, Any]
) -> None:
    ours, theirs = declare(values.dataclass), declare(dataclasses.dataclass)
    with pytest.raises((TypeError, ValueError)) as said:
        ours(*given, **named)
    with pytest.raises(type(said.value)) as expected:
        theirs(*given, **named)
    assert str(said.value).rpartition(".")[2] == str(expected.value).rpartition(".")[2]


def test_a_frozen_one_refuses_changes_and_can_be_a_key() -> None:
    point = _frozen(values.dataclass)
    one, same = point(1, tags=()), point(1, tags=(), note="not compared")
    for change in (lambda: setattr(one, "x", 2), lambda: delattr(one, "x"), lambda: setattr(one, "new", 2)):
        with pytest.raises(dataclasses.FrozenInstanceError):
            change()
    assert {one: "found"}[same] == "found"
    assert dataclasses.replace(one, x=5).norm() == 7


def test_an_open_one_changes_and_is_no_key() -> None:
    counter = _open(values.dataclass)("a")
    counter.hits["b"] = 1
    counter.name = "c"
    assert (counter.name, counter.hits) == ("c", {"b": 1})
    with pytest.raises(TypeError, match="unhashable"):
        hash(counter)


@values.dataclass(frozen=True, slots=True)
class Kept:
    """To be pickled, which needs a place in a module."""

    text: str
    number: int = 0


def test_it_can_be_pickled_before_any_was_made() -> None:
    kept = Kept("a", 3)
    assert pickle.loads(pickle.dumps(kept)) == kept


def test_a_class_that_inherits_or_brings_its_own_is_left_to_the_standard_library() -> None:
    @values.dataclass(frozen=True, slots=True)
    class Child(Kept):
        more: int = 1

    @values.dataclass(frozen=True, slots=True)
    class Shown:
        secret: str

        def __repr__(self) -> str:
            return "Shown"

    assert repr(Child("a")).endswith("Child(text='a', number=0, more=1)") and Child("a") != Kept("a")
    assert repr(Shown("hidden")) == "Shown" and Shown("hidden") == Shown("hidden")
