"""The commands against a real daemon with an emulated modem."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Cli, Outcome, Running

NUMBER = "+491701234567"
TEXT = "Grüße €"


def eventually(look: Cli, *arguments: str, until: str) -> Outcome:
    deadline = time.monotonic() + 5
    while True:
        found = look(*arguments)
        if until in found.out or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


@pytest.fixture
def ask(cli: Cli, daemon: Running) -> Cli:
    """A command of the daemon's, with the route running."""

    def call(*arguments: str) -> Outcome:
        return cli(*arguments, "-c", str(daemon.config))

    call("resume", "sim0")
    return call


def test_status(ask: Cli) -> None:
    found = ask("status", "--json").json
    assert found["device_name"] == "test"
    assert [(route["name"], route["state"], route["sim_slot"]) for route in found["routes"]] == [("sim0", "ready", 0)]
    assert found["routes"][0]["registration"] == "home"
    assert [upstream["type"] for upstream in found["upstreams"]] == ["local"]
    shown = ask("status").out
    assert "sim0" in shown and "ready" in shown and "local" in shown


def test_send_returns_once_accepted(ask: Cli) -> None:
    found = ask("send", NUMBER, TEXT, "--json")
    assert found.code == 0
    assert (found.json["number"], found.json["text"], found.json["parts"]) == (NUMBER, TEXT, 1)


def test_send_wait_prints_each_step_until_delivered(ask: Cli, daemon: Running) -> None:
    found = ask("send", NUMBER, "walk through", "--wait", "--json")
    *steps, message = found.json_lines
    assert found.code == 0
    assert message["state"] == "delivered"
    assert message["sent_at"] and message["delivered_at"]
    states = [step["state"] for step in steps if step["state"]]
    assert states[-2:] == ["sent", "delivered"]
    assert [event["text"] for event in daemon.modem.events("air")].count("walk through") == 1
    assert "→ delivered" in ask("send", NUMBER, "for people", "--wait").out


def test_send_by_route_and_slot(ask: Cli) -> None:
    assert ask("send", NUMBER, TEXT, "--route", "sim0", "--json").json["route"] == "sim0"
    assert ask("send", NUMBER, TEXT, "--slot", "0", "--priority", "100", "--json").json["priority"] == 100
    unknown = ask("send", NUMBER, TEXT, "--route", "sim7")
    assert (unknown.code, unknown.err) == (2, 'phonebridge: there is no route "sim7"; configured are: sim0\n')
    absent = ask("send", NUMBER, TEXT, "--slot", "7")
    assert absent.code == 1
    assert "there is no SIM slot 7" in absent.err


def test_send_from_file_and_standard_input(ask: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "text"
    file.write_text("two\nlines\n")
    assert ask("send", NUMBER, "--file", str(file), "--json").json["text"] == "two\nlines"
    monkeypatch.setattr("sys.stdin", io.StringIO("from a pipe\n"))
    assert ask("send", NUMBER, "--file", "-", "--json").json["text"] == "from a pipe"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param([NUMBER], "give either a TEXT or --file", id="no-text"),
        pytest.param([NUMBER, "a", "--file", "x"], "give either a TEXT or --file", id="two-texts"),
        pytest.param([NUMBER, "--file", "/nowhere/x"], "cannot be read: No such file", id="no-such-file"),
        pytest.param([NUMBER, "a", "--priority", "500"], "priority is a whole number from -128 to 127", id="priority"),
        pytest.param([NUMBER, "a", "--slot", "x"], "should be a valid integer", id="slot-is-no-number"),
        pytest.param([NUMBER, "a", "--speed", "9"], "no such option: --speed", id="unknown-option"),
        pytest.param([], "missing argument", id="nothing"),
    ],
)
def test_wrong_use_of_send(ask: Cli, arguments: list[str], words: str) -> None:
    found = ask("send", *arguments)
    assert found.code == 2
    assert words in found.err
    assert found.err.count("\n") == 1


@pytest.mark.parametrize(("number", "text"), [("abc", "x"), ("+12", "x"), (NUMBER, "")], ids=["word", "short", "empty"])
def test_a_message_that_can_never_go_fails_with_its_reason(ask: Cli, number: str, text: str) -> None:
    found = ask("send", number, text)
    assert found.code == 1
    assert re.match(r"phonebridge: message \d+ failed: .+", found.err)


def test_lists_hide_numbers_and_texts_unless_full(ask: Cli) -> None:
    ask("send", NUMBER, "a secret text")
    for arguments in (["messages"], ["messages", "--json"]):
        hidden = ask(*arguments).out
        assert "a secret text" not in hidden and NUMBER not in hidden and "…4567" in hidden
        shown = ask(*arguments, "--full").out
        assert "a secret text" in shown and NUMBER in shown


def test_one_message_with_its_history(ask: Cli) -> None:
    key = str(ask("send", NUMBER, "history", "--wait", "--json").json_lines[-1]["id"])
    found = ask("messages", key, "--json").json
    assert found["state"] == "delivered"
    assert found["text"] == "(7 characters)"
    assert [step["state"] for step in found["history"]][-1] == "delivered"
    assert "history" in ask("messages", key, "--full").out
    missing = ask("messages", "999999")
    assert (missing.code, "there is no message 999999" in missing.err) == (1, True)


