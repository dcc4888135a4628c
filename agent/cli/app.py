"""The command line: names, help, and what every command's end has in common."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

import agent
from agent.cli import (
    PROGRAM,
    alerts,
    check,
    data,
    decode,
    demo,
    doctor,
    export,
    hooks,
    install,
    keys,
    messages,
    output,
    pairing,
    reload,
    reset,
    routes,
    udev,
)
from agent.cli.exits import Exit, Fault, internal, say

_EPILOG = (
    "Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 no daemon answers, 4 not delivered in the time given. "
    "Each command has its own --help."
)


def main(arguments: Sequence[str]) -> int:
    """Run one command. Returns the exit code; prints one sentence where it is not 0."""
    try:
        result = _parser()(list(arguments), prog_name=PROGRAM, standalone_mode=False)
    except Fault as fault:
        say(str(fault))
        return fault.code
    except typer.TyperException as error:
        # What the parser refuses: unknown options, missing arguments, numbers that are none.
        words = error.format_message().strip().rstrip(".")
        say(f"{words[:1].lower()}{words[1:]}; see: {PROGRAM} --help")
        return Exit.USAGE
    except (KeyboardInterrupt, typer.Abort):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe, such as head, has seen enough.
        return Exit.OK
    except Exception as error:
        return internal(error)
    return result if isinstance(result, int) else Exit.OK


def run(
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="Configuration.")] = Path(
        "/etc/phonebridge/config.toml"
    ),
) -> int:
    """Run the daemon in the foreground until SIGTERM or Ctrl-C."""
    from agent.cli import run as slim  # noqa: PLC0415 - reached by `phonebridge run` behind other options only

    return slim.main(["-c", str(config)])


@functools.cache
def _parser() -> Callable[..., object]:
    """Made once, since looking through all commands takes longest."""
    return typer.main.get_command(application())


def application() -> typer.Typer:
    """Every command, for the parser and for docs/cli-reference.md."""
    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_EPILOG,
    )
    app.callback()(_root)
    commands: list[tuple[str, Callable[..., int]]] = [
        ("run", run),
        ("demo", demo.demo),
        ("check-config", check.check_config),
        ("doctor", doctor.doctor),
        ("status", routes.status),
        ("reload", reload.reload),
        ("send", messages.send),
        ("messages", messages.messages),
        ("inbox", messages.inbox),
        ("cancel", messages.cancel),
        ("resend", messages.resend),
        ("release", messages.release),
        ("pause", routes.pause),
        ("resume", routes.resume),
        ("at", routes.at),
        ("ussd", routes.ussd),
        ("pin", routes.pin),
        ("backup", data.backup),
        ("restore", data.restore),
        ("export", export.export),
        ("recover", data.recover),
        ("decode", decode.decode),
        ("install-service", install.install_service),
        ("udev-rules", udev.udev_rules),
        ("reset", reset.reset),
    ]
    for name, function in commands:
        app.command(name)(function)
    key = typer.Typer(rich_markup_mode=None, help="Keys of the local server.")
    for name, function in (("new", keys.new), ("list", keys.list_), ("revoke", keys.revoke)):
        key.command(name)(function)
    app.add_typer(key, name="key")
    hook = typer.Typer(rich_markup_mode=None, help="Webhooks of the local server.")
    for name, function in (
        ("list", hooks.list_),
        ("replay", hooks.replay),
        ("test", hooks.test),
        ("secret", hooks.secret),
    ):
        hook.command(name)(function)
    app.add_typer(hook, name="hooks")
    gate = typer.Typer(rich_markup_mode=None, help="Pairing with an account of an SMSGate server.")
    for name, function in (("code", pairing.code), ("login", pairing.login), ("account", pairing.account)):
        gate.command(name)(function)
    app.add_typer(gate, name="smsgate")
    alert = typer.Typer(rich_markup_mode=None)
    alert.callback(invoke_without_command=True)(alerts.alerts)
    alert.command("test")(alerts.test)
    app.add_typer(alert, name="alerts")
    return app


def _print_version(value: bool) -> None:
    if value:
        output.write(f"{PROGRAM} {agent.__version__}")
        raise typer.Exit(Exit.OK)


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Makes a box with GSM modems behave like the phone that an SMS-gateway server expects."""
