"""The configuration: one TOML file, overridden by the environment, checked as a whole. Its keys are in `settings`.

Every mistake becomes one sentence with the key and the nearest right one (`ConfigError`). Keys of a driver or
an upstream are that plugin's own model, so a new one brings its keys along.
"""

from __future__ import annotations

import functools
import itertools
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from agent import ENVIRONMENT_PREFIX, credentials, has_environment, plugins, quick_check
from agent.alerts.settings import AlertSettings
from agent.metrics.settings import MetricsSettings
from agent.settings import AgentSettings, Config, RetentionSettings, RouteConfig, RouteSettings
from drivers.settings import Secret

DEFAULT_PATH = Path("/etc/phonebridge/config.toml")
_TABLES = ("agent", "retention", "metrics", "alerts")
_SECTIONS = (*_TABLES, "route", "upstream")
_SECRETS = frozenset({"api_key", "passphrase", "password", "pin", "private_token", "secret", "signing_key", "token"})
# Names of rows in the journal that are not this file's to give: name → the type that may have it.
_RESERVED = {"cli": None, "alerts": None, "local": "local"}

Build = Callable[[Any, dict[str, Any], str], Any]
"""Settings class, table, and where it stands → settings object. Raises: ConfigError."""


class ConfigError(ValueError):
    """The configuration cannot be used. `str()` is one sentence with the key."""


def keys_of(settings: type[Any]) -> tuple[str, ...]:
    """The keys that a settings class declares."""
    return tuple(key.name for key in fields(settings))


def load(path: Path) -> Config:
    """Read and check a file with the environment on top.

    Raises: ConfigError.
    """
    return _load(path, _checked)


def load_quickly(path: Path) -> Config | None:
    """As `load`, and without pydantic: None where it takes more to tell what is right, or what is wrong."""
    if has_environment():
        return None
    try:
        return _load(path, lambda settings, table, _: quick_check.checked(settings, table))
    except (quick_check.Undecided, ConfigError):
        return None


def state_dir(path: Path) -> Path:
    """Only the state_dir of a file that need not be right otherwise: to find the daemon that runs with it.

    Raises: ConfigError.
    """
    given = _table(_with_environment({"agent": _table(_read(path), "agent")}, ("agent",)), "agent")
    value = given.get("state_dir", AgentSettings().state_dir)
    if not isinstance(value, (str, Path)):
        raise ConfigError("agent.state_dir: should be a path in quotes")
    return Path(value)


def parse(raw: Mapping[str, Any]) -> Config:
    """Check a parsed document. Raises: ConfigError."""
    return _parse(raw, _checked)


def _load(path: Path, check: Build) -> Config:
    raw = _read(path)
    config = _parse(_with_environment(raw), check)
    return replace(config, warnings=(*config.warnings, *_readable_secrets(path, raw)))


def _parse(raw: Mapping[str, Any], check: Build) -> Config:
    build = functools.partial(_build, check)
    for key in raw:
        if key not in _SECTIONS:
            raise ConfigError(_unknown(key, key, _SECTIONS))
    agent = build(AgentSettings, _table(raw, "agent"), "agent")
    retention = build(RetentionSettings, _table(raw, "retention"), "retention")
    metrics = build(MetricsSettings, _table(raw, "metrics"), "metrics")
    routes = tuple(_route(table, index, build) for index, table in enumerate(_tables(raw, "route")))
    upstreams = tuple(_upstream(table, index, build) for index, table in enumerate(_tables(raw, "upstream")))
    _check_routes(routes)
    _check_names("upstream", [settings.name for settings in upstreams])
    alerts = build(AlertSettings, _table(raw, "alerts"), "alerts")
    names = [route.name for route in routes]
    if alerts.sms_route is not None and alerts.sms_route not in names:
        raise ConfigError(_unknown("alerts.sms_route", alerts.sms_route, names, "route"))
    return Config(agent=agent, routes=routes, upstreams=upstreams, retention=retention, metrics=metrics, alerts=alerts)


def secret(value: Secret | None, file: Path | None, where: str) -> str | None:
    """A secret given in place or by `…_file`, without its trailing newline.

    Raises: ConfigError when the file cannot be read or both are given.
    """
    if value is not None and file is not None:
        raise ConfigError(f"{where}: give the key itself or its file, not both")
    if file is None:
        return None if value is None else value.get_secret_value()
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        why = f"{error.strerror}{credentials.explained(file)}"
        raise ConfigError(f"{where}_file: {file} cannot be read: {why}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}_file: {file} is not a text file") from error


# --- pieces -----------------------------------------------------------------------------------------


