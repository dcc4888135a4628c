"""`phonebridge check-config`: reads the configuration as the daemon would, and says what it means."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from agent import config
from agent.cli import output
from agent.cli.exits import Exit, Fault, say
from agent.cli.options import AsJson


def check_config(
    path: Annotated[
        Path, typer.Option("-c", "--config", metavar="FILE", help="The file to check.")
    ] = config.DEFAULT_PATH,
    example: Annotated[bool, typer.Option("--example", help="Print an example with every key, and stop.")] = False,
    as_json: AsJson = False,
) -> int:
    """Check a configuration, with the environment on top. Exits 2 where it is wrong."""
    if example:
        output.write(files("agent").joinpath("units", "config.example.toml").read_text(encoding="utf-8"))
        return Exit.OK
    try:
        settings = config.load(path)
    except config.ConfigError as error:
        if as_json:
            output.as_json({"ok": False, "error": str(error), "warnings": []})
        raise Fault(str(error), Exit.USAGE) from error
    routes = [route.name for route in settings.routes]
    upstreams = [upstream.name for upstream in settings.upstreams]
    if as_json:
        output.as_json(
            {
                "ok": True,
                "error": None,
                "warnings": list(settings.warnings),
                "state_dir": str(settings.agent.state_dir),
                "routes": routes,
                "upstreams": upstreams,
            }
        )
        return Exit.OK
    for warning in settings.warnings:
        say(f"warning: {warning}")
    output.write(
        f"{path} is right: routes {', '.join(routes) or 'none'}; servers {', '.join(upstreams) or 'none'}; "
        f"state in {settings.agent.state_dir}"
    )
    return Exit.OK
