"""Imports point one way (DESIGN decision 6), read from the syntax trees."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SQL_WORDS = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE TABLE ")


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@functools.cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    """Those of the kinds that are asked for below; whole trees of all files are slow to look through, and to keep."""
    kinds = (ast.Import, ast.ImportFrom, ast.Constant, ast.ExceptHandler)
    return tuple(node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds))


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = path.relative_to(ROOT).with_suffix("").parts[: -node.level] if node.level else ()
            module = ".".join((*parents, *([node.module] if node.module else ())))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _offences(paths: list[Path], is_wrong: object) -> list[str]:
    assert callable(is_wrong)
    return [f"{path.relative_to(ROOT)}: {name}" for path in paths for name in _imports(path) if is_wrong(name)]


def _is_in(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def test_drivers_never_import_the_agent() -> None:
    assert _offences(_files("drivers"), lambda name: _is_in(name, "agent")) == []


def test_the_agent_uses_only_the_codec_and_the_contract_of_drivers() -> None:
    allowed = ("drivers.api", "drivers.settings", "drivers.sms", "drivers.values")
    # The gateway's end of the road that pools use: the same connection, topics and payloads, and not the driver.
    road = ("drivers.mqtt.link", "drivers.mqtt.topics", "drivers.mqtt.payloads", "drivers.mqtt.keys")
    mqtt = _files("agent/upstreams/mqtt")
    # The demo and the control of the simulator belong to the CLI, which starts it as a process of its own.
    others = [path for path in _files("agent") if "cli" not in path.parts and path not in mqtt]

    def is_wrong(name: str, *known: str) -> bool:
        return _is_in(name, "drivers") and name not in ("drivers", "drivers.mqtt") and not _is_in(name, *known)

    assert _offences(others, lambda name: is_wrong(name, *allowed) or name == "drivers.mqtt") == []
    assert _offences(mqtt, lambda name: is_wrong(name, *allowed, *road)) == []


def test_the_contract_is_imported_as_one() -> None:
    paths = [path for top in ("agent", "drivers") for path in _files(top) if path.parent.name != "api"]
    pieces = tuple(f"drivers.api.{path.stem}" for path in _files("drivers/api"))
    assert len(pieces) > 1 and _offences(paths, lambda name: _is_in(name, *pieces)) == []


def test_the_codec_imports_nothing_of_ours_but_itself() -> None:
    allowed = ("drivers.sms", "drivers.api", "drivers.values")
    wrong = _offences(
        _files("drivers/sms"),
        lambda name: (
            _is_in(name, "agent", "asyncio", "time", "structlog", "logging")
            or (_is_in(name, "drivers") and name != "drivers" and not _is_in(name, *allowed))
        ),
    )
    assert wrong == []


def test_the_simulator_shares_no_code_with_driver_and_codec() -> None:
    wrong = _offences(
        _files("drivers/simulator"),
        lambda name: _is_in(name, "drivers") and name != "drivers" and not _is_in(name, "drivers.simulator"),
    )
    assert wrong == []


def test_upstreams_see_only_gateway_model_and_contract() -> None:
    inner = ("agent.outbox", "agent.route", "agent.inbox", "agent.feed", "agent.daemon", "agent.cli", "agent.control")
    paths = [path for path in _files("agent/upstreams") if path.name != "api.py"]
    assert _offences(paths, lambda name: _is_in(name, *inner)) == []


@pytest.mark.parametrize("package", ["agent", "drivers"])
def test_sql_stands_only_in_the_journal(package: str) -> None:
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in _files(package)
        if "journal" not in path.parts
        for node in _nodes(path)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(SQL_WORDS)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("link", "packages"),
    [
        ("drivers/at/link.py", ("serial", "serial_asyncio_fast")),
        ("drivers/mqtt/link.py", ("aiomqtt", "paho")),
    ],
)
def test_a_library_that_holds_a_link_is_imported_by_one_file(link: str, packages: tuple[str, ...]) -> None:
    paths = [path for path in (*_files("agent"), *_files("drivers")) if path != ROOT / link]
    assert _offences(paths, lambda name: _is_in(name, *packages)) == []


def test_topics_and_payloads_of_mqtt_are_pure() -> None:
    paths = [ROOT / "drivers/mqtt/topics.py", ROOT / "drivers/mqtt/payloads.py"]
    assert _offences(paths, lambda name: _is_in(name, "asyncio", "time", "structlog", "agent", "drivers")) == []


def test_exception_is_caught_only_by_supervision_the_cli_and_the_journals_thread() -> None:
    allowed = {"agent/supervise.py", "agent/journal/store.py"}
    wrong = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in (*_files("agent"), *_files("drivers"))
        if str(path.relative_to(ROOT)) not in allowed and "cli" not in path.parts
        for node in _nodes(path)
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception"
    ]
    assert wrong == []


def test_operations_are_declared_by_our_own_router() -> None:
    """FastAPI takes 10 MB; `agent.upstreams.local.routing` has its way of declaring."""
    assert _offences(_files("agent"), lambda name: _is_in(name, "fastapi")) == []
