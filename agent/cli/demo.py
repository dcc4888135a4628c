"""`phonebridge demo`: one message through the whole chain and one back, while you watch, without any hardware."""

from __future__ import annotations

import contextlib
import getpass
import json
import shlex
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from agent.cli import PROGRAM, output
from agent.cli.exits import Exit
from agent.cli.options import AsJson

if TYPE_CHECKING:
    from agent.cli.stage import Stage

# A number of the range that the German regulator keeps for fiction.
_RECIPIENT = "+4915200000000"
_TEXT = "Hello from phonebridge €"
_REPLY = "Got it, thanks"
_LONGEST_S = 30.0
_POLL_S = 0.03

Record = dict[str, Any]
_Found = TypeVar("_Found")


@dataclass(slots=True)
class _Narrator:
    """Prints steps with their time of day and the seconds since the beginning."""

    as_json: bool
    began: float = field(default_factory=time.time)

    def step(self, name: str, words: str, at_s: float | None = None, **facts: Any) -> None:
        moment = time.time() if at_s is None else at_s
        clock = datetime.fromtimestamp(moment).astimezone().isoformat(timespec="milliseconds")
        if self.as_json:
            output.as_json({"step": name, "at": clock, **facts})
        else:
            output.write(f"{clock[11:23]}  {moment - self.began:+7.3f} s  {name:<12} {words}")


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop after delivery and reply, instead of going on.")] = False,
    as_json: AsJson = False,
) -> int:
    """Watch a message go out and a reply come in.

    A daemon and an emulated modem are started; nothing leaves this box.

    Exits 0 when it was delivered and a reply came in, 1 when that takes more than 30 s.
    """
    from agent.cli.stage import Stage  # noqa: PLC0415 - httpx, which no other command needs

    # SIGTERM ends the processes that were started, as Ctrl-C does.
    signal.signal(signal.SIGTERM, _interrupt)
    narrator = _Narrator(as_json)
    if not as_json:
        output.write("Starting a daemon with an emulated modem; nothing leaves this box.")
    with Stage(_REPLY, time.monotonic() + _LONGEST_S) as stage:
        narrator.step("ready", f"the daemon serves {stage.address}", address=stage.address)
        _watch(stage, narrator)
        if not once:
            _invite(stage, as_json=as_json)
            with contextlib.suppress(KeyboardInterrupt):
                stage.wait()
    return Exit.OK


def _watch(stage: Stage, narrator: _Narrator) -> None:
    """Send one message and tell each step of it, and the reply. Raises: Fault."""
    sent = stage.request("POST", "/api/sms", {"recipient_number": _RECIPIENT, "message": _TEXT})
    key = sent["id"]
    narrator.step("accepted", f"message {key} to {_RECIPIENT}: {_TEXT!r}, by POST /api/sms", id=key, text=_TEXT)
    air = _until(stage, lambda: next(stage.on_air(), None))
    narrator.step("on the wire", f"TPDU {air['tpdu']}", air["at_ms"] / 1000, tpdu=air["tpdu"])
    _until(stage, lambda: stage.request("GET", f"/api/sms/{key}")["status"] in ("sent", "delivered"))
    narrator.step("sent", "the network took it", id=key)
    _until(stage, lambda: stage.request("GET", f"/api/sms/{key}")["status"] == "delivered")
    narrator.step("delivered", "the recipient's phone has it", id=key)
    reply = _until(stage, lambda: _first_reply(stage))
    narrator.step(
        "reply", f"from {reply['sender_number']}: {reply['message']!r}", id=reply["id"], text=reply["message"]
    )


def _first_reply(stage: Stage) -> Record | None:
    rows = stage.request("GET", "/api/sms/inbox")["data"]
    return next((row for row in rows if row["message"] == _REPLY), None)


def _until(stage: Stage, ask: Callable[[], _Found | None]) -> _Found:
    """What `ask` gives as soon as it gives something. Raises: Fault."""
    while not (found := ask()):
        stage.check()
        time.sleep(_POLL_S)
    return found


def _invite(stage: Stage, *, as_json: bool) -> None:
    """Tell how to go on by hand."""
    page = f"{stage.address}/ui/" if stage.has_page() else f"{stage.address}/docs"
    port = stage.address.rpartition(":")[2]
    tunnel = f"ssh -L {port}:{stage.address.removeprefix('http://')} {getpass.getuser()}@{socket.gethostname()}"
    curl = curl_line(stage.address, stage.key)
    if as_json:
        output.as_json({"page": page, "tunnel": tunnel, "curl": curl, "config": str(stage.config)})
        return
    output.write(f"""
Look at it:                  {page}
Log in there with the key:   {stage.key}
From another computer first: {tunnel}
Send one yourself:
  {curl}
See what became of it:
  {_program()} messages --full -c {stage.config}
Ctrl-C ends it all.""")


def _program() -> str:
    """The command as it can be typed here: a virtual environment's is not on the path."""
    program = Path(sys.executable).with_name(PROGRAM)
    if shutil.which(PROGRAM) == str(program):
        return PROGRAM
    here = Path.cwd()
    return shlex.quote(str(program.relative_to(here) if program.is_relative_to(here) else program))


def curl_line(address: str, key: str) -> str:
    """A command that sends a message, ready for a shell."""
    body = json.dumps({"recipient_number": _RECIPIENT, "message": "Sent by curl"})
    words = ["curl", "-sS", f"{address}/api/sms", "-H", f"Authorization: Bearer {key}"]
    return shlex.join([*words, "-H", "Content-Type: application/json", "-d", body])


def _interrupt(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt
