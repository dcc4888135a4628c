"""What stands in the environment for the configuration: PHONEBRIDGE_SECTION__KEY and PHONEBRIDGE_SECTION__NAME__KEY.

Only reads; what it means, and what is wrong with it, is said in agent/config.py.
"""

from __future__ import annotations

from typing import Any

from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict, SettingsError

Unreadable = SettingsError


class _Sections(BaseSettings):
    """Only declares what may stand in the environment."""

    model_config = SettingsConfigDict(env_nested_delimiter="__", extra="ignore")

    agent: dict[str, Any] = {}
    route: dict[str, Any] = {}
    upstream: dict[str, Any] = {}
    retention: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    alerts: dict[str, Any] = {}


class _Variables(EnvSettingsSource):
    """Takes values as they stand and only lists as JSON, so that a key such as 12345 stays a text."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:
        if not str(value).startswith("["):
            raise ValueError("not a list")
        return super().decode_complex_value(field_name, field, value)


def read(prefix: str) -> dict[str, dict[str, Any]]:
    """Nested tables by section. Raises: Unreadable."""
    return _Variables(_Sections, env_prefix=prefix)()