def test_filter_and_pages(ask: Cli) -> None:
    for _ in range(3):
        ask("send", "abc", "never")
    found = ask("messages", "--state", "failed", "--limit", "2", "--json").json
    assert (len(found["messages"]), found["per_page"]) == (2, 2)
    assert {message["state"] for message in found["messages"]} == {"failed"}
    wrong = ask("messages", "--state", "lost")
    assert (wrong.code, "'lost' is no state; known are" in wrong.err) == (2, True)


def test_inbox(ask: Cli, daemon: Running) -> None:
    daemon.modem.control.deliver("+4930123456", "Rückruf bitte")
    found = eventually(ask, "inbox", "--full", until="Rückruf bitte")
    assert "+4930123456" in found.out
    assert ask("inbox", "--json").json["messages"][0]["direction"] == "inbound"


def test_a_text_cannot_steer_the_terminal(ask: Cli, daemon: Running) -> None:
    daemon.modem.control.deliver("+4930123456", "bell\x1b\x1b[2Jhere")
    found = eventually(ask, "inbox", "--full", until="here")
    assert "\x1b" not in found.out


def test_pause_cancel_resend_resume(ask: Cli) -> None:
    assert ask("pause", "sim0").out == "route sim0 is paused\n"
    assert ask("status", "--json").json["routes"][0]["state"] == "paused"
    key = str(ask("send", NUMBER, "stays", "--json").json["id"])
    waited = ask("send", NUMBER, "stays too", "--wait", "--timeout", "0.3")
    assert (waited.code, "not delivered within 0.3 s; it goes on" in waited.err) == (4, True)
    assert ask("cancel", key).out == f"message {key} is cancelled\n"
    assert ask("cancel", key).code == 1
    again = ask("resend", key, "--json").json
    assert str(again["id"]) != key
    assert ask("resume", "sim0", "--json").json["is_paused"] is False
    assert '"state": "delivered"' in eventually(ask, "messages", str(again["id"]), "--json", until='"delivered"').out
    refused = ask("resend", str(again["id"]))
    assert (refused.code, "only one that failed can be sent again" in refused.err) == (1, True)


def test_unknown_route(ask: Cli) -> None:
    for arguments in (["pause", "sim9"], ["resume", "sim9"], ["at", "sim9", "AT"]):
        found = ask(*arguments)
        assert (found.code, found.err) == (2, 'phonebridge: there is no route "sim9"; configured are: sim0\n')


def test_release_counts_what_was_held(ask: Cli) -> None:
    assert ask("release").out == "0 message(s) released\n"
    assert ask("release", "--json").json == {"released": 0}


def test_at_runs_one_command(ask: Cli) -> None:
    found = ask("at", "sim0", "AT+CSQ")
    assert found.code == 0
    assert found.out.startswith("+CSQ: ") and found.out.endswith("OK\n")
    assert ask("at", "sim0", "AT+CPIN?", "--json").json["lines"] == ["+CPIN: READY", "OK"]
    assert ask("at", "sim0", "AT+NONSENSE").code == 1


def test_at_terminal_reads_lines_until_they_end(ask: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("AT+CPIN?\n\nAT+CSQ\n"))
    found = ask("at", "sim0")
    assert found.code == 0
    assert "+CPIN: READY\nOK\n+CSQ: " in found.out


def test_keys_open_the_local_server(ask: Cli, daemon: Running) -> None:
    made = ask("key", "new", "my app", "--json").json

    def status_with(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{daemon.address}/api/devices", headers=headers, trust_env=False).status_code

    assert status_with(made["key"]) == 200
    listed = ask("key", "list", "--json").json
    assert made["key"] not in str(listed["keys"])
    assert [key["name"] for key in listed["keys"]].count("my app") == 1
    assert status_with(listed["generated"]["key"]) == 200
    assert "my app" in ask("key", "list").out
    assert ask("key", "revoke", str(made["id"])).out == f"key {made['id']} is revoked\n"
    assert status_with(made["key"]) == 401
    again = ask("key", "revoke", str(made["id"]))
    assert (again.code, "there is no key" in again.err) == (1, True)


def test_the_daemon_holds_neither_the_terminals_libraries_nor_pydantic() -> None:
    code = (
        "import sys\n"
        "from agent.cli import run\n"
        "run.slim_imports()\n"
        "from agent import daemon, logs, plugins\n"
        "for group in (plugins.DRIVERS, plugins.UPSTREAMS):\n"
        "    for name in plugins.names(group):\n"
        "        (plugins.load_driver if group == plugins.DRIVERS else plugins.load_upstream)(name)\n"
        "print(sorted({name.partition('.')[0] for name, module in sys.modules.items() if module}))\n"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for heavy in ("rich", "pygments", "typer", "click", "pydantic", "pydantic_core", "starlette", "uvicorn"):
        assert f"'{heavy}'" not in loaded, heavy
