"""Secrets that systemd hands to the service (LoadCredential=), as `…_file` keys name them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

_VARIABLE = "CREDENTIALS_DIRECTORY"
_PREFIX = f"${_VARIABLE}/"


def expanded(table: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """A table whose `…_file` keys may begin with "$CREDENTIALS_DIRECTORY/".

    Only the service itself is given that directory: elsewhere, as for `phonebridge check-config`, such a key stays as
    it is, and whoever reads the file is told so (`explained`).
    """
    folder = environment.get(_VARIABLE)
    if not folder:
        return dict(table)
    return {
        key: f"{folder}/{value.removeprefix(_PREFIX)}" if _is_credential(key, value) else value
        for key, value in table.items()
    }


def explained(file: object) -> str:
    """What to say of a file that is not there: empty where it is no credential."""
    if not str(file).startswith(_PREFIX):
        return ""
    return "; it is there for the service only, by LoadCredential= in its unit"


def _is_credential(key: str, value: Any) -> bool:
    return key.endswith("_file") and isinstance(value, str) and value.startswith(_PREFIX)
