"""docs/configuration.md: what a key takes comes from the settings' classes, what it is from config.example.toml."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from agent import plugins
from agent.alerts.settings import AlertSettings
from agent.metrics.settings import MetricsSettings
from agent.settings import AgentSettings, RetentionSettings, RouteSettings
from drivers.settings import Check, Ge, Gt, Le, Len, Secret
from scripts.reference import example

_TABLES = {"agent": AgentSettings, "metrics": MetricsSettings, "alerts": AlertSettings, "retention": RetentionSettings}
# How a key's name says its unit.
_UNITS = {
    "_s": "seconds", "_ms": "milliseconds", "_h": "hours", "_days": "days", "_mb": "megabytes", "_percent": "percent",
    "_bytes": "bytes", "_per_minute": "per minute", "_per_hour": "per hour", "_per_day": "per day",
    "_per_month": "per month",
}  # fmt: skip
_OPENING = """# Every configuration key

The service reads `/etc/phonebridge/config.toml`. A key that is unknown, missing or wrong is one sentence that names it:
`phonebridge check-config` says it before the service has to, and `phonebridge check-config --example` prints a file
with all of these keys. After a change: `sudo systemctl reload phonebridge` ([install.md](install.md)).

**From the environment**: `PHONEBRIDGE_` and the path of the key with two underscores between its steps, in capital
letters: `PHONEBRIDGE_AGENT__STATE_DIR=/srv/sms`, `PHONEBRIDGE_ROUTE__SIM0__PIN=1234`,
`PHONEBRIDGE_UPSTREAM__MOBSMS__API_KEY=…`. The step in the middle is the name of a route or an upstream; `-` and `.` in
it are written `_`. Lists are written as JSON. The environment wins over the file.

**Secrets** can stand in files of their own, by the `…_file` key beside them; such a path may begin with
`$CREDENTIALS_DIRECTORY/` ([install.md](install.md#secrets-as-credentials)). One of the two is given, never both.

This page is made from the code (`make docs`): do not edit it.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join((_OPENING, *_sections())).rstrip() + "\n"


def missing() -> list[str]:
    """Keys that the code takes and nobody has described, as section.key."""
    found = example.blocks()
    lacking = []
    for title, settings, block in _models(found):
        known = {key for group in ([] if block is None else block.groups) if group.words for key in group.examples}
        names = [key.name for key in fields(settings)]
        lacking += [f"{title}: {name}" for name in names if name not in known | {"type", "driver"}]
    return lacking


def _models(found: list[example.Block]) -> Iterator[tuple[str, type[Any], example.Block | None]]:
    """Title, settings, and where the words for them stand."""
    by_kind = {(block.section, block.kind): block for block in found}
    yield "`[agent]`", AgentSettings, by_kind.get(("agent", None))
    yield "`[[route]]`, for every driver", RouteSettings, by_kind.get(("route", "at"))
    for name in plugins.names(plugins.DRIVERS):
        yield f"`[[route]]` of driver `{name}`", plugins.load_driver(name).Settings, by_kind.get(("route", name))
    for name in plugins.names(plugins.UPSTREAMS):
        settings = plugins.load_upstream(name).Settings
        yield f"`[[upstream]]` of type `{name}`", settings, by_kind.get(("upstream", name))
    for section in ("metrics", "alerts", "retention"):
        yield f"`[{section}]`", _TABLES[section], by_kind.get((section, None))


def _sections() -> Iterator[str]:
    for title, settings, block in _models(example.blocks()):
        yield f"## {title}\n"
        if (
            block is not None
            and block.words
            and settings is not plugins.load_driver("at").Settings
            and not block.words.startswith("phonebridge configuration")
        ):
            yield f"{_linked(block.words)}\n"
        yield "| Key | Takes | Default | What it is |\n|---|---|---|---|"
        yield from _rows(settings, block)
        yield ""


def _rows(settings: type[Any], block: example.Block | None) -> Iterator[str]:
    hints = get_type_hints(settings, include_extras=True)
    # The type stands in the title.
    own = {key.name: key for key in fields(settings) if key.name != "type"}
    groups = [] if block is None else block.groups
    told = [name for group in groups for name in group.examples if name in own]
    for name in (*told, *(name for name in own if name not in told)):
        group = next((group for group in groups if name in group.examples), None)
        first = None if group is None else next(key for key in group.examples if key in own)
        words = "" if group is None else group.words if first == name else f"See `{first}`."
        cells = (f"`{name}`", _takes(name, hints[name]), _default(own[name]), _linked(words))
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _linked(words: str) -> str:
    """Pages that the words name, as links; what stands for something is code."""
    words = re.sub(r":$", ".", words)
    words = re.sub(r"docs/([a-z-]+\.md)", r"[\1](\1)", words)
    return words.replace("<", "&lt;").replace("*", "\\*")


def _default(key: Field[Any]) -> str:
    if key.default is MISSING and key.default_factory is MISSING:
        return "**needed**"
    if key.default_factory not in (MISSING, dict, tuple, list):
        return "see right"
    if key.name == "name":
        return "the type"
    value = key.default if key.default is not MISSING else key.default_factory()  # type: ignore[misc]
    return "none" if value is None else f"`{_toml(value)}`"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, Path)):
        return f'"{value}"'
    if isinstance(value, dict):
        return "{}" if not value else "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)


def _takes(name: str, hint: Any) -> str:
    words = _kind(hint)
    unit = next((_UNITS[end] for end in sorted(_UNITS, key=len, reverse=True) if name.endswith(end)), None)
    return f"{words}, {unit}" if unit is not None and "number" in words else words


def _kind(hint: Any, limits: tuple[Any, ...] = ()) -> str:  # noqa: PLR0911 - one for each kind of type
    origin = get_origin(hint)
    if origin is Annotated:
        inner, *own = get_args(hint)
        return _kind(inner, (*limits, *own))
    if origin in (Union, types.UnionType):
        (inner,) = [choice for choice in get_args(hint) if choice is not type(None)]
        return _kind(inner, limits)
    if origin is Literal:
        return " or ".join(f"`{_toml(value)}`" for value in get_args(hint))
    if origin is tuple:
        return f"list: {_kind(get_args(hint)[0])}"
    if origin is dict:
        _, value = get_args(hint)
        return f"table: {_kind(value)} by name"
    form = next((limit.description for limit in limits if isinstance(limit, Check) and limit.description), None)
    if form is not None:
        return form
    return {
        bool: "`true` or `false`", int: f"whole number{_span(limits)}", float: f"number{_span(limits)}",
        Path: "path", Secret: "text, secret", str: f"text{_span(limits)}",
    }[hint]  # fmt: skip


def _span(limits: tuple[Any, ...]) -> str:
    said = []
    for limit in limits:
        match limit:
            case Ge():
                said.append(f"from {_toml(limit.ge)}")
            case Gt():
                said.append(f"above {_toml(limit.gt)}")
            case Le():
                said.append(f"up to {_toml(limit.le)}")
            case Len():
                said.append(f"of {limit.min_length} to {limit.max_length} characters")
            case _:
                pass
    return f" {' '.join(said)}" if said else ""
