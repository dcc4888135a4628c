"""Commands about routes and the daemon: status, pause, resume, at, ussd, pin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.client import Daemon, connected
from agent.cli.exits import Exit, Fault, say
from agent.cli.options import AsJson, ConfigFile, RouteName

_MARGIN_S = 15.0
_USSD_MARGIN_S = 120.0
"""A request may be written in three ways, each with an answer of its own."""


def status(as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Show the daemon, its routes and its servers.

    Exits 0 also when a route or a server has a problem; that stands in the answer.
    """
    with connected(config) as daemon:
        found = daemon.ask("status")
    if as_json:
        output.as_json(found)
        return Exit.OK
    clock = "" if found["clock_is_right"] else ", clock not set yet"
    output.write(
        f"phonebridge {found['version']} on {found['device_name']}, up {_duration(found['uptime_s'])}, "
        f"{found['queued']} queued{clock}"
    )
    if found["reload"] is not None and found["reload"]["error"] is not None:
        output.write(f"the changed configuration is not used: {output.printable(found['reload']['error'])}")
    if found["degraded"]:
        output.write(found["degraded"])
    if found["held"]:
        output.write(f"{found['held']} message(s) are held; see: phonebridge messages --state held, then release")
    _show_routes(found["routes"])
    _show_upstreams(found["upstreams"])
    return Exit.OK


def pause(route: RouteName, as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Stop sending by a route.

    What comes in is still taken. It lasts over restarts, until resumed.
    """
    return _set_paused("pause", route, as_json=as_json, config=config)


def resume(route: RouteName, as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Let a paused route send again."""
    return _set_paused("resume", route, as_json=as_json, config=config)


def at(
    route: RouteName,
    command: Annotated[
        str | None, typer.Argument(metavar="[COMMAND]", help="e.g. AT+CSQ; a terminal without.", show_default=False)
    ] = None,
    timeout_s: Annotated[float, typer.Option("--timeout", help="How long one command may take, up to 180 s.")] = 30,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Run a raw AT command on a route's modem.

    It runs between the daemon's own. Without a command a terminal is opened.

    Exits 1 where the modem's final result is an error.
    """
    with connected(config) as daemon:
        if command is not None:
            return _one_command(daemon, route, command, timeout_s, as_json=as_json)
        return _terminal(daemon, route, timeout_s, as_json=as_json)


def ussd(
    route: RouteName,
    code: Annotated[str, typer.Argument(metavar="CODE", help="e.g. '*100#', in quotes.", show_default=False)],
    timeout_s: Annotated[float, typer.Option("--timeout", help="How long the network may take, up to 180 s.")] = 180,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Ask the network by USSD, e.g. for the balance.

    One question and its answer; a menu is ended, and what leads to its point is written as one code (*100*1#).
    """
    with connected(config) as daemon:
        found = daemon.ask("ussd", patience_s=timeout_s + _USSD_MARGIN_S, route=route, code=code, timeout_s=timeout_s)
    if as_json:
        output.as_json(found)
        return Exit.OK
    for line in found["text"].splitlines() or [""]:
        output.write(output.printable(line))
    if found["expects_answer"]:
        output.write("(a menu: write the way to its point as one code, e.g. *100*1#)")
    return Exit.OK


def pin(
    route: RouteName,
    retry: Annotated[
        bool, typer.Option("--retry", help="Clear the record of a try that failed, and try the configured PIN once.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Show what is on record of a SIM's PIN, or allow one more try of it.

    A PIN that was refused once is never sent again by itself: three wrong ones block the SIM.
    """
    with connected(config) as daemon:
        found = daemon.ask("pin", route=route, retry=retry)
    if as_json:
        output.as_json(found)
        return Exit.OK
    for record in found["records"]:
        output.write(f"SIM …{record['sim'][-4:]}: the PIN was {record['verdict']}")
    if found["cleared"]:
        output.write(f"route {found['route']} tries its PIN once more now; see: phonebridge status")
    elif not found["records"]:
        output.write(f"no PIN was tried on route {found['route']} since the daemon started")
    return Exit.OK


# --- pieces -----------------------------------------------------------------------------------------


def _show_routes(routes: list[dict[str, Any]]) -> None:
    if not routes:
        output.write("no routes are configured; run: phonebridge doctor")
        return
    output.table(
        ("route", "slot", "state", "network", "signal", "queued", "SIM", "balance", "problem"),
        [
            (
                route["name"],
                route["sim_slot"],
                route["state"] + (" (sending)" if route["is_sending"] else ""),
                route["operator"] or route["registration"],
                _strength(route),
                route["queued"],
                None if route["iccid"] is None else f"…{route['iccid'][-4:]}",
                route["balance"],
                route["problem"] or route.get("waits_for"),
            )
            for route in routes
        ],
    )


def _show_upstreams(upstreams: list[dict[str, Any]]) -> None:
    if upstreams:
        output.table(
            ("server", "type", "waiting", "parked", "problem"),
            [
                (upstream["name"], upstream["type"], upstream["waiting"], upstream["parked"], upstream["problem"])
                for upstream in upstreams
            ],
        )


def _set_paused(operation: str, route: str, *, as_json: bool, config: Path | None) -> int:
    with connected(config) as daemon:
        found = daemon.ask(operation, route=route)
    if as_json:
        output.as_json(found)
    else:
        output.write(f"route {found['name']} is {'paused' if found['is_paused'] else 'no longer paused'}")
    return Exit.OK


def _one_command(daemon: Daemon, route: str, command: str, timeout_s: float, *, as_json: bool) -> int:
    answer = daemon.ask("at", patience_s=timeout_s + _MARGIN_S, route=route, command=command, timeout_s=timeout_s)
    lines: list[str] = answer["lines"]
    if as_json:
        output.as_json(answer)
    else:
        for line in lines:
            output.write(output.printable(line))
    return Exit.OK if lines and lines[-1] == "OK" else Exit.FAILED


def _terminal(daemon: Daemon, route: str, timeout_s: float, *, as_json: bool) -> int:
    """Lines from standard input, one command each, until it ends. A refused one does not end it."""
    is_watched = sys.stdin.isatty()
    if is_watched:
        output.write(f"AT terminal of route {route}; Ctrl-D ends it")
    while True:
        if is_watched:
            sys.stdout.write("> ")
            sys.stdout.flush()
        line = sys.stdin.readline()
        if not line:
            return Exit.OK
        if not line.strip():
            continue
        try:
            _one_command(daemon, route, line.strip(), timeout_s, as_json=as_json)
        except Fault as fault:
            if fault.code is not Exit.FAILED:
                raise
            say(str(fault))


def _strength(route: dict[str, Any]) -> str | None:
    """The signal; for a service, which has none, its credit or its price."""
    if route["signal_dbm"] is not None:
        return f"{route['signal_dbm']} dBm"
    if route.get("price") is None:
        return None
    return f"credit {route['credit']}, {route['price']} each" if route.get("credit") else f"{route['price']} each"


def _duration(seconds: float) -> str:
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours >= 48:
        return f"{hours // 24} days"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
