"""The line from the client: characters to commands to answers, and a record of what a client must not do.

One command at a time: what arrives while one runs is lost and logged as a violation, as real modems lose or
abort on it.
"""

import asyncio
import time
from collections.abc import Mapping

from drivers.simulator.command_line import Command, Operation, parse
from drivers.simulator.commands.handler import Handler
from drivers.simulator.device import Device
from drivers.simulator.disturbance import Power, strike, strike_switch
from drivers.simulator.output import Output
from drivers.simulator.reply import ERROR, Failure, OpenPrompt, Reboot, Reply, SendStored, cme
from drivers.simulator.submission import Phase, Submission

_CR = 0x0D
_MAX_LINE_OCTETS = 2048
_BACKSPACE = b"\x08"


class Dialogue:
    """Feeds on raw bytes; `deaf` is the reason why nothing is heard, empty when the modem listens."""

    def __init__(
        self,
        device: Device,
        output: Output,
        submission: Submission,
        power: Power,
        table: Mapping[str, Handler],
    ) -> None:
        self._device = device
        self._output = output
        self._submission = submission
        self._power = power
        self._table = table
        self._line = bytearray()
        self._loop = asyncio.get_running_loop()
        self._slow: asyncio.TimerHandle | None = None
        self.deaf = ""

    def feed(self, data: bytes) -> None:
        """What the client wrote, in any pieces."""
        rest = data
        while rest:
            if self.deaf:
                self._log("ignored", why=self.deaf, data=rest.hex())
                return
            phase = self._submission.phase
            guard_s = self._device.personality.guard_s
            if guard_s and phase is Phase.IDLE and time.monotonic() - self._output.finals_at < guard_s:
                self._violation("command_too_early", rest)
                return
            if phase is Phase.IN_THE_AIR:
                self._violation("command_while_busy", rest, submit=self._submission.number)
                return
            if phase is Phase.COLLECTING:
                used = self._submission.collect(rest)
                is_sent = rest[used - 1] == 0x1A
                rest = rest[used:]
                if is_sent and rest:
                    # With no radio time the answer is already written, but these bytes were sent before it.
                    self._violation("bytes_after_ctrl_z", rest, submit=self._submission.number)
                    return
            else:
                rest = self._collect_line(rest)

    def reset(self) -> None:
        """A reboot: a half-typed line is forgotten."""
        self._line.clear()
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _collect_line(self, data: bytes) -> bytes:
        """Takes characters up to CR and runs the line: what is left of `data`."""
        end = data.find(_CR)
        typed = data if end < 0 else data[: end + 1]
        if self._device.settings.has_echo or self._is_echo_stuck():
            self._output.raw(typed)
        self._line += typed
        if self._device.faults.armed and self._is_unplugged_inside():
            return b""
        if end < 0:
            if len(self._line) > _MAX_LINE_OCTETS:
                self._line.clear()
            return b""
        line = _edited(bytes(self._line))
        self._line.clear()
        rest = data[end + 1 :]
        if not line:
            return rest
        self._execute(line)
        # Bytes of the same read were written before our answer; a line feed or an ESC is no command.
        if rest.strip(b"\r\n\x1b") and not self.deaf:
            kind = "pdu_before_prompt" if self._submission.phase is Phase.COLLECTING else "command_while_busy"
            self._violation(kind, rest)
        return b""

    def _execute(self, line: str) -> None:
        commands = parse(line)
        if commands is None:
            self._output.answer("", (), ERROR.failure)
            return
        name = commands[0].name if commands else ""
        if self._device.options.logs_commands:
            # Names only: an argument may be a PIN.
            self._log("command", names=" ".join(command.name for command in commands))
        if self._device.faults.armed:
            if strike(self._device, self._power, name):
                return
            if commands and strike_switch(self._device, self._power, commands[0]):
                return
            if slow := self._device.faults.take("slow_command", point=name, command=name):
                self.deaf = "slow"
                self._slow = self._loop.call_later(slow.number("seconds"), self._answer_slowly, commands)
                return
        self._carry_out(commands)

    def _answer_slowly(self, commands: tuple[Command, ...]) -> None:
        self._slow = None
        self.deaf = ""
        self._carry_out(commands)

    def _carry_out(self, commands: tuple[Command, ...]) -> None:
        lines: list[str] = []
        has_final = True
        for command in commands:
            reply = self._run(command)
            lines += reply.lines
            has_final = has_final and reply.has_final
            if reply.failure is not None or reply.effect is not None:
                self._finish(command, tuple(lines), reply)
                return
        name = commands[-1].name if commands else ""
        if name == "+CMGL" and self._device.faults.armed and self._is_list_broken(lines):
            return
        self._output.answer(name, tuple(lines), None, has_final=has_final)

    def _is_list_broken(self, lines: list[str]) -> bool:
        faults = self._device.faults
        if hang := faults.take("list_hangs", point="+CMGL"):
            self._output.raw("".join(f"\r\n{line}" for line in lines[:1]).encode())
            self._power.hang(hang.number("seconds"))
            return True
        if cut := faults.take("list_cut", point="+CMGL"):
            del lines[int(cut.number("lines")) :]
        return False

    def _run(self, command: Command) -> Reply:
        row = self._device.personality
        if row.silencer is not None and command.name == row.silencer[0]:
            self._device.is_noisy = self._device.is_noisy and command.arguments != row.silencer[1]
        handler = self._table.get(command.name)
        if handler is None:
            if row.unknown_final:
                return Reply(failure=Failure("TEXT", text=row.unknown_final))
            return cme(4) if command.name[0] in "+^#$*%!" else ERROR
        return handler(self._device, command)

    def _finish(self, command: Command, lines: tuple[str, ...], reply: Reply) -> None:
        match reply.effect:
            case OpenPrompt(octets, stores):
                self._submission.begin(octets, stores=stores)
            case SendStored(pdu):
                self._submission.send_stored(pdu)
            case Reboot():
                self._output.answer(command.name, lines, None)
                self._power.reboot("command")
            case None:
                if command.name in ("+CMGS", "+CMSS") and reply.failure and command.operation is Operation.SET:
                    self._log("submit_refused", code=reply.failure.code)
                self._output.answer(command.name, lines, reply.failure)

    def _is_unplugged_inside(self) -> bool:
        fault = self._device.faults.find("unplug_at", point="command_byte")
        typed = bytes(self._line).lstrip(b"\x1b\r\n")
        if fault is None or not typed.startswith(b"AT+CMGS"[: len(typed)]) or len(typed) < fault.number("octets"):
            return False
        self._device.faults.fire(fault, point=f"command_byte {len(typed)}")
        self._power.unplug(fault.number("seconds"))
        return True

    def _is_echo_stuck(self) -> bool:
        faults = self._device.faults
        return bool(faults.armed) and faults.find("echo_stuck") is not None

    def _violation(self, kind: str, data: bytes, submit: int | None = None) -> None:
        self._log("violation", kind=kind, submit=submit, data=data.hex())

    def _log(self, event: str, **fields: str | int | None) -> None:
        self._device.log.write(self._device.number, event, **fields)


def _edited(line: bytes) -> str:
    """A command line without control characters; a backspace takes one back (V.25ter §5.2.2)."""
    while (place := line.find(_BACKSPACE)) >= 0:
        line = line[: max(0, place - 1)] + line[place + 1 :]
    return "".join(character for character in line.decode("latin-1") if character >= " ").strip()
