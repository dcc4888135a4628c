"""`phonebridge smsgate` against a real daemon and a real server: the walkthrough of docs/smsgate.md."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import START_S, Cli, Outcome, Running
from tests.forked import popen
from tests.smsgate_server.process import SmsGateServer

PASSWORD = "fourteen-letters"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmsGateServer]:
    with SmsGateServer(tmp_path / "server") as server:
        server.control("user", login="OWNER1", password=PASSWORD)
        yield server


def test_a_gateway_without_such_an_upstream_says_so(cli: Cli, daemon: Running) -> None:
    refused = cli("smsgate", "account", "-c", str(daemon.config))
    assert refused.code == 1 and "docs/smsgate.md" in refused.err


def test_pair_look_and_make_a_code_and_no_secret_is_logged(
    cli: Cli, server: SmsGateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, log = tmp_path / "config.toml", tmp_path / "log"
    config.write_text(f"""
[agent]
state_dir = "{tmp_path / "state"}"
log_level = "debug"
[[upstream]]
type = "smsgate"
base_url = "{server.url}"
""")

    def ask(*arguments: str) -> Outcome:
        return cli("smsgate", *arguments, "-c", str(config))

    def piped(password: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{password}\n"))

    with log.open("wb") as lines:
        process = popen("agent.cli", "run", "-c", str(config), stderr=lines)
    try:
        until = time.monotonic() + START_S
        while ask("account").code != 0 and time.monotonic() < until:
            time.sleep(0.1)
        assert "password: not known here" in ask("account").out
        piped("")
        assert ask("login", "OWNER1").code == 2
        piped("wrong")
        refused = ask("login", "OWNER1")
        assert refused.code == 1 and "does not accept this login and password" in refused.err
        piped(PASSWORD)
        assert "paired with" in ask("login", "OWNER1").out
        shown = ask("account", "--json").json
        assert (shown["login"], shown["password"]) == ("OWNER1", PASSWORD)
        assert f"password: {PASSWORD}" in ask("account").out
        code = ask("code", "--json").json["code"]
        assert "paired with" in ask("code", code).out and ask("code", code).code == 1
        assert ask("account", "--upstream", "other").code == 2
    finally:
        process.terminate()
        process.wait(15)
    token = server.look()["devices"][-1]["token"]
    written = log.read_text()
    assert "device_registered" in written
    assert not [secret for secret in (PASSWORD, token, code, shown["signing_key"]) if secret in written]
