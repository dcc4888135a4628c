"""The server's dump, read back from a file or made again from the server's log, and what it says."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from .record import read_lines

_KEPT = ("id", "message_id", "direction", "status", "created_at")
_RENAMED = {
    "recipient_number": "recipient",
    "sender_number": "sender",
    "message": "text",
    "device_id": "device",
}


def read_server(path: Path) -> dict[str, Any]:
    """`messages` (each with `reports` and `deleted`) and `hooks` of a dump file or of a log file."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        document = None  # more than one line: a log
    if isinstance(document, dict) and "messages" in document:
        return document
    return dump_of_log(read_lines(path))


def dump_of_log(records: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The part of a dump that a log holds: no prices, no times of sending."""
    rows: dict[int, dict[str, Any]] = {}
    hooks = []
    for record in records:
        event, row = record["event"], rows.get(record.get("id", 0))
        if event == "message":
            named = {name: record[key] for name, key in _RENAMED.items()}
            kept = {name: record[name] for name in _KEPT}
            rows[record["id"]] = {**kept, **named, "error_message": None, "deleted": False, "reports": []}
        elif event == "hook" and record["applied"]:
            hooks.append({"path": record["path"], "body": record["body"], "status": record["status"]})
        elif row is not None and event == "report":
            entry = {name: record[name] for name in ("status", "previous", "error_message", "at")}
            row["reports"].append(entry)
            row["status"] = record["status"] or row["status"]
            row["error_message"] = record["error_message"] or row["error_message"]
        elif row is not None and event == "cancel":
            row["status"] = "cancelled"
        elif row is not None and event == "delete":
            row["deleted"] = True
    return {"messages": list(rows.values()), "hooks": hooks}


def same_number(number: str | None) -> str:
    """A number as its digits: `+49…` and `0049…` are one, a national number is not the international one."""
    digits = "".join(character for character in number or "" if character.isalnum())
    return digits[2:] if digits.startswith("00") else digits


def content_of(row: dict[str, Any]) -> tuple[str, str]:
    """(recipient, text) of an outbound row."""
    return same_number(row["recipient_number"]), row["message"] or ""


def handed_in(server: dict[str, Any]) -> Iterator[tuple[str, tuple[str, str], bool]]:
    """(message_id, (sender, text), answered 2xx) of everything inbound that reached the server."""
    for hook in server["hooks"]:
        body = hook["body"]
        if isinstance(body, dict) and body.get("event") == "incoming":
            data = body["data"]
            content = (same_number(data.get("sender_number")), data.get("message") or "")
            yield str(data.get("message_id")), content, hook["status"] is not None and hook["status"] < 300
    for row in server["messages"]:
        if row["direction"] == "inbound":
            yield row["message_id"], (same_number(row["sender_number"]), row["message"] or ""), True
