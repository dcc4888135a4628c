"""Commands about keys of the local server: key new, list, revoke."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit
from agent.cli.options import AsJson, ConfigFile


def new(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="What it is for, so that you know it later.")] = "cli",
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Make a key for the local server.

    It is shown now and never again.
    """
    with connected(config) as daemon:
        made = daemon.ask("key new", name=name)
    if as_json:
        output.as_json(made)
    else:
        output.write(made["key"])
    return Exit.OK


def list_(as_json: AsJson = False, config: ConfigFile = None) -> int:
    """List the keys.

    The generated one, which counts where none is configured, is shown whole.
    """
    with connected(config) as daemon:
        found = daemon.ask("key list")
    if as_json:
        output.as_json(found)
        return Exit.OK
    if found["generated"] is not None:
        output.write(f"generated key: {found['generated']['key']} (in {found['generated']['file']})")
    if found["keys"]:
        output.table(
            ("id", "name", "made", "last used"),
            [
                (
                    key["id"],
                    key["name"],
                    output.local_time(key["created_at"]),
                    output.local_time(key["last_used_at"]) or "never",
                )
                for key in found["keys"]
            ],
        )
    elif found["generated"] is None:
        output.write("no keys; make one with: phonebridge key new NAME")
    return Exit.OK


def revoke(
    key_id: Annotated[int, typer.Argument(metavar="ID", help="A key's id.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Take a key back.

    It lets nobody in from now on.
    """
    with connected(config) as daemon:
        answer = daemon.ask("key revoke", id=key_id)
    if as_json:
        output.as_json(answer)
    else:
        output.write(f"key {key_id} is revoked")
    return Exit.OK