def _read(path: Path) -> dict[str, Any]:
    try:
        # utf-8-sig: editors on Windows put a byte order mark first, and many an SD card is edited there.
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; copy config.example.toml there and edit it") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}; check its owner and mode") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(
            f"{path} holds values inside values without end; compare it with config.example.toml"
        ) from error


def _route(table: dict[str, Any], index: int, build: Build) -> RouteConfig:
    where = f"route[{table.get('name', index)}]"
    name = table.get("driver", "at")
    try:
        own_settings = plugins.settings_of(plugins.DRIVERS, str(name))
    except plugins.UnknownPlugin as error:
        raise ConfigError(_unknown(f"{where}.driver", str(name), error.known, "driver")) from error
    keys = (*keys_of(RouteSettings), *keys_of(own_settings))
    for key in table:
        if key not in keys:
            raise ConfigError(_unknown(f"{where}.{key}", key, keys))
    shared = {key: value for key, value in table.items() if key in keys_of(RouteSettings)}
    own = {key: value for key, value in table.items() if key not in keys_of(RouteSettings)}
    return RouteConfig(settings=build(RouteSettings, shared, where), driver=build(own_settings, own, where))


def _upstream(table: dict[str, Any], index: int, build: Build) -> Any:
    kind = table.get("type")
    if not isinstance(kind, str):
        raise ConfigError(f"upstream[{index}].type is missing; use one of {_listed(plugins.names(plugins.UPSTREAMS))}")
    name = table.get("name") or kind
    try:
        settings = plugins.settings_of(plugins.UPSTREAMS, kind)
    except plugins.UnknownPlugin as error:
        raise ConfigError(_unknown(f"upstream[{name}].type", kind, error.known, "upstream type")) from error
    if name in _RESERVED and kind != _RESERVED[name]:
        raise ConfigError(f'upstream[{name}].name: "{name}" is what phonebridge calls its own; give another name')
    return build(settings, {**table, "name": name}, f"upstream[{name}]")


def _check_routes(routes: tuple[RouteConfig, ...]) -> None:
    names = [route.name for route in routes]
    _check_names("route", names)
    for route, other in itertools.combinations(routes, 2):
        if route.settings.driver != other.settings.driver:
            continue
        clash = plugins.load_driver(route.settings.driver).clash(route.driver, other.driver)
        if clash is not None:
            raise ConfigError(f"route[{route.name}] and route[{other.name}] {clash}")
    slots: dict[int, str] = {}
    for route in routes:
        slot = route.settings.sim_slot
        if slot is not None and slot in slots:
            raise ConfigError(f"route[{route.name}].sim_slot {slot} is taken by route {slots[slot]}; give another")
        if slot is not None:
            slots[slot] = route.name
        target = route.settings.fallback
        if target is not None and (target not in names or target == route.name):
            others = [name for name in names if name != route.name]
            raise ConfigError(_unknown(f"route[{route.name}].fallback", target, others, "route"))


def _check_names(kind: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f'two {kind}s are called "{name}"; give one of them another name = "…"')


def _table(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key, {})
    if not isinstance(value, dict):
        raise ConfigError(f"{key} must be a table: write [{key}] above its keys")
    return value


def _tables(raw: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ConfigError(f"{key} must be a list of tables: write [[{key}]] above its keys")
    return value


@functools.cache
def _validator(settings: Any) -> Callable[[Any], Any]:
    """pydantic's check of a table. Made once: there are several routes of a kind."""
    # Imported here: the daemon reads its configuration in a process that ends (agent/cli/run.py).
    from pydantic import TypeAdapter  # noqa: PLC0415

    adapter: TypeAdapter[Any] = TypeAdapter(settings)
    return adapter.validate_python


def _build(check: Build, settings: Any, table: dict[str, Any], where: str) -> Any:
    for key, value in table.items():
        if isinstance(value, str) and "\0" in value:
            raise ConfigError(f"{where}.{key}: holds a NUL character, which no name of a file can; write it anew")
    return check(settings, credentials.expanded(table), where)


def _checked(settings: Any, table: dict[str, Any], where: str) -> Any:
    """A table whose place is `where`, checked. Raises: ConfigError."""
    try:
        return quick_check.checked(settings, table)
    except quick_check.Undecided:
        pass
    from pydantic import ValidationError  # noqa: PLC0415 - for what is wrong, or given in an unusual way

    try:
        return _validator(settings)(table)
    except ValidationError as error:
        faults = error.errors()
        # A misspelt key makes the right one missing: the spelling is the news.
        first = next((fault for fault in faults if fault["type"] == _EXTRA), faults[0])
        path = ".".join(str(step) for step in (where, *first["loc"]))
        if first["type"] == _EXTRA:
            raise ConfigError(_unknown(path, str(first["loc"][-1]), keys_of(settings))) from None
        if first["type"] == "missing":
            raise ConfigError(f"{path} is missing") from None
        raise ConfigError(f"{path}: {_said(first)}") from None


_EXTRA = "unexpected_keyword_argument"


def _said(fault: Any) -> str:
    key = str(fault["loc"][0]) if fault["loc"] else ""
    message = str(fault["msg"])
    if fault["type"] == "value_error":
        return message.removeprefix("Value error, ")
    given = "" if key in _SECRETS or not isinstance(fault["input"], (str, int, float)) else f", not {fault['input']!r}"
    return message.removeprefix("Input ") + given


def _unknown(path: str, given: str, known: Iterable[str], kind: str = "key") -> str:
    options = sorted(known)
    import difflib  # noqa: PLC0415 - for a mistake only; a daemon that runs has none

    near = difflib.get_close_matches(given, options, n=1, cutoff=0.5)
    hint = f'did you mean "{near[0]}"?' if near else f"known are {_listed(options)}"
    return f'{path}: there is no {kind} "{given}"; {hint}'


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names) or "none"


