"""docs/cli.md names every command and option there is, and README.md opens with the two commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.cli.exits import MEANINGS, Exit
from agent.operations import OPERATIONS
from scripts.reference import commands
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "cli.md").read_text()
COMMANDS = [
    "run", "demo", "check-config", "doctor", "status", "reload", "send", "messages", "inbox", "cancel", "resend",
    "release", "pause", "resume", "at", "ussd", "pin", "backup", "restore", "recover", "export",
    "decode", "key new", "key list",
    "key revoke", "hooks list", "hooks replay", "hooks test", "hooks secret", "alerts", "alerts test",
    "install-service", "udev-rules", "reset",
    "smsgate code", "smsgate login", "smsgate account",
]  # fmt: skip


def test_no_command_is_left_out(cli: Cli) -> None:
    listed = re.findall(r"^  ([a-z-]+) ", cli("--help").out.split("Commands:")[1], re.MULTILINE)
    assert set(listed) == {name.split()[0] for name in COMMANDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_command_and_its_options_are_documented(cli: Cli, name: str) -> None:
    help_text = cli(*name.split(), "--help").out
    assert f"`phonebridge {name}" in DOCUMENT
    for option in set(re.findall(r"--[a-z-]+", help_text.split("Options:")[1])) - {"--help"}:
        assert option in DOCUMENT, option
    if name != "run":
        assert "--json" in help_text


def test_every_exit_code_is_documented() -> None:
    assert list(MEANINGS) == list(Exit)
    for code, meaning in MEANINGS.items():
        assert f"| {code.value} | {meaning} |" in DOCUMENT


def test_the_page_of_all_commands_is_made_from_them() -> None:
    assert {name for name, _ in commands.commands()} == set(COMMANDS)
    assert all(command.help for _, command in commands.commands())
    is_fresh = (ROOT / "docs" / "cli-reference.md").read_text() == commands.page()
    assert is_fresh, "docs/cli-reference.md is stale; run: .venv/bin/python -m scripts.reference"


def test_every_operation_is_documented() -> None:
    assert [name for name in OPERATIONS if f"`{name}`" not in DOCUMENT] == []


def test_readme_opens_with_the_two_commands() -> None:
    opening = (ROOT / "README.md").read_text()[:300]
    assert opening.index("make demo") < opening.index("make test")
