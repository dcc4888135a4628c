"""How the keys of a configuration are declared: plain dataclasses whose annotations say what is allowed.

pydantic checks them where a configuration is read (agent/config.py); a process that only uses them need not hold
pydantic, which saves a fifth of the daemon's memory. Limits are those of `annotated_types`, `Check` and `Form`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from annotated_types import Ge, Gt, Le, Len

from drivers.values import dataclass

__all__ = ["STRICT", "Check", "Form", "Ge", "Gt", "Le", "Len", "Secret"]

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
