"""Commands about webhooks of the local server: hooks list, replay, test, secret."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit
from agent.cli.options import AsJson, ConfigFile


def list_(
    state: Annotated[str | None, typer.Option("--state", help="waiting, done or given_up.", show_default=False)] = None,
    message: Annotated[
        int | None, typer.Option("--message", metavar="ID", help="Only calls about this message.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option("--limit", help="How many, newest first.")] = 20,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Show the calls that were made and those that wait, newest first.

    The log reaches back 30 days.
    """
    with connected(config) as daemon:
        found = daemon.ask("hooks list", state=state, message=message, limit=limit)
    if as_json:
        output.as_json(found)
    elif not found["deliveries"]:
        output.write("no webhook calls")
    else:
        output.table(
            ("id", "made", "message", "state", "tries", "next try", "answer", "address"),
            [_row(one) for one in found["deliveries"]],
        )
    return Exit.OK


def replay(
    delivery: Annotated[int, typer.Argument(metavar="ID", help="A call's id.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Make a call again, also one that was taken."""
    with connected(config) as daemon:
        answer = daemon.ask("hooks replay", id=delivery)
    if as_json:
        output.as_json(answer)
    else:
        output.write(f"call {delivery} is made again; see: phonebridge hooks list")
    return Exit.OK


def test(
    url: Annotated[
        str | None, typer.Argument(metavar="[URL]", help="Default: the owner's webhook.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Call an address now, once, as a real event would.

    Exits 1 where it was not taken.
    """
    with connected(config) as daemon:
        answer = daemon.ask("hooks test", url=url)
    is_taken = answer["state"] == "done"
    if as_json:
        output.as_json(answer)
    elif is_taken:
        output.write(f"taken: {answer['last_status']} after {answer['took_ms']} ms")
    else:
        said = f" ({output.printable(answer['last_answer'])})" if answer["last_answer"] else ""
        output.write(f"not taken: {output.printable(answer['last_error'])}{said}")
    return Exit.OK if is_taken else Exit.FAILED


def secret(
    rotate: Annotated[bool, typer.Option("--rotate", help="Make a new one; the old one signs nothing more.")] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Show the key that signs the owner's webhooks.

    How a receiver checks the signature stands in docs/webhooks.md.
    """
    with connected(config) as daemon:
        answer = daemon.ask("hooks secret", rotate=rotate)
    if as_json:
        output.as_json(answer)
    else:
        output.write(answer["secret"])
    return Exit.OK


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    return (
        one["id"],
        output.local_time(one["created_at"]),
        one["message"] or "test",
        one["state"],
        one["tries"],
        output.local_time(one["next_try_at"]) or None,
        one["last_error"] or one["last_status"],
        one["url"],
    )
