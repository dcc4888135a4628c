"""The `[[route]]` keys of this driver. Knows no I/O but the reading of `pin_file`."""

from __future__ import annotations

import re
from dataclasses import field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from drivers.api import PersonNeeded
from drivers.settings import STRICT, Check, Form, Ge, Gt, Le, Secret
from drivers.values import dataclass

_PIN = re.compile(r"\d{4,8}")


def _port(value: str) -> str:
    if not value.startswith(("/", "auto:", "socket://", "rfc2217://")):
        raise ValueError("is a path under /dev, auto:IMEI, socket://host:port or rfc2217://host:port")
    if value.startswith("auto:") and not re.fullmatch(r"auto:\d{14,17}", value):
        raise ValueError("auto: is followed by the IMEI, 15 digits")
    return value


def _pin(value: Secret) -> Secret:
    if not _PIN.fullmatch(value.get_secret_value()):
        raise ValueError("has 4 to 8 digits")
    return value


def _number(value: str) -> str:
    if not re.fullmatch(r"\+?\d{3,20}", value):
        raise ValueError("is a number in international form, e.g. +491710760000")
    return value


def _prefixes(value: dict[str, str]) -> dict[str, str]:
    for prefix in value:
        if not re.fullmatch(r"\+?\d{1,15}", prefix):
            raise ValueError(f'names prefixes of numbers, e.g. "+90", and "{prefix}" is none')
    return value


Tables = Literal["off", "single", "locking"]


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"is no regular expression ({error})") from error
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class AtSettings:
    """A modem by AT commands.

    `port`: /dev path, by-id, by-path, `auto:IMEI`, `socket://host:port` or `rfc2217://host:port`.
    `modem_sim`: which SIM of a modem that has two of them and one radio; its slots count from 1. Such a SIM is visited
    at least every `visit_every_s`, and stays for `dwell_s` in the network and after the last part.
    `power_cycle`: a command with its arguments that switches the modem's power off and on.
    `balance_pattern`: of its first group, else the whole match, the balance is taken.
    `submit_timeout_s`: how long the network may take for one part; less than 180 s makes doubles on slow networks.
    `national_tables`: used where they save parts; the longest fitting prefix decides before the route's own.
    """

    __pydantic_config__: ClassVar = STRICT

    port: Annotated[str, Check(_port)]
    baud_rate: Annotated[int, Ge(1200), Le(4_000_000)] = 115200
    pin: Annotated[Secret | None, Check(_pin)] = None
    pin_file: Path | None = None
    smsc: Annotated[str | None, Check(_number)] = None
    rtscts: bool = False
    modem_sim: Literal[1, 2] | None = None
    visit_every_s: Annotated[float, Gt(0), Le(86_400)] = 300.0
    dwell_s: Annotated[float, Gt(0), Le(3600)] = 30.0
    roaming: bool = True
    sweep_interval_s: Annotated[float, Ge(1), Le(3600)] = 60.0
    submit_timeout_s: Annotated[float, Gt(0), Le(600)] = 180.0
    power_cycle: tuple[str, ...] | None = None
    reject_calls: bool = False
    balance_code: Annotated[str | None, Form(r"[*#][0-9*#]{1,30}", "a USSD code, e.g. *100#")] = None
    balance_pattern: Annotated[str | None, Check(_pattern)] = None
    balance_every_h: Annotated[float, Gt(0), Le(24 * 31)] = 24.0
    national_tables: Tables = "off"
    national_tables_by_prefix: Annotated[dict[str, Tables], Check(_prefixes)] = field(default_factory=dict)
    smart_encoding: bool = False

    def read_pin(self) -> str | None:
        """Return the PIN, from the file where one is named.

        Raises: PersonNeeded for a file that cannot be read or holds no PIN.
        """
        if self.pin is not None:
            return self.pin.get_secret_value()
        if self.pin_file is None:
            return None
        try:
            text = self.pin_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PersonNeeded(f"pin_file {self.pin_file} cannot be read ({error}).") from error
        if not _PIN.fullmatch(text):
            raise PersonNeeded(f"pin_file {self.pin_file} holds no PIN of 4 to 8 digits.")
        return text
