"""Answers in the words of a Laravel server, which the MobSMS API is: validation, refusals, missing routes. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response


class Refused(Exception):
    """Carries the answer that ends a request."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status_code)
        self.response = response


class Json(Response):
    """Compact JSON, as it is given."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def success(data: Any = ..., message: str | None = None, status: int = 200) -> Json:
    """`{"success": true, "data", "message"}`; without `data` where none is given."""
    document: dict[str, Any] = {"success": True}
    if data is not ...:
        document["data"] = data
    if message is not None:
        document["message"] = message
    return Json(document, status)


def refusal(message: str, status: int = 422) -> Json:
    """The answer of a rule."""
    return Json({"success": False, "message": message}, status)


def unauthenticated() -> Json:
    return Json({"message": "Unauthenticated."}, 401, headers={"WWW-Authenticate": "Bearer"})


def missing(model: str) -> Json:
    return Json({"message": f"No query results for model [{model}]."}, 404)


def plain(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> Json:
    return Json({"message": sentence}, status, headers=headers)


def invalid(errors: Mapping[str, Sequence[str]], status: int = 422, *, is_marked: bool = False) -> Json:
    """Every complaint; with `success` false where it `is_marked`."""
    first = next(iter(errors.values()))[0]
    more = sum(len(texts) for texts in errors.values()) - 1
    suffix = f" (and {more} more error{'s' if more > 1 else ''})" if more else ""
    mark = {"success": False} if is_marked else {}
    return Json({**mark, "message": first + suffix, "errors": dict(errors)}, status)


def complaints(errors: Sequence[Mapping[str, Any]], status: int = 422, *, is_marked: bool = False) -> Json:
    """A validator's findings, each under its field."""
    found: dict[str, list[str]] = {}
    for error in errors:
        where, *steps = error["loc"]
        name = ".".join(str(step) for step in steps) if error["type"] != "json_invalid" else ""
        name = name or str(where)
        found.setdefault(name, []).append(_complaint(name, error))
    return invalid(found, status, is_marked=is_marked)


def _complaint(name: str, error: Mapping[str, Any]) -> str:
    """One finding in Laravel's words."""
    if name == "body":
        return "The body must be a JSON object, with Content-Type: application/json."
    words = name.replace("_", " ")
    kind, given, limits = str(error["type"]), error.get("input"), error.get("ctx") or {}
    if kind == "missing" or given is None or given == "":
        return f"The {words} field is required."
    if kind in ("literal_error", "enum"):
        return f"The selected {words} is invalid."
    if kind == "value_error":
        return f"The {words} field {str(error['msg']).removeprefix('Value error, ')}."
    if kind in _LIMITS:
        limit, sentence = _LIMITS[kind]
        return f"The {words} field must {sentence.format(limits[limit])}."
    noun = next((noun for prefix, noun in _NOUNS if kind.startswith(prefix)), None)
    return f"The {words} field must be {noun}." if noun else f"The {words} field is invalid."


def without_null(schema: dict[str, Any]) -> None:
    """For the description of a parameter that may be absent: absent is not null, which a query or header cannot be."""
    (kind,) = [one for one in schema.pop("anyOf") if one != {"type": "null"}]
    schema.update(kind)


def date_time(schema: dict[str, Any]) -> None:
    """The same for a time."""
    without_null(schema)
    schema["format"] = "date-time"


def uuid(schema: dict[str, Any]) -> None:
    """The same for a UUID."""
    without_null(schema)
    schema.pop("pattern", None)
    schema["format"] = "uuid"


_LIMITS = {
    "string_too_long": ("max_length", "not be greater than {} characters"),
    "string_too_short": ("min_length", "be at least {} characters"),
    "too_long": ("max_length", "not have more than {} items"),
    "too_short": ("min_length", "have at least {} items"),
    "greater_than_equal": ("ge", "be at least {:g}"),
    "less_than_equal": ("le", "not be greater than {:g}"),
}
_NOUNS = (
    ("string_pattern", "of the right form"),
    ("string", "a string"),
    ("int", "an integer"),
    ("float", "a number"),
    ("finite", "a number"),
    ("bool", "true or false"),
    ("list", "an array"),
    ("model", "an object"),
    ("dict", "an object"),
)
