"""docs/cli-reference.md: every command with its arguments and options, as `--help` has them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from agent.cli import PROGRAM
from agent.cli.app import application
from agent.cli.exits import MEANINGS

_OPENING = """# Every command

In short, and the same as `phonebridge COMMAND --help`; [cli.md](cli.md) tells what they are for. This page is made from
the code (`make docs`): do not edit it.

| Exit code | Meaning |
|---|---|
"""


def page() -> str:
    """The whole page as Markdown."""
    codes = "\n".join(f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items())
    return f"{_OPENING}{codes}\n\n" + "\n".join(_command(*one) for one in commands())


def commands() -> Iterator[tuple[str, Any]]:
    """Every command that can be called, by its whole name, in the order of `--help`."""
    root = typer.main.get_command(application())
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", {})
        if not below or command.invoke_without_command:
            yield name, command
        for word, inner in below.items():
            yield f"{name} {word}", inner


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=f"{PROGRAM} {name}")
    usage = command.get_usage(context).removeprefix("Usage: ")
    lines = [f"## {PROGRAM} {name}\n", f"```\n{' '.join(usage.split())}\n```\n", f"{_text(command.help)}\n"]
    rows = [row for parameter in command.params if (row := parameter.get_help_record(context))]
    if rows:
        lines.append("| | |\n|---|---|")
        lines += [f"| `{_cell(names)}` | {_text(_cell(words))} |" for names, words in rows]
    return "\n".join((*lines, ""))


def _cell(words: str) -> str:
    return " ".join(words.split()).replace("|", "\\|")


def _text(words: str) -> str:
    """Without what Markdown would take for something."""
    return re.sub(r"([\[\]<*])", r"\\\1", words)
