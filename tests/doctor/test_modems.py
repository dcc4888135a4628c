"""Sticks on made trees with a real emulated modem behind them, a daemon that holds one, and the report for a bug."""

from __future__ import annotations

import asyncio
import json
import os
import tarfile
import tomllib
from pathlib import Path
from typing import Any

import pytest

from agent.doctor import bundle, modems, service
from agent.doctor.modems import Finding
from agent.doctor.note import Level
from drivers.simulator.process import SimulatorProcess
from tests.doctor import trees
from tests.mobsms_server.process import MobSmsServer


def look(root: Path, routes: Any = (), **more: Any) -> list[Finding]:
    return asyncio.run(modems.examine([], root, routes, lambda _: None, **more))


@pytest.mark.parametrize("mode", trees.WRONG_MODES)
def test_a_stick_in_a_wrong_mode_is_told_with_its_remedy(tmp_path: Path, mode: str) -> None:
    make, says, advises = trees.WRONG_MODES[mode]
    make(tmp_path)
    (finding,) = look(tmp_path)
    assert not finding.diagnosis.ok and finding.block is None
    assert says in finding.diagnosis.finding and advises in str(finding.diagnosis.remedy)


def test_nothing_is_nothing(tmp_path: Path) -> None:
    assert look(tmp_path) == []


def test_a_keyboard_and_a_memory_stick_are_none_of_our_business(tmp_path: Path) -> None:
    trees.stick(tmp_path, "046d", "c31c", ["03"])
    trees.stick(tmp_path, "0781", "5567", ["08"], name="1-2")
    assert look(tmp_path) == []


def test_the_port_that_speaks_at_gets_the_block_and_its_facts(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim") as modem:
        device = trees.stick(tmp_path, "12d1", "1001", ["ff", "ff"])
        trees.port(tmp_path, device, 0, "ttyUSB0", "/dev/null")
        node = trees.port(tmp_path, device, 1, "ttyUSB1", str(modem.ports[0]))
        silent, speaks = look(tmp_path)
        assert modem.events("air") == []
    assert not silent.diagnosis.ok
    assert tomllib.loads(str(speaks.block))["route"][0]["port"] == node
    assert {"imei", "iccid", "smsc", "registration", "signal_dbm", "storage", "urcs"} <= set(speaks.diagnosis.facts)


def test_a_port_of_another_program_names_it(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim") as modem:
        port = os.path.realpath(modem.ports[0])
        trees.port(tmp_path, trees.stick(tmp_path, "12d1", "1001", ["ff"]), 0, "ttyUSB0", port)
        trees.process(tmp_path, 612, "ModemManager", port)
        descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY)
        try:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX)
            (finding,) = look(tmp_path)
        finally:
            os.close(descriptor)
    assert "ModemManager (PID 612)" in finding.diagnosis.finding


@pytest.mark.parametrize("port", ["", "auto:490154203237518"])
def test_a_port_of_the_daemon_is_asked_through_it_and_never_opened(tmp_path: Path, port: str) -> None:
    node = trees.port(tmp_path, trees.stick(tmp_path, "12d1", "1001", ["ff"]), 0, "ttyUSB0", "/nowhere/it/would/fail")
    trees.process(tmp_path, 77, "phonebridge", os.path.realpath(node))
    route = {"name": "sim0", "port": port or node, "state": "ready", "problem": None, "imei": "49", "signal_dbm": -71}
    (finding,) = look(tmp_path, [route], daemon_pid=77)
    assert (finding.route, finding.diagnosis.ok, finding.block) == ("sim0", True, None)
    assert finding.diagnosis.facts["signal_dbm"] == "-71"
    (sick,) = look(tmp_path, [{**route, "problem": "no SIM card; put one in"}], daemon_pid=77)
    assert (sick.diagnosis.ok, sick.diagnosis.remedy) == (False, "Put one in")


# --- servers ----------------------------------------------------------------------------------------