def _with_environment(raw: dict[str, Any], sections: tuple[str, ...] = _SECTIONS) -> dict[str, Any]:
    given = _environment()
    merged = dict(raw)
    for key in sections:
        if not given.get(key):
            continue
        if key in _TABLES:
            merged[key] = {**_table(raw, key), **given[key]}
            continue
        for name, values in given[key].items():
            merged[key] = _merged_by_name(_tables(merged, key), key, name, values)
    return merged


def _environment() -> dict[str, dict[str, Any]]:
    own = {name: value for name, value in os.environ.items() if name.startswith(ENVIRONMENT_PREFIX)}
    for variable, value in own.items():
        if not _is_utf8(variable + value):
            raise ConfigError(f"environment variable {ascii(variable)[1:-1]} is not in UTF-8; write it anew")
        section, _, rest = variable.removeprefix(ENVIRONMENT_PREFIX).partition("__")
        if rest and section.lower() not in _SECTIONS:
            known = [name.upper() for name in _SECTIONS]
            raise ConfigError(_unknown(f"environment variable {variable}", section, known, "section"))
    if not own:
        return {}
    # Imported here: pydantic-settings takes 2 MB, and most boxes set everything in the file.
    from agent import environment  # noqa: PLC0415

    try:
        return environment.read(ENVIRONMENT_PREFIX)
    except environment.Unreadable as error:
        raise ConfigError(
            f"the environment: {error}; write {ENVIRONMENT_PREFIX}SECTION__KEY=value, "
            f"e.g. {ENVIRONMENT_PREFIX}AGENT__STATE_DIR"
        ) from error


def _is_utf8(value: str) -> bool:
    """Python reads octets that are none as surrogates, which pydantic cannot take."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _merged_by_name(tables: list[dict[str, Any]], key: str, name: str, values: Any) -> list[dict[str, Any]]:
    variable = f"environment variable {ENVIRONMENT_PREFIX}{key.upper()}__{name.upper()}"
    if not isinstance(values, dict):
        raise ConfigError(
            f"{variable} names no key; write {ENVIRONMENT_PREFIX}{key.upper()}__{name.upper()}__KEY=value"
        )
    found = False
    result = []
    for table in tables:
        is_meant = _shell_name(_own_name(table)) == _shell_name(name)
        result.append({**table, **values} if is_meant else table)
        found = found or is_meant
    if not found:
        raise ConfigError(_unknown(variable, name, [_own_name(table) for table in tables], key))
    return result


def _own_name(table: dict[str, Any]) -> str:
    return str(table.get("name") or table.get("type") or "")


def _shell_name(name: str) -> str:
    """A name as a variable can spell it: shells know neither "-" nor "."."""
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def _readable_secrets(path: Path, raw: dict[str, Any]) -> list[str]:
    tables = [*_tables(raw, "route"), *_tables(raw, "upstream"), _table(raw, "metrics")]
    files = [path] if any(key in table for table in tables for key in _SECRETS) else []
    files += [Path(str(table[f"{key}_file"])) for table in tables for key in _SECRETS if f"{key}_file" in table]
    return [
        f"{file} holds a secret and others can read it; run: chmod o-r {file}"
        for file in files
        if _is_open_to_others(file)
    ]


def _is_open_to_others(file: Path) -> bool:
    """Where it cannot be reached, whoever needs it says so."""
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except (OSError, ValueError):
        return False
