"""What the server remembers (accounts, keys, devices, messages, received webhooks), and its file.

Knows nothing of HTTP. Every change is appended to the state file before the caller goes on, so a killed
and restarted server knows everything it had answered.
"""

from __future__ import annotations

import bisect
import itertools
import secrets
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .record import LineFile, now_ms, read_lines

STATUSES = ("pending", "sent", "delivered", "failed", "received")  # what a device may report


@dataclass(slots=True)
class User:
    id: int
    name: str
    email: str
    password: str
    keep_inbound: bool = True
    webhook_url_incoming: str | None = None
    webhook_url_status: str | None = None
    contacts: int = 0
    premium: bool = True


@dataclass(slots=True)
class Token:
    id: int
    user_id: int
    name: str
    secret: str  # the whole plaintext, `id|…` or the key given at the start
    abilities: list[str]
    created_ms: int
    revoked: bool = False


@dataclass(slots=True)
class Device:
    id: int
    user_id: int
    device_id: str
    device_name: str
    phone_number: str | None = None
    is_active: bool = True
    is_default: bool = False
    sms_rate: int = 100
    send_delay_seconds: int = 0
    default_sim_slot: int | None = 0


@dataclass(slots=True)
class Report:
    """One PUT of a message's status; `status` is None where only an error text came."""

    id: int
    message: int
    status: str | None
    previous: str
    error_message: str | None
    at: int


@dataclass(slots=True)
class Message:
    id: int
    user_id: int
    device_id: int | None
    message_id: str
    recipient_number: str | None
    sender_number: str | None
    message: str | None
    direction: str
    status: str
    price: float
    created_ms: int
    is_charged: bool = False
    sent_ms: int | None = None
    delivered_ms: int | None = None
    error_message: str | None = None
    my_id: str | None = None
    callback_url: str | None = None
    deleted: bool = False
    reports: list[Report] = field(default_factory=list)  # in order of arrival; saved as rows of their own


@dataclass(slots=True)
class Hook:
    """One POST that reached the webhook receiver."""

    id: int
    path: str
    body: Any  # decoded JSON, or the raw text where it is none
    status: int | None  # what was answered; None when the connection was broken instead
    at: int


Row = User | Token | Device | Message | Report | Hook
_TABLES: dict[str, type[Row]] = {cls.__name__: cls for cls in (User, Token, Device, Message, Report, Hook)}


class Store:
    """The tables in memory, each row appended as JSON to `path` whenever it changes."""

    def __init__(self, path: Path | None) -> None:
        self._rows: dict[str, dict[int, Any]] = {name: {} for name in _TABLES}
        self._pending: dict[int, Message] = {}
        self._order: list[tuple[int, int]] = []  # (created second, id) of each message, oldest first
        if path is not None:
            self._load(path)
        self._file = LineFile(path) if path is not None else None

    @property
    def users(self) -> dict[int, User]:
        return self._rows["User"]

    @property
    def tokens(self) -> dict[int, Token]:
        return self._rows["Token"]

    @property
    def devices(self) -> dict[int, Device]:
        return self._rows["Device"]

    @property
    def messages(self) -> dict[int, Message]:
        return self._rows["Message"]

    @property
    def hooks(self) -> dict[int, Hook]:
        return self._rows["Hook"]

    def save(self, *rows: Row) -> None:
        """Takes each row in and writes it down; one write for all of them."""
        for row in rows:
            self._take(row)
        if self._file is not None:
            self._file.write(*(_line(row) for row in rows))

    def next_id(self, table: type[Row]) -> int:
        # Rows are never taken out (deleting only marks them), so ids are dense and never used again.
        return len(self._rows[table.__name__]) + 1

    def add_user(self, name: str, email: str, password: str) -> User:
        user = User(self.next_id(User), name, email, password)
        self.save(user)
        return user

    def add_token(self, user: User, name: str, abilities: list[str], plaintext: str | None = None) -> Token:
        number = self.next_id(Token)
        secret = plaintext or f"{number}|{secrets.token_urlsafe(30)}"
        token = Token(number, user.id, name, secret, abilities, now_ms())
        self.save(token)
        return token

    def find_device(self, user_id: int, reference: Any) -> Device | None:
        """A device by its number or by the string that the phone chose."""
        for device in self.devices.values():
            if device.user_id == user_id and str(reference) in (str(device.id), device.device_id):
                return device
        return None

    def active_devices(self, user_id: int) -> list[Device]:
        """The default device first."""
        found = [d for d in self.devices.values() if d.user_id == user_id and d.is_active]
        return sorted(found, key=lambda device: (not device.is_default, device.id))

    def find_message(self, user_id: int, reference: str, *, by_uuid: bool = False) -> Message | None:
        found: Message | None = None
        if reference.isascii() and reference.isdigit():
            found = self.messages.get(int(reference))
        elif by_uuid:
            found = next((m for m in self.messages.values() if m.message_id == reference), None)
        return found if found and found.user_id == user_id and not found.deleted else None

    def new_messages(self, user_id: int, drafts: Iterable[dict[str, Any]]) -> list[Message]:
        """Makes and saves one row per draft; a draft names any fields of `Message` except its ids."""
        first = self.next_id(Message)
        made: list[Message] = []
        for number, draft in zip(itertools.count(first), drafts, strict=False):
            values: dict[str, Any] = {
                "device_id": None,
                "message_id": str(uuid.uuid4()),
                "recipient_number": None,
                "sender_number": None,
                "message": "",
                "direction": "outbound",
                "status": "pending",
                "price": 100,
                "created_ms": now_ms(),
                **draft,
            }
            made.append(Message(id=number, user_id=user_id, **values))
        self.save(*made)
        return made

    def select(
        self,
        user_id: int,
        *,
        direction: str | None = None,
        status: str | None = None,
        device_id: str | None = None,
    ) -> list[Message]:
        """The messages that pass the filters, newest first."""
        rows: Iterable[Message]
        if status == "pending":
            rows = sorted(self._pending.values(), key=_age)
        else:
            rows = (self.messages[number] for _, number in self._order)
        found = [
            m
            for m in rows
            if m.user_id == user_id
            and not m.deleted
            and (direction is None or m.direction == direction)
            and (status is None or m.status == status)
            and (device_id is None or str(m.device_id) == device_id)
        ]
        found.reverse()
        return found

    def _take(self, row: Row) -> None:
        rows = self._rows[type(row).__name__]
        if isinstance(row, Message):
            if row.id not in rows:
                bisect.insort(self._order, _age(row))
            if row.status == "pending" and not row.deleted:
                self._pending[row.id] = row
            else:
                self._pending.pop(row.id, None)
        if isinstance(row, Report):
            self.messages[row.message].reports.append(row)
        elif isinstance(row, Message) and row.id in rows:
            row.reports = rows[row.id].reports
        rows[row.id] = row

    def _load(self, path: Path) -> None:
        for line in read_lines(path):
            self._take(_TABLES[line.pop("table")](**line))


def _line(row: Row) -> dict[str, Any]:
    """The row as its line of the file; without `reports`, so that a message reported often stays cheap."""
    values = {f.name: getattr(row, f.name) for f in fields(row) if f.name != "reports"}
    return {"table": type(row).__name__, **values}


def _age(message: Message) -> tuple[int, int]:
    return message.created_ms // 1000, message.id
