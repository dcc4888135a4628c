"""What was wrong with a request, as the one sentence that SMSGate's errors have. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NO_OBJECT = "The body must be a JSON object, with Content-Type: application/json."


def sentence(errors: Sequence[Mapping[str, Any]]) -> str:
    """The first of a validator's findings, and how many more there are."""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return _finding(errors[0]) + more


def _finding(error: Mapping[str, Any]) -> str:
    _, *steps = error["loc"]
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "json_invalid":
        return _NO_OBJECT
    if not steps:
        return f"The body {said}." if error["type"] == "value_error" else _NO_OBJECT
    name = ".".join(str(step) for step in steps)
    if error["type"] == "value_error":
        return f"{name} {said}."
    return f"{name}: {said[:1].lower()}{said[1:]}."
