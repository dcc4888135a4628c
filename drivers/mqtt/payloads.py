"""What stands in the messages of a gateway, read and written; both ends of the road use this. Pure.

JSON objects in UTF-8. Unknown keys in a job are errors, since a misspelt `valid_for_s` must not be ignored; unknown
keys in what a gateway says are ignored, so that it may say more one day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

MOST_OCTETS = 65_536
"""Of a job. The longest SMS there can be (255 parts) is shorter."""
LONGEST_ID_CHARACTERS = 200
LONGEST_TEXT_CHARACTERS = 40_000
_LONGEST_NUMBER_CHARACTERS = 100
_LONGEST_NAME_CHARACTERS = 64
_LONGEST_VALIDITY_S = 63 * 7 * 86_400.0
"""63 weeks (TS 23.040 §9.2.3.12.1)."""


class Status(StrEnum):
    """What became of a job. ACCEPTED alone proves that the gateway has it."""

    ACCEPTED = "accepted"
    HELD = "held"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RELEASED = "released"


class BadJob(ValueError):
    """No job. `str()` is one sentence; `id` is the job's, where one could be read."""

    def __init__(self, sentence: str, job_id: str | None = None) -> None:
        super().__init__(sentence)
        self.id = job_id


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOrder:
    """One SMS to be sent. `id` None: the gateway gives it one. `data` goes instead of the text."""

    to: str
    text: str = ""
    id: str | None = None
    sim_slot: int | None = None
    route: str | None = None
    priority: int = 0
    valid_for_s: float | None = None
    flash: bool = False
    port: int | None = None
    data: bytes | None = None

    def encode(self) -> bytes:
        """The JSON of it, without what stands at its default."""
        default = JobOrder(to="")
        found = {key: value for key, value in asdict(self).items() if value != getattr(default, key)}
        if self.data is None:
            found["text"] = self.text
        else:
            found["data"] = self.data.hex()
        return _json(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobStatus:
    """One status of one job. `error` is a sentence. `at` is ISO 8601 in UTC, `uid` the gateway's own id of the
    message; `may_be_double` says that a part was sent again after an unknown outcome."""

    id: str | None
    status: Status
    error: str | None = None
    to: str | None = None
    uid: str | None = None
    route: str | None = None
    parts: int | None = None
    may_be_double: bool = False
    at: str | None = None

    def encode(self) -> bytes:
        found = {key: value for key, value in asdict(self).items() if value not in (None, False)}
        return _json({"id": self.id, **found})


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many jobs a gateway has room for: `room` in all, of which `free` are not taken by what waits here.

    `routes` are those that can send now; with none, `room` and `free` are 0. `per_minute` is how many jobs all of
    them send, as measured, None while that is not known. `pool` is the pool that the gateway belongs to. `instance`
    is another one once the gateway has lost its journal, `since` when it was made (ISO 8601).
    """

    room: int
    free: int
    queued: int = 0
    routes: tuple[str, ...] = ()
    per_minute: float | None = None
    pool: str | None = None
    instance: str | None = None
    since: str | None = None

    def encode(self) -> bytes:
        found = {key: value for key, value in asdict(self).items() if value is not None}
        return _json({**found, "lines": len(self.routes)})


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxMessage:
    """One received SMS. `id` is fixed, so that a reader can tell a repetition. `data` in hexadecimal, for what is no
    text; `text` None where the gateway is told to keep texts to itself."""

    id: str
    sender: str
    text: str | None
    kind: str = "text"
    route: str | None = None
    sim_slot: int | None = None
    received_at: str | None = None
    details: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)

    def encode(self) -> bytes:
        found = {key: value for key, value in asdict(self).items() if value is not None}
        found["from"] = found.pop("sender")
        found["text"] = self.text
        if not self.details:
            del found["details"]
        return _json(found)


# --- reading ----------------------------------------------------------------------------------------


def job(payload: bytes) -> JobOrder:
    """A job from JSON. Raises: BadJob."""
    found = _object(payload)
    job_id = _id(found)
    fields = _Fields(found, job_id)
    if len(payload) > MOST_OCTETS:
        raise BadJob(f"a job of {len(payload)} octets is too long; {MOST_OCTETS} are the most", job_id)
    for key in found:
        if key not in JobOrder.__slots__:
            known = ", ".join(sorted(JobOrder.__slots__))
            # The sentence is published, and JSON can spell what UTF-8 cannot.
            shown = key[:40].encode("utf-8", "replace").decode()
            raise BadJob(f'there is no key "{shown}"; known are {known}', job_id)
    data = fields.octets("data")
    recipient = found.get("to")
    if isinstance(recipient, int) and not isinstance(recipient, bool):
        recipient = str(recipient)  # short codes are written so
    if not isinstance(recipient, str) or not recipient.strip():
        raise BadJob('"to" is missing: the recipient\'s number, in quotes', job_id)
    if data is None and found.get("text") is None:
        raise BadJob('"text" is missing', job_id)
    return JobOrder(
        to=fields.words({"to": recipient}, "to", _LONGEST_NUMBER_CHARACTERS) or "",
        text=fields.words(found, "text", LONGEST_TEXT_CHARACTERS) or "",
        id=job_id,
        sim_slot=fields.whole("sim_slot", 0, 63),
        route=fields.words(found, "route", _LONGEST_NAME_CHARACTERS),
        priority=fields.whole("priority", -128, 127) or 0,
        valid_for_s=fields.seconds("valid_for_s"),
        flash=fields.flag("flash"),
        port=fields.whole("port", 0, 0xFFFF),
        data=data,
    )


def plain_job(number: str, payload: bytes) -> JobOrder:
    """A job whose payload is the text alone. Raises: BadJob."""
    if len(payload) > MOST_OCTETS:
        raise BadJob(f"a text of {len(payload)} octets is too long; {MOST_OCTETS} are the most")
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        raise BadJob("the text is not UTF-8") from None
    if len(number) > _LONGEST_NUMBER_CHARACTERS:
        raise BadJob("the number in the topic is too long")
    return JobOrder(to=number, text=text)


def named_job(payload: bytes) -> str:
    """The id in a cancel or release: `{"id": …}`, or the id alone. Raises: BadJob."""
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise BadJob("the id is not UTF-8") from None
    job_id = _id(_object(payload)) if text.startswith("{") else text
    if not job_id or len(job_id) > LONGEST_ID_CHARACTERS:
        raise BadJob('give the job\'s id: {"id": "…"}')
    return job_id


def status(payload: bytes) -> JobStatus:
    """What a gateway said of a job. Raises: BadJob for what is no status."""
    found = _object(payload)
    try:
        word = Status(str(found.get("status")))
    except ValueError:
        raise BadJob("this is no status", _id(found)) from None
    fields = _Fields(found, _id(found))
    return JobStatus(
        id=_id(found),
        status=word,
        error=fields.words(found, "error", LONGEST_TEXT_CHARACTERS),
        to=fields.words(found, "to", _LONGEST_NUMBER_CHARACTERS),
        uid=fields.words(found, "uid", LONGEST_ID_CHARACTERS),
        route=fields.words(found, "route", _LONGEST_NAME_CHARACTERS),
        parts=fields.whole("parts", 0, 255),
        may_be_double=fields.flag("may_be_double"),
        at=fields.words(found, "at", 64),
    )


def capacity(payload: bytes) -> Capacity:
    """What a gateway has room for. Raises: BadJob for what is no capacity."""
    found = _object(payload)
    fields = _Fields(found, None)
    room, free = fields.whole("room", 0, 2**31), fields.whole("free", 0, 2**31)
    routes = found.get("routes", [])
    if room is None or free is None or not isinstance(routes, list):
        raise BadJob("this is no capacity")
    names = tuple(name for name in routes if isinstance(name, str))
    speed = found.get("per_minute")
    is_speed = isinstance(speed, int | float) and not isinstance(speed, bool) and 0 < speed < 2**31
    return Capacity(
        room=room,
        free=free,
        queued=fields.whole("queued", 0, 2**31) or 0,
        routes=names,
        per_minute=float(speed) if is_speed and speed is not None else None,
        pool=fields.words(found, "pool", _LONGEST_NAME_CHARACTERS),
        instance=fields.words(found, "instance", LONGEST_ID_CHARACTERS),
        since=fields.words(found, "since", 64),
    )


def inbox_message(payload: bytes) -> InboxMessage:
    """A message that a gateway received. Raises: BadJob for what is none."""
    found = _object(payload)
    fields = _Fields(found, None)
    uid = fields.words(found, "id", LONGEST_ID_CHARACTERS)
    sender = fields.words(found, "from", _LONGEST_NUMBER_CHARACTERS)
    if not uid or sender is None:
        raise BadJob("this is no received message")
    details = found.get("details")
    return InboxMessage(
        id=uid,
        sender=sender,
        text=fields.words(found, "text", LONGEST_TEXT_CHARACTERS),
        kind=fields.words(found, "kind", _LONGEST_NAME_CHARACTERS) or "text",
        route=fields.words(found, "route", _LONGEST_NAME_CHARACTERS),
        sim_slot=fields.whole("sim_slot", 0, 63),
        received_at=fields.words(found, "received_at", 64),
        details=details if isinstance(details, dict) else {},
    )


# --- pieces -----------------------------------------------------------------------------------------


def _json(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError):
        raise BadJob("the payload is not JSON") from None
    if not isinstance(found, dict):
        raise BadJob('the payload is not a JSON object: write {"id": …, "to": …, "text": …}')
    return found


def _id(found: Mapping[str, Any]) -> str | None:
    value = found.get("id")
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not value or len(value) > LONGEST_ID_CHARACTERS or not _is_text(value):
        raise BadJob(f'"id" should be a text of 1 to {LONGEST_ID_CHARACTERS} characters')
    return value


def _is_text(value: str) -> bool:
    """JSON can spell half a surrogate pair, which is no character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Reads one object; its errors know the job's id."""

    found: Mapping[str, Any]
    id: str | None

    def words(self, found: Mapping[str, Any], key: str, most: int) -> str | None:
        value = found.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            raise BadJob(f'"{key}" should be a text, in quotes', self.id)
        if len(value) > most:
            raise BadJob(f'"{key}" has {len(value)} characters; {most} are the most', self.id)
        if not _is_text(value):
            raise BadJob(f'"{key}" holds half a surrogate pair', self.id)
        return value

    def whole(self, key: str, least: int, most: int) -> int | None:
        value = self.found.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise BadJob(f'"{key}" should be a whole number from {least} to {most}', self.id)
        return value

    def seconds(self, key: str) -> float | None:
        value = self.found.get(key)
        if value is None:
            return None
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= _LONGEST_VALIDITY_S:
            raise BadJob(f'"{key}" should be a number of seconds, up to 63 weeks', self.id)
        return float(value)

    def flag(self, key: str) -> bool:
        value = self.found.get(key, False)
        if not isinstance(value, bool):
            raise BadJob(f'"{key}" should be true or false', self.id)
        return value

    def octets(self, key: str) -> bytes | None:
        value = self.found.get(key)
        if value is None:
            return None
        try:
            return bytes.fromhex(value)
        except (TypeError, ValueError):
            raise BadJob(f'"{key}" should be octets in hexadecimal', self.id) from None
