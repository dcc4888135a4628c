"""config.example.toml: loads as it stands, has every key there is, and states the defaults that are."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, fields
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from agent import config, plugins
from agent.alerts.settings import AlertSettings
from agent.metrics.settings import MetricsSettings
from agent.settings import AgentSettings, RetentionSettings, RouteSettings
from scripts.reference import configuration

EXAMPLE = Path(__file__).parents[1] / "config.example.toml"
# Whole blocks that are not in use: the line of their kind → the section.
_OPTIONAL = {
    '#driver = "yazsana"': "route yazsana",
    '#driver = "mqtt"': "route mqtt",
    '#type = "mqtt"': "upstream mqtt",
    '#type = "smsgate"': "upstream smsgate",
}
_BEGINS = ("#[[route]]", "#[[upstream]]")
_KEY = re.compile(r"^(#?)([a-z0-9_]+) = (.+)$")


def sections() -> dict[str, dict[str, tuple[bool, str]]]:
    """Section (an upstream by its type) → key → whether it is commented out, and its value as TOML."""
    found: dict[str, dict[str, tuple[bool, str]]] = {}
    current: dict[str, tuple[bool, str]] = {}
    for line in EXAMPLE.read_text().splitlines():
        if line in _BEGINS:
            current = {}
        elif line.startswith("["):
            current = found.setdefault(line.strip("[]") if line != "[[upstream]]" else "next upstream", {})
        elif match := _KEY.match(line):
            current[match[2]] = (match[1] == "#", match[3])
            if line in _OPTIONAL:
                found[_OPTIONAL[line]] = current
            elif match[2] == "type":
                current = found[f"upstream {tomllib.loads(line)['type']}"] = found.pop("next upstream")
    return found


def optional_blocks() -> dict[str, list[str]]:
    """The lines of what is commented out as a whole, by section."""
    found: dict[str, list[str]] = {}
    lines = EXAMPLE.read_text().splitlines()
    for begin in (number for number, line in enumerate(lines) if line in _BEGINS):
        block = lines[begin : lines.index("", begin)]
        found[next(_OPTIONAL[line] for line in block if line in _OPTIONAL)] = block
    return found


def models() -> list[tuple[str, type[Any]]]:
    return [
        ("agent", AgentSettings),
        ("retention", RetentionSettings),
        ("metrics", MetricsSettings),
        ("alerts", AlertSettings),
        ("route", RouteSettings),
        ("route", plugins.load_driver("at").Settings),
        ("route yazsana", plugins.load_driver("yazsana").Settings),
        ("route mqtt", plugins.load_driver("mqtt").Settings),
        *((f"upstream {name}", plugins.load_upstream(name).Settings) for name in plugins.names(plugins.UPSTREAMS)),
    ]


def test_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = config.load(EXAMPLE)
    assert [route.name for route in found.routes] == ["sim0"]
    assert [upstream.type for upstream in found.upstreams] == ["mobsms", "local"]


@pytest.mark.parametrize("index", range(len(models())))
def test_it_has_every_key(index: int) -> None:
    section, model = models()[index]
    missing = set(config.keys_of(model)) - set(sections()[section])
    assert not missing, f"[{section}] of config.example.toml lacks {sorted(missing)}"


def test_it_has_no_key_that_does_not_exist() -> None:
    known: dict[str, set[str]] = {}
    for section, model in models():
        known.setdefault(section, set()).update(config.keys_of(model))
    for section in ("route yazsana", "route mqtt"):
        known[section].update(config.keys_of(RouteSettings))
    for section, keys in sections().items():
        assert set(keys) <= known[section], section


def test_every_key_has_a_comment_above_its_group() -> None:
    lines = EXAMPLE.read_text().splitlines()
    for number, line in enumerate(lines):
        if _KEY.match(line) and not line.startswith(("type", "#type")):
            above = number - 1
            while _KEY.match(lines[above]):
                above -= 1
            assert lines[above].startswith("# "), line


@pytest.mark.parametrize("index", range(len(models())))
def test_what_is_commented_out_stands_at_its_default(index: int) -> None:
    section, model = models()[index]
    keys = sections()[section]
    for field in fields(model):
        name = field.name
        is_comment, value = keys[name]
        default: Any = field.default
        if default in (None, MISSING, "") or not is_comment:
            continue
        shown: Any = tomllib.loads(f"x = {value}")["x"]
        assert shown == (
            str(default) if isinstance(default, Path) else list(default) if isinstance(default, tuple) else default
        ), name


def test_every_commented_value_is_one_that_is_taken(tmp_path: Path) -> None:
    text = EXAMPLE.read_text()
    optional = {line for block in optional_blocks().values() for line in block}
    for line in text.splitlines():
        match = _KEY.match(line)
        if (
            line in optional
            or match is None
            or not match[1]
            or match[2] in ("ca_file", "fallback", "api_key", "api_key_file")
        ):
            continue
        changed = tmp_path / "config.toml"
        changed.write_text(text.replace(line, line[1:], 1))
        assert config.load(changed).agent, line


def test_what_is_commented_out_as_a_whole_is_taken(tmp_path: Path) -> None:
    files_of_ones_own = (
        "api_key_file", "password_file", "ca_file", "cert_file", "key_file", "passphrase_file", "signing_key_file",
        # Another way to register than the one that the block shows.
        "private_token",
    )  # fmt: skip
    found = {}
    for section, block in optional_blocks().items():
        lines = [line.removeprefix("#") if _KEY.match(line) or line in _BEGINS else line for line in block]
        changed = tmp_path / "config.toml"
        changed.write_text("\n".join(line for line in lines if not line.startswith(files_of_ones_own)) + "\n")
        found[section] = config.load(changed)
    assert found.keys() == set(_OPTIONAL.values())
    (route,) = found["route yazsana"].routes
    assert (route.settings.driver, route.driver.service) == ("yazsana", "BobSMS")
    (upstream,) = found["upstream mqtt"].upstreams
    assert (upstream.type, upstream.url) == ("mqtt", "mqtt://127.0.0.1:1883")
    (upstream,) = found["upstream smsgate"].upstreams
    assert (upstream.type, upstream.way) == ("smsgate", "login")


def test_the_package_brings_it_along() -> None:
    packaged = files("agent").joinpath("units", "config.example.toml").read_text()
    assert packaged == EXAMPLE.read_text()


def test_every_key_is_described_for_its_page() -> None:
    assert configuration.missing() == []


def test_the_page_of_all_keys_is_made_from_the_code() -> None:
    is_fresh = (EXAMPLE.parent / "docs" / "configuration.md").read_text() == configuration.page()
    assert is_fresh, "docs/configuration.md is stale; run: .venv/bin/python -m scripts.reference"
