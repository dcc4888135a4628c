"""Settings of `[metrics]`. Pure; light, since the configuration check loads it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar

from agent import binding
from drivers.settings import STRICT, Check, Secret
from drivers.values import dataclass


def _no_empty_key(value: Secret) -> Secret:
    if not value.get_secret_value().strip():
        raise ValueError("is empty; remove it, or give one")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsSettings:
    """`[metrics]`."""

    __pydantic_config__: ClassVar = STRICT

    enabled: bool = False
    bind: Annotated[str | None, Check(binding.check)] = None
    api_key: Annotated[Secret | None, Check(_no_empty_key)] = None
    api_key_file: Path | None = None

    def __post_init__(self) -> None:
        if self.bind is None or binding.is_loopback(self.host) or self.api_key is not None:
            return
        if self.api_key_file is None:
            raise ValueError(
                f"bind {self.bind} can be reached from other machines: set api_key or api_key_file, "
                'or bind = "127.0.0.1:9464"'
            )

    @property
    def is_wanted(self) -> bool:
        """Whether figures are served at all: an address of its own says so too."""
        return self.enabled or self.bind is not None

    @property
    def host(self) -> str:
        return binding.host(self.bind or "")

    @property
    def port(self) -> int:
        return binding.port(self.bind or "")
