"""The `[[route]]` keys of a pool of gateways behind one broker. Knows no I/O but the reading of `password_file`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from drivers.api import PersonNeeded
from drivers.mqtt.keys import BrokerUrl, Levels, PemFile, check_security
from drivers.settings import STRICT, Ge, Gt, Le, Len, Secret
from drivers.values import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """`client_id` None: one that is made once and kept. `ahead_s` is how many seconds of work a gateway is given in
    advance. One that is away for `ask_back_after_s` is asked for what it has not tried; after `give_up_after_s` its
    messages go the way of `on_unknown`."""

    __pydantic_config__: ClassVar = STRICT

    url: BrokerUrl
    pool: Annotated[str, Len(1, 64)]
    topic_prefix: Annotated[Levels, Len(1, 200)] = "phonebridge"
    client_id: Annotated[str, Len(1, 200)] | None = None
    username: Annotated[str, Len(1, 500)] | None = None
    password: Secret | None = None
    password_file: Path | None = None
    ca_file: PemFile = None
    cert_file: PemFile = None
    key_file: PemFile = None
    keepalive_s: Annotated[int, Ge(5), Le(3600)] = 30
    session_expiry_s: Annotated[int, Ge(0), Le(0xFFFFFFFE)] = 7 * 86_400
    receive_maximum: Annotated[int, Ge(1), Le(10_000)] = 500
    ahead_s: Annotated[float, Gt(0), Le(3600)] = 20.0
    ask_back_after_s: Annotated[float, Gt(0), Le(86_400)] = 30.0
    give_up_after_s: Annotated[float, Gt(0), Le(30 * 86_400)] = 3600.0
    forget_after_h: Annotated[float, Gt(0), Le(24 * 30)] = 72.0
    inbound: bool = True

    def __post_init__(self) -> None:
        check_security(self)
        if self.password is not None and self.password_file is not None:
            raise ValueError("give one of password and password_file")
        if self.give_up_after_s < self.ask_back_after_s:
            raise ValueError("give_up_after_s should not be shorter than ask_back_after_s")

    def read_password(self) -> Secret | None:
        """Raises: PersonNeeded for a file that cannot be read, or that is empty."""
        if self.password_file is None:
            return self.password
        try:
            found = self.password_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PersonNeeded(f"password_file {self.password_file} cannot be read ({error}).") from error
        if not found:
            raise PersonNeeded(f"password_file {self.password_file} is empty; write the broker's password into it.")
        return Secret(found)
