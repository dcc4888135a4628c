"""How the keys of a configuration are declared: plain dataclasses whose annotations say what is allowed.

pydantic checks them where a configuration is read (agent/config.py); a process that only uses them need not hold
pydantic, which saves a fifth of the daemon's memory. Limits are `Ge`, `Gt`, `Le`, `Len`, `Check` and `Form`: the first
four say what pydantic says of those of `annotated_types`, which take a tenth of the time that all of ours take to load.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.values import dataclass

__all__ = ["STRICT", "Check", "Form", "Ge", "Gt", "Le", "Len", "Limit", "Secret"]

STRICT = {"extra": "forbid", "allow_inf_nan": False}
"""For `__pydantic_config__: ClassVar = STRICT` of every settings class: unknown keys are errors."""


class Secret:
    """A value that shows in no log, error or dump. Made by pydantic from a text."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """The secret itself: to be used at once and kept nowhere."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('**********')" if self._value else "Secret('')"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - only where a configuration is checked

        return core_schema.union_schema(
            [
                core_schema.is_instance_schema(cls),
                core_schema.no_info_after_validator_function(cls, core_schema.str_schema()),
            ],
            mode="left_to_right",
        )


class Limit(ABC):
    """`Annotated[T, limit]`: what a number or a text must keep to."""

    __slots__ = ()

    @abstractmethod
    def fault(self, value: Any) -> tuple[Any, dict[str, Any]] | None:
        """pydantic's name for what is wrong, and the figures of its sentence; None where nothing is. Pure."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import PydanticKnownError, core_schema  # noqa: PLC0415 - as above

        def check(value: Any) -> Any:
            found = None if value is None else self.fault(value)
            if found is not None:
                raise PydanticKnownError(*found)
            return value

        return core_schema.no_info_after_validator_function(check, handler(source))


class Ge(Limit):
    """At least."""

    __slots__ = ("ge",)

    def __init__(self, ge: float) -> None:
        self.ge = ge

    def fault(self, value: Any) -> tuple[str, dict[str, Any]] | None:
        return None if value >= self.ge else ("greater_than_equal", {"ge": self.ge})


class Gt(Limit):
    """More than."""

    __slots__ = ("gt",)

    def __init__(self, gt: float) -> None:
        self.gt = gt

    def fault(self, value: Any) -> tuple[str, dict[str, Any]] | None:
        return None if value > self.gt else ("greater_than", {"gt": self.gt})


class Le(Limit):
    """At most."""

    __slots__ = ("le",)

    def __init__(self, le: float) -> None:
        self.le = le

    def fault(self, value: Any) -> tuple[str, dict[str, Any]] | None:
        return None if value <= self.le else ("less_than_equal", {"le": self.le})


class Len(Limit):
    """A text of so many characters."""

    __slots__ = ("max_length", "min_length")

    def __init__(self, min_length: int, max_length: int) -> None:
        self.min_length = min_length
        self.max_length = max_length

    def fault(self, value: Any) -> tuple[str, dict[str, Any]] | None:
        if len(value) < self.min_length:
            return "string_too_short", {"min_length": self.min_length}
        return ("string_too_long", {"max_length": self.max_length}) if len(value) > self.max_length else None


@dataclass(frozen=True, slots=True)
class Check:
    """`Annotated[T, Check(function)]`: the function gets the value, and returns it or raises ValueError with the
    rest of a sentence that begins with the key. `description` says what the value is, where a type does not."""

    function: Callable[[Any], Any]
    description: str = ""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - only where a configuration is checked

        return core_schema.no_info_after_validator_function(self._but_none, handler(source))

    def _but_none(self, value: Any) -> Any:
        return None if value is None else self.function(value)


def Form(pattern: str, description: str) -> Check:
    """A text of a certain form; `description` completes "should be …"."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"should be {description}, not {value!r}")
        return value

    return Check(check, description)


def existing_file(value: Path, wanted: str) -> Path:
    """For a `Check`: a file that is there; `wanted` says what to give. Raises: ValueError with a sentence."""
    try:
        is_file = value.is_file()
    except OSError as error:
        # A directory above it that this user may not enter, or a name too long.
        raise ValueError(f"{value} cannot be reached: {error.strerror}") from error
    if not is_file:
        raise ValueError(f"{value} is not a file; give {wanted}")
    return value
