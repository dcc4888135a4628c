"""The answer to a submit of an earlier session, which is often still in the line when the port is opened again.

Listens before anything is written: ESC or a flush would throw the evidence away, and a modem in its radio phase
must not be disturbed.
"""

from __future__ import annotations

import asyncio

from drivers.api import SessionLost, SubmitError, Submitted
from drivers.at import causes, commands
from drivers.at.channel import Channel
from drivers.at.parser import Kind, Line
from drivers.at.request import Answer

LISTEN_S = 2.5
"""Most networks answer within this, and a modem that was killed at its prompt is not kept waiting long."""

_TRY_S = 1.0
_PAUSE_S = 4.0
_OK_S = 0.5
_TRIES_BEFORE_ESCAPE = 1


async def settle(channel: Channel, body_s: float, maker: str = "") -> Submitted | SubmitError | None:
    """Return the late answer, or None once the modem takes commands without having given one.

    A modem that stays silent may still be sending: it is given as long as a submit may take.
    Raises: SessionLost where the link breaks or the modem stays silent for all that time.
    """
    deadline = asyncio.get_running_loop().time() + body_s
    listen_s, tries = LISTEN_S, 0
    try:
        while True:
            line = await channel.overhear(listen_s)
            while line is not None:
                outcome = read(line, maker)
                if outcome is not None:
                    await channel.overhear(_OK_S)
                    return outcome
                if line.kind is Kind.PROMPT:
                    tries = max(tries, _TRIES_BEFORE_ESCAPE)
                line = await channel.overhear(_OK_S)
            if tries == _TRIES_BEFORE_ESCAPE:
                # Killed at the prompt: nothing but ESC ends that. In its radio phase a modem ignores it.
                channel.escape()
            answer = await channel.try_at(_TRY_S)
            tries += 1
            if answer is not None:
                outcome = read(answer, maker)
                # The answer may have come in two: a +CMGS line that stood before the OK was overheard.
                late = await channel.overhear(0.01)
                return outcome or (read(late, maker) if late is not None else None)
            if asyncio.get_running_loop().time() >= deadline:
                raise SessionLost("The modem does not answer.")
            listen_s = _TRY_S if tries <= _TRIES_BEFORE_ESCAPE else _PAUSE_S
    finally:
        channel.stop_overhearing()


def read(line: Line, maker: str = "") -> Submitted | SubmitError | None:
    """Return what a stray line says of a submit; None where it cannot only be a submit's answer."""
    if line.name == "+CMGS":
        return Submitted(commands.message_reference(Answer((line,), line)))
    if line.name == "+CMS ERROR" and causes.is_late_answer(line.text):
        return causes.error(line.text, handed_over=True, maker=maker) or Submitted(None)
    return None
