"""The command line, and the program's life: modems, control socket, ready line, end."""

import argparse
import asyncio
import json
import os
import selectors
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from drivers.simulator.log import EventLog, Value
from drivers.simulator.modem import Modem, Numbers
from drivers.simulator.narration import narrate
from drivers.simulator.personalities import PERSONALITIES
from drivers.simulator.presence import Presence
from drivers.simulator.server import ControlServer
from drivers.simulator.settings import Options

_MAX_MODEMS = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the simulator until SIGTERM, SIGINT or the operation `quit`. Returns the exit code."""
    parser = _parser()
    parsed = parser.parse_args(arguments)
    options = _options(parser, parsed)
    try:
        with asyncio.Runner(loop_factory=_punctual_loop if parsed.punctual else None) as runner:
            runner.run(_run(options))
    except OSError as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 1
    return 0


def _punctual_loop() -> asyncio.AbstractEventLoop:
    """epoll counts whole milliseconds, by which answers would be late; select counts microseconds."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


async def _run(options: Options) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if options.exits_on_stdin_eof:
        loop.add_reader(sys.stdin.fileno(), _watch_stdin, ended)
    log = EventLog(options.log)
    log.write(None, "start", pid=os.getpid(), modems=len(options.links), personality=options.personality)
    presence = Presence(log)
    numbers = Numbers()
    modems = [Modem(number, options, log, numbers, presence) for number in range(len(options.links))]
    server = ControlServer(modems, ended.set)
    if options.control is not None:
        await server.start(options.control)
    ready = {
        "ports": [str(link) for link in options.links],
        "control": str(options.control) if options.control else None,
        "log": str(options.log) if options.log else None,
        "pid": os.getpid(),
    }
    sys.stdout.write(f"ready {json.dumps(ready)}\n")
    sys.stdout.flush()
    if options.has_air_print:
        log.observe(_print)  # only now: the ready line comes first
    await ended.wait()
    await server.stop()
    for modem in modems:
        modem.close()
    presence.close()
    log.write(None, "stop")
    log.close()


def _watch_stdin(ended: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        ended.set()


def _print(modem: int | None, event: str, fields: dict[str, Value]) -> None:
    line = narrate(modem, event, fields)
    if line is not None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m drivers.simulator",
        description="Emulates GSM modems on ptys, with radio, network, faults and a log of the air.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--modems", type=int, default=1, help=f"how many, 1 to {_MAX_MODEMS}")
    add("--link", type=Path, help="the stable name of the only modem's port")
    add("--link-dir", type=Path, help="directory for the stable names modem0, modem1, ...")
    add("--control", type=Path, help="path of the control socket")
    add("--log", type=Path, help="event log, JSON lines, appended")
    add("--personality", choices=sorted(PERSONALITIES), default="generic", help="kind of modem")
    add("--radio-time", type=_seconds, default=0.2, metavar="S", help="from Ctrl-Z to the answer")
    add("--report-delay", type=_seconds, default=0.5, metavar="S", help="from the air to the status report")
    add("--report-jitter", type=_seconds, default=0.0, metavar="S", help="up to so much more, at random")
    add(
        "--report-status",
        default="0",
        help="TP-ST of the report; several, with commas, come one after another",
    )
    add("--no-reports", action="store_true", help="the network returns no status reports")
    add("--auto-reply", metavar="TEXT", help="the recipient answers every message with this text")
    add("--auto-reply-delay", type=_seconds, default=1.0, metavar="S", help="from the air to that answer")
    add("--boot-time", type=_seconds, default=3.0, metavar="S", help="after a reboot or a re-plug")
    add("--retry", type=_seconds, default=2.0, metavar="S", help="between the network's attempts to deliver")
    add("--ack-timeout", type=_seconds, default=15.0, metavar="S", help="how long +CNMA may take")
    add("--me-capacity", type=int, help="slots of memory ME (default: by personality)")
    add("--sm-capacity", type=int, help="slots of memory SM (default: by personality)")
    add("--sr-capacity", type=int, help="slots of memory SR (default: by personality); 0 refuses CNMI ds=2")
    add("--sr-lies", action="store_true", help="with --sr-capacity 0: CNMI ds=2 is accepted, reports are lost")
    add("--text-mode", action="store_true", help="+CMGF is 1 after power-up")
    add("--no-sim", action="store_true", help="the SIM slot is empty")
    add("--second-sim", action="store_true", help="the second SIM slot holds a card, where the personality has one")
    add("--pin", help="the SIM asks for this PIN after power-up")
    add("--smsc", default="+491710760000", help="the SMSC on the SIM; empty for none")
    add("--registration", type=int, default=1, help="<stat> of +CREG, +CGREG and +CEREG")
    add("--ussd", default="Balance 9.99 EUR", help="what the network answers to any USSD request")
    add("--noise", type=_seconds, metavar="S", help="between noise lines (default: by personality); 0 for none")
    add("--seed", type=int, default=1, help="of references and jitter")
    add("--log-commands", action="store_true", help="log the name of every command (no arguments)")
    add("--print-air", action="store_true", help="one line per event for a person who watches")
    add("--punctual", action="store_true", help="keep times to the microsecond, for benchmarks")
    add("--exit-with-stdin", action="store_true", help="end when standard input ends")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def _options(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> Options:
    if not 1 <= parsed.modems <= _MAX_MODEMS:
        parser.error(f"--modems is 1 to {_MAX_MODEMS}")
    if (parsed.link is None) == (parsed.link_dir is None):
        parser.error("give either --link or --link-dir")
    if parsed.link is not None and parsed.modems != 1:
        parser.error("--link names one modem; use --link-dir for several")
    links = (parsed.link,) if parsed.link else tuple(parsed.link_dir / f"modem{n}" for n in range(parsed.modems))
    try:
        statuses = tuple(int(status, 0) for status in parsed.report_status.split(","))
    except ValueError:
        parser.error(f"--report-status {parsed.report_status!r} is no list of numbers")
    return Options(
        links=links,
        control=parsed.control,
        log=parsed.log,
        personality=parsed.personality,
        radio_time_s=parsed.radio_time,
        report_delay_s=parsed.report_delay,
        report_jitter_s=parsed.report_jitter,
        report_statuses=statuses,
        has_reports=not parsed.no_reports,
        auto_reply=parsed.auto_reply,
        auto_reply_delay_s=parsed.auto_reply_delay,
        boot_time_s=parsed.boot_time,
        retry_s=parsed.retry,
        acknowledge_timeout_s=parsed.ack_timeout,
        me_capacity=parsed.me_capacity,
        sm_capacity=parsed.sm_capacity,
        sr_capacity=parsed.sr_capacity,
        has_false_sr=parsed.sr_lies,
        is_text_mode_default=parsed.text_mode,
        has_sim=not parsed.no_sim,
        pin=parsed.pin,
        smsc=parsed.smsc,
        registration=parsed.registration,
        ussd=parsed.ussd,
        has_second_sim=parsed.second_sim,
        noise_gap_s=parsed.noise,
        seed=parsed.seed,
        has_air_print=parsed.print_air,
        logs_commands=parsed.log_commands,
        exits_on_stdin_eof=parsed.exit_with_stdin,
    )
