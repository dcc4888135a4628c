"""The report for a bug: what is needed to understand a fault, and nothing that is nobody's business.

Two nets: what is known to be secret or a number is taken out where it stands, and every secret of the configuration
is looked for once more in the finished text.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import re
import tarfile
import time
import tomllib
from collections.abc import Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import agent

REMOVED = "(removed)"
_SECRET_KEYS = re.compile(r"(^|_)(key|keys|pass|password|passphrase|pin|puk|secret|token|authorization)$")
_NAMES_OF_FILES = re.compile(r"_file$")
# Phone numbers, IMEI, IMSI, ICCID; dates and times have separators.
_DIGITS = re.compile(r"\+?[0-9]{6,}")
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")
_SHORTEST_SECRET = 4
_PACKAGES = ("aiomqtt", "cryptography", "httpx", "prometheus-client", "pydantic", "pyserial", "structlog", "uvicorn")
# What an event's detail may say of these kinds is about the line, not what somebody wrote.
_TOLD_KINDS = frozenset({"recovery", "failed", "undelivered", "unknown", "retry", "resend", "report_pending", "expired",
                         "cancelled", "rerouted", "released"})  # fmt: skip


def versions(root: Path = Path("/")) -> dict[str, str]:
    """Of everything that runs here."""
    found = {"phonebridge": agent.__version__, "python": platform.python_version(), "kernel": platform.release(),
             "machine": platform.machine()}  # fmt: skip
    release = root / "etc/os-release"
    if release.exists():
        match = re.search(r'^PRETTY_NAME="?([^"\n]*)', release.read_text(), re.MULTILINE)
        found["system"] = match[1] if match else "?"
    model = root / "proc/device-tree/model"
    if model.exists():
        found["board"] = model.read_bytes().decode(errors="replace").strip("\0")
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def without_secrets(value: Any) -> Any:
    """A configuration's table with secrets taken out and numbers shortened."""
    if isinstance(value, Mapping):
        return {
            key: REMOVED if _is_secret(str(key)) else without_secrets(inner) for key, inner in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return shortened(value) if isinstance(value, str) else value


def shortened(text: str) -> str:
    """Long numbers by their last four digits; credentials in addresses taken out."""
    return _DIGITS.sub(lambda match: f"…{match[0][-4:]}", _CREDENTIALS.sub(f"{REMOVED}@", text))


def secrets_of(path: Path, state_dir: Path | None) -> set[str]:
    """Every secret that the configuration, its files and the environment hold."""
    found: set[str] = set()
    tables: list[Any] = []
    with contextlib.suppress(OSError, ValueError):
        tables.append(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    while tables:
        table = tables.pop()
        for key, value in table.items() if isinstance(table, Mapping) else enumerate(table):
            if isinstance(value, (Mapping, list)):
                tables.append(value)
            elif isinstance(value, str) and isinstance(key, str) and _is_secret(key):
                found.add(value)
            elif isinstance(value, str) and isinstance(key, str) and _NAMES_OF_FILES.search(key):
                found |= _content(Path(value))
    found |= {value for name, value in os.environ.items() if _is_secret(name.lower())}
    if state_dir is not None:
        found |= _content(state_dir / "local-api-key")
    return {secret for secret in found if len(secret) >= _SHORTEST_SECRET}


def events(found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Lines of history without what somebody wrote, and without whose number it was."""
    return [
        {key: value for key, value in event.items() if key != "detail" or event["kind"] in _TOLD_KINDS}
        for event in found
    ]


def compose(pieces: Mapping[str, Any], secrets: Iterable[str]) -> dict[str, str]:
    """File name → text, with every net applied."""
    longest_first = sorted(secrets, key=len, reverse=True)
    composed = {}
    for name, value in pieces.items():
        text = json.dumps(without_secrets(value), indent=1, ensure_ascii=False, default=str)
        for secret in longest_first:
            text = text.replace(json.dumps(secret, ensure_ascii=False)[1:-1], REMOVED)
        composed[name] = text.rstrip("\n") + "\n"
    return composed


def write(file: Path, composed: Mapping[str, str]) -> None:
    """One text to read and paste, or an archive where the name asks for one. Readable by its owner alone.

    Raises: OSError.
    """
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        if not file.name.endswith((".tar.gz", ".tgz")):
            out.write("\n".join(f"===== {name}\n{text}" for name, text in composed.items()).encode())
            return
        with tarfile.open(fileobj=out, mode="w:gz") as archive:
            for name, text in composed.items():
                octets = text.encode()
                entry = tarfile.TarInfo(f"phonebridge-report/{name}")
                entry.size, entry.mtime, entry.mode = len(octets), int(time.time()), 0o600
                archive.addfile(entry, io.BytesIO(octets))


def _is_secret(key: str) -> bool:
    return _SECRET_KEYS.search(key) is not None


def _content(file: Path) -> set[str]:
    try:
        text = file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return set()
    # A certificate is no secret of this kind, and a whole file is no line to look for.
    return {text} if text and len(text) < 500 else set()
