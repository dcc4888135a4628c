"""Options and arguments that several commands share, with one wording for each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "-c", "--config", metavar="FILE", help="The daemon that runs with this configuration, not the box's own."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Full = Annotated[bool, typer.Option("--full", help="Whole numbers and texts.")]
RouteName = Annotated[str, typer.Argument(metavar="ROUTE", help="A configured route's name.")]
MessageId = Annotated[str, typer.Argument(metavar="ID", help="A message's id or uid.")]
