"""`phonebridge reset`: switches a configured modem's USB port, or its power, off and on. Needs root.

A person names a route. The unit phonebridge-reset takes the daemon's requests instead: files in a directory that the
service's user owns, so nothing there is trusted but a route's name and one of two words. Device and command come from
the configuration, which must be root's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import stat
from pathlib import Path
from typing import Annotated

import typer

from agent import config
from agent.cli import output
from agent.cli.exits import Exit, Fault, say
from agent.cli.options import AsJson
from agent.settings import Config
from drivers.at import ports, rungs
from drivers.at.recovery import Rung
from drivers.at.settings import AtSettings

_STEPS = {Rung.USB.value: Rung.USB, Rung.POWER.value: Rung.POWER}
_ROUTE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_LONGEST_REQUEST_OCTETS = 16


def reset(
    route: Annotated[str | None, typer.Argument(metavar="[ROUTE]", help="Its name.", show_default=False)] = None,
    power: Annotated[bool, typer.Option("--power", help="Its power, by the route's power_cycle.")] = False,
    requests: Annotated[
        Path | None, typer.Option("--requests", metavar="DIR", help="What the daemon asks for there.")
    ] = None,
    path: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The configuration, root's own.")
    ] = config.DEFAULT_PATH,
    as_json: AsJson = False,
) -> int:
    """Switch a modem's USB port off and on, or its power; as root, and only what is configured.

    Exits 1 where a step failed.
    """
    if (route is None) == (requests is None):
        raise Fault("name a route, or a directory of requests", Exit.USAGE)
    wanted = take(requests) if requests is not None else [(str(route), Rung.POWER if power else Rung.USB)]
    done = carry_out(wanted, path, ports.Roots())
    if as_json:
        output.as_json({"steps": [{"route": name, "step": rung.value, "error": error} for name, rung, error in done]})
    else:
        for name, rung, error in done:
            if error is None:
                output.write(f"route {name}: {rung.value} was switched off and on")
            else:
                say(f"route {name}: {error}")
    return Exit.FAILED if any(error for _, _, error in done) else Exit.OK


def carry_out(
    wanted: list[tuple[str, Rung]], path: Path, roots: ports.Roots, *, owner: int = 0
) -> list[tuple[str, Rung, str | None]]:
    """Each step with its error in a sentence, or None. Raises: Fault where the configuration cannot be trusted."""
    settings = _trusted(path, owner)
    routes = {one.name: one.driver for one in settings.routes if isinstance(one.driver, AtSettings)}
    done: list[tuple[str, Rung, str | None]] = []
    for name, rung in wanted:
        error: str | None = None
        if name not in routes:
            error = f"there is no modem of that name; configured are: {', '.join(routes) or 'none'}"
        else:
            error = _unfit(routes[name], rung)
        if error is None:
            try:
                asyncio.run(rungs.carry_out_here(rung, routes[name], routes[name].port, roots))
            except OSError as fault:
                error = f"{rung.value} failed: {fault}"
        done.append((name, rung, error))
    return done


def take(folder: Path) -> list[tuple[str, Rung]]:
    """Take the requests out of the directory, and return those that are understood. Follows no link."""
    found: list[tuple[str, Rung]] = []
    with contextlib.suppress(FileNotFoundError):
        place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            for name in sorted(os.listdir(place)):  # noqa: PTH208 - of the directory that is open
                # Removed first: what cannot be done must not be asked for again at once.
                word = _read(place, name)
                _remove(place, name)
                if word in _STEPS and _ROUTE.fullmatch(name):
                    found.append((name, _STEPS[word]))
        finally:
            os.close(place)
    return found


def _read(place: int, name: str) -> str:
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=place)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            return ""
        return os.read(file, _LONGEST_REQUEST_OCTETS).decode("ascii", errors="replace").strip()
    finally:
        os.close(file)


def _remove(place: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=place)
    except OSError:
        with contextlib.suppress(OSError):
            os.rmdir(name, dir_fd=place)


def _unfit(settings: AtSettings, rung: Rung) -> str | None:
    if rung is Rung.POWER and settings.power_cycle is None:
        return "it has no power_cycle in the configuration"
    if rung is Rung.USB and not settings.port.startswith("/"):
        return f"port {settings.port.split(':')[0]}: names no device; configure its path (phonebridge doctor shows it)"
    return None


def _trusted(path: Path, owner: int) -> Config:
    """The configuration, if nobody but its owner can have written it. Raises: Fault."""
    for place in (path, path.parent):
        try:
            status = place.stat()
        except OSError as error:
            raise Fault(f"{place} cannot be read: {error.strerror}") from error
        if status.st_uid != owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Fault(
                f"{place} can be written by others than root, so no command of it is run; run: "
                f"sudo chown root:phonebridge {place} && sudo chmod g-w,o-w {place}",
                Exit.USAGE,
            )
    try:
        return config.load(path)
    except config.ConfigError as error:
        raise Fault(str(error), Exit.USAGE) from error