def test_servers_are_asked_whether_they_take_the_key(tmp_path: Path) -> None:
    with MobSmsServer(tmp_path, key="7|right") as server:
        server.add_device("phonebridge")
        file = tmp_path / "config.toml"
        blocks = "".join(
            f'[[upstream]]\ntype = "mobsms"\nname = "{name}"\nbase_url = "{url}"\napi_key = "{key}"\n'
            f'device_id = "{device}"\n'
            for name, url, key, device in (
                ("good", server.url, "7|right", "phonebridge"),
                ("key", server.url, "7|wrong", "phonebridge"),
                ("device", server.url, "7|right", "elsewhere"),
                ("down", "http://127.0.0.1:9", "7|right", "phonebridge"),
            )
        )
        file.write_text(blocks + '[[upstream]]\ntype = "local"\nbind = "127.0.0.1:9"\n')
        settings, _ = service.configuration(file)
        assert settings is not None
        found: dict[str, list[Any]] = {}
        for note in asyncio.run(service.servers(settings)):
            found.setdefault(note.topic.removeprefix("server "), []).append(note)
    assert [note.level for note in found["good"]] == [Level.OK, Level.OK]
    assert "refuses the API key" in found["key"][0].finding
    assert found["device"][1].level is Level.PROBLEM and "phonebridge" in str(found["device"][1].remedy)
    assert found["down"][0].level is Level.PROBLEM
    assert found["local"][0].level is Level.OK and "Nothing listens" in found["local"][0].finding


def test_a_damaged_journal_is_found(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_bytes(b"SQLite format 3\0" + b"\x55" * 8192)
    (note,) = service.journal(tmp_path)
    assert note.level is Level.PROBLEM and note.remedy


# --- the report -------------------------------------------------------------------------------------

SECRETS = {
    "api_key": "1|mobsms-key-0815", "pin": "4711", "password": "pass-word-ü", "webhook_secret": "whsec_1234abcd",
    "file": "key-from-a-file", "local": "generated-local-key", "environment": "key-of-the-environment",
    "url": "user:pa55word",
}  # fmt: skip


def test_no_secret_and_no_number_is_in_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "key").write_text(SECRETS["file"] + "\n")
    (tmp_path / "local-api-key").write_text(SECRETS["local"])
    monkeypatch.setenv("PHONEBRIDGE_UPSTREAM__MOBSMS__API_KEY", SECRETS["environment"])
    raw = {
        "route": [{"name": "sim0", "pin": SECRETS["pin"], "smsc": "+491710760000"}],
        "upstream": [
            {"api_key": SECRETS["api_key"], "api_key_file": str(tmp_path / "key"), "password": SECRETS["password"]},
            {"webhook_secret": SECRETS["webhook_secret"], "base_url": f"https://{SECRETS['url']}@sms.example.com"},
        ],
    }
    lines = ["[[route]]", *(f"{k} = {json.dumps(v)}" for k, v in raw["route"][0].items())]
    for table in raw["upstream"]:
        lines += ["[[upstream]]", *(f"{k} = {json.dumps(v, ensure_ascii=False)}" for k, v in table.items())]
    config = tmp_path / "config.toml"
    config.write_text("\n".join(lines))
    events = [
        {"id": 1, "kind": "call", "detail": "+491701234567, rejected"},
        {"id": 2, "kind": "voicemail", "detail": "private words"},
        {"id": 3, "kind": "recovery", "detail": f"tried with {SECRETS['api_key']} and {SECRETS['file']}"},
    ]
    pieces = {
        "config.json": raw,
        "status.json": {"routes": [{"iccid": "8949000000000000001", "imei": "490154203237518"}]},
        "events.json": bundle.events(events),
        "findings.json": [{"finding": f"{SECRETS['local']} {SECRETS['environment']} {SECRETS['password']}"}],
    }
    composed = bundle.compose(pieces, bundle.secrets_of(config, tmp_path))
    for file in (tmp_path / "report.txt", tmp_path / "report.tar.gz"):
        bundle.write(file, composed)
        assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(tmp_path / "report.tar.gz") as archive:
        packed = b"".join(archive.extractfile(entry).read() for entry in archive.getmembers())  # type: ignore[union-attr]
    for text in ((tmp_path / "report.txt").read_text(), packed.decode()):
        for name, secret in SECRETS.items():
            assert secret not in text, name
        for private in ("private words", "1701234567", "1710760000", "8949000000000", "490154203237518"):
            assert private not in text
        assert "sms.example.com" in text and "…0001" in text and "sim0" in text
