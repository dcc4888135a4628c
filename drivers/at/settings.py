"""The `[[route]]` keys of this driver. Knows no I/O but the reading of `pin_file`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from drivers.api import PersonNeeded

_PIN = re.compile(r"\d{4,8}")


class AtSettings(BaseModel):
    """A modem by AT commands.

    `port`: /dev path, by-id, by-path, `auto:IMEI`, `socket://host:port` or `rfc2217://host:port`.
    `submit_timeout_s`: how long the network may take for one part; less than 180 s makes doubles on slow networks.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str
    baud_rate: int = Field(default=115200, ge=1200, le=4_000_000)
    pin: SecretStr | None = None
    pin_file: Path | None = None
    smsc: str | None = None
    rtscts: bool = False
    roaming: bool = True
    sweep_interval_s: float = Field(default=60.0, ge=1.0, le=3600.0)
    submit_timeout_s: float = Field(default=180.0, gt=0.0, le=600.0)

    @field_validator("port")
    @classmethod
    def _has_port(cls, value: str) -> str:
        if not value.startswith(("/", "auto:", "socket://", "rfc2217://")):
            raise ValueError("is a path under /dev, auto:IMEI, socket://host:port or rfc2217://host:port")
        if value.startswith("auto:") and not re.fullmatch(r"auto:\d{14,17}", value):
            raise ValueError("auto: is followed by the IMEI, 15 digits")
        return value

    @field_validator("pin")
    @classmethod
    def _is_pin(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _PIN.fullmatch(value.get_secret_value()):
            raise ValueError("has 4 to 8 digits")
        return value

    @field_validator("smsc")
    @classmethod
    def _is_number(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"\+?\d{3,20}", value):
            raise ValueError("is a number in international form, e.g. +491710760000")
        return value

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
