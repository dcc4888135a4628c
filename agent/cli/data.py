"""Commands about the data as a whole: backup, restore, recover."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import config as configuration
from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson, ConfigFile
from agent.clock import Clock

_JOURNAL_FILE = "journal.db"
# A copy of a large journal from a slow card, verified.
_PATIENCE_S = 6 * 3600.0


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to; it must not exist yet.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Copy the journal while the daemon works.

    The copy has everything committed before it began, is verified, and is readable by you alone.
    """
    if file.exists():
        raise Fault(f"{file} exists; give another name, a backup is never overwritten", Exit.USAGE)
    partial = file.with_name(f".{file.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Fault(f"{file} cannot be written: {error.strerror}", Exit.USAGE) from error
    try:
        with os.fdopen(descriptor, "wb") as written:
            found = _receive(written, config)
        _publish(partial, file)
    finally:
        partial.unlink(missing_ok=True)
    if as_json:
        output.as_json({"file": str(file), **found})
    else:
        output.write(f"{file}: {found['octets'] / 1e6:.1f} MB, verified")
    return Exit.OK


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A backup.")],
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Put a backup in the place of the journal; stop the daemon first.

    Messages that were open in it are held, for they may have been sent since: see them with
    `phonebridge messages --state held`, and let them go with `phonebridge release`.
    """
    from agent.journal import restoring  # noqa: PLC0415 - only here
    from agent.journal.schema import JournalError  # noqa: PLC0415

    if not file.is_file():
        raise Fault(f"{file} is not there", Exit.USAGE)
    try:
        done = restoring.restore(file, journal_of(config), Clock().utc_ms())
    except JournalError as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(f"{error.filename or file}: {error.strerror}") from error
    if as_json:
        output.as_json({"held": done.held, "aside": None if done.aside is None else str(done.aside)})
        return Exit.OK
    output.write(f"restored; {done.held} open message(s) are held until: phonebridge release")
    if done.aside is not None:
        output.write(f"the journal that was there is now {done.aside}")
    output.write("start the daemon: systemctl start phonebridge")
    return Exit.OK


def recover(
    file: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="The damaged journal; the last one set aside without.")
    ] = None,
    discard: Annotated[
        bool, typer.Option("--discard", help="Save nothing: go on with the new, empty journal.")
    ] = False,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Save what can be read of a damaged journal; stop the daemon first.

    Messages that were open in it are held, for they may have been sent: see them with
    `phonebridge messages --state held`, and let them go with `phonebridge release`. The damaged file stays.
    """
    from agent.journal import salvage  # noqa: PLC0415 - only here
    from agent.journal.schema import JournalError  # noqa: PLC0415

    journal = journal_of(config)
    try:
        if discard:
            salvage.accept_loss(journal, Clock().utc_ms())
            output.as_json({"discarded": True}) if as_json else output.write("the new journal is used from now on")
            return Exit.OK
        source = file or salvage.find_damaged(journal) or journal
        if not source.is_file():
            raise Fault(f"{source} is not there; nothing was set aside in {journal.parent}", Exit.USAGE)
        done = salvage.recover(source, journal, Clock().utc_ms(), lambda saved: _show_saved(saved, as_json=as_json))
    except JournalError as error:
        raise Fault(str(error)) from error
    except OSError as error:
        raise Fault(f"{error.filename or journal}: {error.strerror}") from error
    if as_json:
        tables = [{"table": one.table, "rows": one.rows, "whole": one.is_whole} for one in done.tables]
        output.as_json({"source": str(done.source), "tables": tables, "held": done.held})
        return Exit.OK
    output.write(f"recovered from {done.source}; {done.held} open message(s) are held until: phonebridge release")
    output.write("start the daemon: systemctl start phonebridge")
    return Exit.OK


def _show_saved(saved: Any, *, as_json: bool) -> None:
    if not as_json and (saved.rows or not saved.is_whole):
        output.write(f"  {saved.table}: {saved.rows} row(s){'' if saved.is_whole else ', some are lost'}")


def journal_of(config: Path | None) -> Path:
    """The journal of a configuration, which need not be right otherwise. Raises: Fault."""
    try:
        return configuration.state_dir(config or configuration.DEFAULT_PATH) / _JOURNAL_FILE
    except configuration.ConfigError as error:
        raise Fault(str(error), Exit.USAGE) from error


# --- pieces -----------------------------------------------------------------------------------------


def _receive(written: Any, config: Path | None) -> dict[str, Any]:
    """All chunks into the file, synced and compared. Raises: Fault."""
    digest = hashlib.sha256()
    shown_at = 0.0

    def step(fields: dict[str, Any]) -> None:
        nonlocal shown_at
        if "data" in fields:
            chunk = base64.b64decode(fields["data"])
            digest.update(chunk)
            written.write(chunk)
        elif sys.stderr.isatty() and (time.monotonic() - shown_at > 0.2 or fields["done"] == fields["total"]):
            shown_at = time.monotonic()
            sys.stderr.write(f"\r{100 * fields['done'] // max(1, fields['total'])} % copied")
            sys.stderr.flush()

    with connected(config) as daemon:
        found = daemon.ask("backup", on_step=step, patience_s=_PATIENCE_S)
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    written.flush()
    os.fsync(written.fileno())
    if digest.hexdigest() != found["sha256"]:
        raise Fault("what arrived is not what the daemon sent; try again")
    return {"octets": found["octets"], "sha256": found["sha256"]}


def _publish(partial: Path, file: Path) -> None:
    """Give it its name, unless somebody else took that meanwhile. Raises: Fault."""
    try:
        os.link(partial, file)
    except FileExistsError:
        raise Fault(f"{file} exists; give another name, a backup is never overwritten", Exit.USAGE) from None
    except OSError:
        # A file system without hard links (a stick's).
        if file.exists():
            raise Fault(f"{file} exists; give another name, a backup is never overwritten", Exit.USAGE) from None
        partial.rename(file)
    with contextlib.suppress(OSError):
        descriptor = os.open(file.parent, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)
