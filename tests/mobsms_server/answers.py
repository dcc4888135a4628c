"""Laravel's answers and its validation rules, as far as the API needs them. Pure; knows no state."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from .http1 import Request, Response, json_response


class Refused(Exception):
    """Carries the answer that ends a request."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


def success(data: Any = ..., message: str | None = None, status: int = 200) -> Response:
    document: dict[str, Any] = {"success": True}
    if data is not ...:
        document["data"] = data
    if message is not None:
        document["message"] = message
    return json_response(status, document)


def refusal(status: int, message: str, **more: Any) -> Response:
    """The answer of a rule: `{"success": false, "message"}`."""
    return json_response(status, {"success": False, "message": message, **more})


def unauthenticated() -> Response:
    return json_response(401, {"message": "Unauthenticated."})


def no_route(path: str) -> Response:
    return json_response(404, {"message": f"The route {path.strip('/')} could not be found."})


def no_method(method: str, path: str, supported: list[str]) -> Response:
    names = ", ".join(supported)
    text = f"The {method} method is not supported for route {path.strip('/')}. Supported methods: {names}."
    return json_response(405, {"message": text}, {"Allow": names})


def no_model(model: str) -> Response:
    return json_response(404, {"message": f"No query results for model [{model}]."})


def invalid(errors: dict[str, list[str]]) -> Response:
    first = next(iter(errors.values()))[0]
    more = sum(len(texts) for texts in errors.values()) - 1
    suffix = f" (and {more} more error{'s' if more > 1 else ''})" if more else ""
    return json_response(422, {"message": first + suffix, "errors": errors})


Rule = Callable[[str, Any], str | None]  # the field's words and its value to a complaint, or None


def text(limit: int | None = None) -> Rule:
    def check(words: str, value: Any) -> str | None:
        if not isinstance(value, str):
            return f"The {words} field must be a string."
        if limit is not None and len(value) > limit:
            return f"The {words} field must not be greater than {limit} characters."
        return None

    return check


def email(words: str, value: Any) -> str | None:
    valid = isinstance(value, str) and "@" in value.strip("@")
    return None if valid else f"The {words} field must be a valid email address."


def at_least(least: float) -> Rule:
    def check(words: str, value: Any) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"The {words} field must be a number."
        return None if value >= least else f"The {words} field must be at least {least:g}."

    return check


def boolean(words: str, value: Any) -> str | None:
    return None if value in (True, False) else f"The {words} field must be true or false."


def array(words: str, value: Any) -> str | None:
    return None if isinstance(value, list) else f"The {words} field must be an array."


def url(words: str, value: Any) -> str | None:
    valid = isinstance(value, str) and value.startswith(("http://", "https://"))
    return None if valid else f"The {words} field must be a valid URL."


def one_of(*allowed: str) -> Rule:
    return lambda words, value: None if value in allowed else f"The selected {words} is invalid."


def fields(request: Request, required: dict[str, Rule], optional: dict[str, Rule]) -> dict[str, Any]:
    """The checked fields of a JSON body; optional ones that are absent are left out, null ones kept.

    Raises: Refused: 422 with every complaint, as Laravel's validator words them.
    """
    body = decode(request)
    errors: dict[str, list[str]] = {}
    found: dict[str, Any] = {}
    for name, rule in {**required, **optional}.items():
        words = name.replace("_", " ")
        value = body.get(name)
        if value is None or value in ("", []):  # Laravel turns empty strings into null before it validates
            if name in required:
                errors[name] = [f"The {words} field is required."]
            elif name in body:
                found[name] = None
            continue
        complaint = rule(words, value)
        if complaint:
            errors[name] = [complaint]
        found[name] = value
    if errors:
        raise Refused(invalid(errors))
    return found


def decode(request: Request) -> dict[str, Any]:
    """The body as an object; anything else counts as empty, as in Laravel."""
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
