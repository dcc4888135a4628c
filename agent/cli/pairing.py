"""Commands that connect this gateway to an SMSGate account: smsgate code, login, account."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from agent.cli import output
from agent.cli.client import connected
from agent.cli.exits import Exit, Fault
from agent.cli.options import AsJson, ConfigFile

# The server may take half a minute to answer, and a gateway of many modems asks it several times.
_PATIENCE_S = 120.0

Upstream = Annotated[
    str | None, typer.Option("--upstream", metavar="NAME", help="Which, where there are several.", show_default=False)
]


def code(
    one_time_code: Annotated[
        str | None, typer.Argument(metavar="[CODE]", help="The code that the account showed.", show_default=False)
    ] = None,
    upstream: Upstream = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Pair this gateway by a one-time code; without one, get a code for another device of its account.

    A code is good for a minute, and once.
    """
    with connected(config) as daemon:
        answer = daemon.ask("smsgate code", patience_s=_PATIENCE_S, code=one_time_code, upstream=upstream)
    if as_json:
        output.as_json(answer)
    elif one_time_code is None:
        output.write(f"{answer['code']} (until {output.printable(answer['valid_until'])})")
    else:
        _say_paired(answer)
    return Exit.OK


def login(
    user: Annotated[str, typer.Argument(metavar="USER", help="The account's login.")],
    upstream: Upstream = None,
    as_json: AsJson = False,
    config: ConfigFile = None,
) -> int:
    """Pair this gateway with an account by its login and password.

    The password is asked for, or read from a pipe; all devices of this gateway register anew.
    """
    password = _password()
    with connected(config) as daemon:
        answer = daemon.ask("smsgate login", patience_s=_PATIENCE_S, login=user, password=password, upstream=upstream)
    if as_json:
        output.as_json(answer)
    else:
        _say_paired(answer)
    return Exit.OK


def account(upstream: Upstream = None, as_json: AsJson = False, config: ConfigFile = None) -> int:
    """Show the account: login and password for programs that send, the devices, and the key of the webhooks."""
    with connected(config) as daemon:
        answer = daemon.ask("smsgate account", upstream=upstream)
    if as_json:
        output.as_json(answer)
        return Exit.OK
    for name in ("server", "login", "password", "devices", "signing_key"):
        output.write(
            f"{name.replace('_', ' ')}: {output.printable(answer[name]) if answer[name] else 'not known here'}"
        )
    return Exit.OK


def _password() -> str:
    piped = None if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    password = typer.prompt("password", hide_input=True) if piped is None else piped
    if not password:
        raise Fault("no password was given; type it, or pipe it in as one line", Exit.USAGE)
    return str(password)


def _say_paired(answer: dict[str, Any]) -> None:
    output.write(f"paired with {answer['server']}; devices: {answer['devices']}")
