"""The `[[route]]` keys of this driver. Knows no I/O but the reading of `api_key_file`.

The API's documentation names no paths: these are guesses, and therefore settings.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from drivers.api import PersonNeeded
from drivers.settings import STRICT, Check, Ge, Gt, Le, Secret
from drivers.values import dataclass


def _base_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or parts.query or parts.fragment or any(character <= " " for character in value):
        raise ValueError(f'"{value}" is not an address; write for example "https://api.example.com"')
    return value.rstrip("/")


def _path(value: str) -> str:
    if not value.startswith("/") or any(character in " ?#" for character in value):
        raise ValueError(f'"{value}" is not a path; it begins with "/" and has no "?"')
    return value


def _items_path(value: str) -> str:
    if value.count("{id}") != 1 or "{" in value.replace("{id}", ""):
        raise ValueError(f'"{value}" must have {{id}} where the sending\'s id goes')
    return _path(value)


Path_ = Annotated[str, Check(_path)]


@dataclass(frozen=True, slots=True, kw_only=True)
class YazsanaSettings:
    """`service` is an id or a name; None: the only one. `org_id` charges that organisation's member credit.

    `sent_is_delivered`: the service has no word for "delivered"; True takes its "sent" for it.
    """

    __pydantic_config__: ClassVar = STRICT

    base_url: Annotated[str, Check(_base_url)]
    api_key: Secret | None = None
    api_key_file: Path | None = None
    org_id: str | None = None
    service: str | None = None
    sent_is_delivered: bool = False
    timeout_s: Annotated[float, Gt(0), Le(300)] = 20.0
    poll_first_s: Annotated[float, Gt(0), Le(3600)] = 2.0
    poll_longest_s: Annotated[float, Gt(0), Le(86400)] = 300.0
    give_up_after_h: Annotated[float, Gt(0), Le(24 * 30)] = 72.0
    account_refresh_s: Annotated[float, Ge(1), Le(86400)] = 300.0
    user_path: Path_ = "/users/me"
    organizations_path: Path_ = "/organizations"
    services_path: Path_ = "/services"
    send_path: Path_ = "/sms-sendings/one"
    sendings_path: Path_ = "/sms-sendings"
    items_path: Annotated[str, Check(_items_path)] = "/sms-sendings/{id}"

    def __post_init__(self) -> None:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("one of api_key and api_key_file is needed")

    def read_key(self) -> str:
        """The API key. Raises: PersonNeeded for a file that cannot be read, or that holds no key."""
        try:
            if self.api_key_file is None:
                key = "" if self.api_key is None else self.api_key.get_secret_value().strip()
            else:
                key = self.api_key_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise PersonNeeded(f"api_key_file {self.api_key_file} cannot be read ({error}).") from error
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise PersonNeeded("api_key is not an API key; copy it from the service as one line.")
        return key
