"""Commands about messages: send, messages, inbox, cancel, resend, release."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.client import Daemon, connected
from agent.cli.dry_run import dry_run
from agent.cli.exits import Exit, Fault, say
from agent.cli.options import AsJson, ConfigFile, Full, MessageId

_STATES_THAT_FAILED = ("failed", "expired", "cancelled")


def send(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Recipient: +491701234567, or a short code.")],
    text: Annotated[str | None, typer.Argument(metavar="TEXT", help="The text; or use --file.")] = None,
    *,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help='Read the text from a file; "-" is standard input.')
    ] = None,
    route: Annotated[str | None, typer.Option("--route", help="By this route, not by the least busy one.")] = None,
    slot: Annotated[int | None, typer.Option("--slot", help="By the route in this SIM slot, from 0.")] = None,
    priority: Annotated[
        int, typer.Option("--priority", help="-128 to 127; from 100 on limits and delays are passed.")
    ] = 0,
    flash: Annotated[bool, typer.Option("--flash", help="Have it shown at once, and not kept (class 0).")] = False,
    port: Annotated[int | None, typer.Option("--port", help="For the application at this port, 0 to 65535.")] = None,
    octets: Annotated[bool, typer.Option("--hex", help="TEXT is data in hexadecimal.")] = False,
    without_sending: Annotated[
        bool, typer.Option("--dry-run", help="Send nothing; show alphabet, tables and parts.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Print each step until delivered or failed.")] = False,
    timeout_s: Annotated[float, typer.Option("--timeout", help="With --wait: give up after so many seconds.")] = 600,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Send an SMS.

    Exits 0 when it was accepted (with --wait: delivered, or sent where no report comes), 1 when it failed, 4 when
    --wait gave up first; the message goes on.
    """
    words = _text(text, file)
    asked = {
        "number": number, "text": None if octets else words, "data": "".join(words.split()) if octets else None,
        "route": route, "sim_slot": slot, "priority": priority, "flash": flash or None, "port": port,
    }  # fmt: skip
    if without_sending:
        return dry_run(asked, config, as_json=as_json)
    with connected(config) as daemon:
        try:
            message = daemon.ask(
                "send",
                **asked,
                wait=wait or None,
                on_step=lambda step: _show_step(step, as_json=as_json),
                patience_s=timeout_s if wait else 30.0,
            )
        except TimeoutError:
            if not wait:
                raise
            raise Fault(
                f"not delivered within {timeout_s:g} s; it goes on, see: phonebridge messages", Exit.NOT_YET
            ) from None
    if as_json:
        output.as_json(message)
    elif not wait:
        output.write(f"message {message['id']} {message['state']} ({message['parts']} part(s))")
    if message["state"] in _STATES_THAT_FAILED:
        say(f"message {message['id']} {message['state']}: {message['error'] or 'no reason given'}")
        return Exit.FAILED
    return Exit.OK


def messages(
    message_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="One message with its history.", show_default=False)
    ] = None,
    *,
    state: Annotated[list[str] | None, typer.Option("--state", help="Only this state; may be repeated.")] = None,
    limit: Annotated[int, typer.Option("--limit", help="Rows on a page, up to 200.")] = 20,
    page: Annotated[int, typer.Option("--page", help="From 1, newest first.")] = 1,
    full: Full = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """List messages, or show one and its history."""
    with connected(config) as daemon:
        if message_id is not None:
            return _show_one(daemon, message_id, full=full, as_json=as_json)
        found = daemon.ask("messages", states=state or None, limit=limit, page=page)
    return _show_page(found, full=full, as_json=as_json)


def inbox(
    limit: Annotated[int, typer.Option("--limit", help="Rows on a page, up to 200.")] = 20,
    page: Annotated[int, typer.Option("--page", help="From 1, newest first.")] = 1,
    full: Full = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """List what came in, newest first."""
    with connected(config) as daemon:
        found = daemon.ask("inbox", limit=limit, page=page)
    return _show_page(found, full=full, as_json=as_json)


def cancel(message_id: MessageId, as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Cancel a message that was never on the air."""
    return _act("cancel", message_id, as_json=as_json, config=config)


def resend(message_id: MessageId, as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Send a failed message again, as a new one.

    An expired or cancelled one likewise.
    """
    return _act("resend", message_id, as_json=as_json, config=config)


def release(
    message_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]…", help="Which; all without.", show_default=False)
    ] = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Let held messages go.

    Those are held that a server made more than max_backlog_age_h before this journal began.
    """
    with connected(config) as daemon:
        answer = daemon.ask("release", ids=message_ids or None)
    if as_json:
        output.as_json(answer)
    else:
        output.write(f"{answer['released']} message(s) released")
    return Exit.OK


# --- pieces -----------------------------------------------------------------------------------------


def _text(text: str | None, file: Path | None) -> str:
    if (text is None) == (file is None):
        raise Fault("give either a TEXT or --file FILE", Exit.USAGE)
    if text is not None:
        return text
    assert file is not None  # one of the two is given
    try:
        read = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
    except OSError as error:
        raise Fault(f"{file} cannot be read: {error.strerror}", Exit.USAGE) from error
    except UnicodeDecodeError as error:
        raise Fault(f"{file} is not UTF-8 text; convert it with iconv", Exit.USAGE) from error
    # An editor's last newline is not part of the message.
    return read.removesuffix("\n")


def _show_step(step: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.as_json(step)
    else:
        output.write(_step(step))


def _step(step: dict[str, Any]) -> str:
    words = [output.local_time(step["at"]), step["kind"]]
    if step["part"] is not None:
        words.append(f"part {step['part']}")
    if step["route"] is not None:
        words.append(f"by {step['route']}")
    if step["state"] is not None:
        words.append(f"→ {step['state']}")
    if step["detail"]:
        words.append(f"({step['detail']})")
    return output.printable(" ".join(str(word) for word in words))


def _show_page(found: dict[str, Any], *, full: bool, as_json: bool) -> int:
    shown = [output.hidden(message, full=full) for message in found["messages"]]
    if as_json:
        output.as_json({**found, "messages": shown})
        return Exit.OK
    if not shown:
        output.write("no messages")
        return Exit.OK
    output.table(
        ("id", "time", "", "number", "state", "route", "text"),
        [
            (
                message["id"],
                output.local_time(message["created_at"]),
                "in" if message["direction"] == "inbound" else "out",
                message["number"],
                _state(message),
                message["route"],
                message["text"],
            )
            for message in shown
        ],
    )
    if found["total"] > len(shown):
        output.write(f"{len(shown)} of {found['total']}; more with --page and --limit")
    return Exit.OK


def _state(message: dict[str, Any]) -> str:
    why = message["error"] or message.get("waits_for")
    return f"{message['state']}: {why}" if why else str(message["state"])


def _show_one(daemon: Daemon, key: str, *, full: bool, as_json: bool) -> int:
    message = output.hidden(daemon.ask("message", id=key), full=full)
    if as_json:
        output.as_json(message)
        return Exit.OK
    history = message.pop("history")
    details = message.pop("details")
    output.pairs([(name, value) for name, value in {**message, **details}.items() if value is not False])
    for step in history:
        output.write("  " + _step(step))
    return Exit.OK


def _act(operation: str, key: str, *, as_json: bool, config: Path | None) -> int:
    with connected(config) as daemon:
        message = daemon.ask(operation, id=key)
    if as_json:
        output.as_json(output.hidden(message, full=False))
    else:
        output.write(f"message {message['id']} is {message['state']}")
    return Exit.OK
