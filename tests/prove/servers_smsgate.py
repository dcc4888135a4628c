"""300 messages of an SMSGate server with every field in use, while the server is killed and its streams are cut."""

from __future__ import annotations

import base64
import contextlib
import random
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from android_sms_gateway import Encryptor

from agent import e2e
from drivers.simulator.process import SimulatorProcess
from tests.accountant import Part, join, parts_on_air
from tests.mobsms_server.dump import same_number
from tests.prove.measured import Figures
from tests.prove.stage import Daemon, wait_until
from tests.smsgate_server.process import SmsGateServer
from tests.smsgate_server.store import now

PASSPHRASE = "a passphrase for the proof"
_RANK = {"Pending": 0, "Processed": 1, "Sent": 2, "Delivered": 3, "Failed": 3, "Cancelled": 3}
_ITERATIONS = 1000
_MODEMS = 3
_PATIENCE_S = 150.0


@dataclass
class Asked:
    """One message: what the server lists, what it says of each recipient at the end, what is on the air."""

    row: dict[str, Any]
    end: str
    clear: tuple[str, ...] = ()
    air: str | None = None
    starts_ms: int = 0
    id: str = ""
    is_cancelled: bool = field(default=False)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """All of it in one run. Raises: NotInTime."""
    chance = random.Random(seed)
    count = 40 if short else 300
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(SmsGateServer(directory / "server"))
        server.control("knobs", keepalive_s=0.5)
        modem = stack.enter_context(
            SimulatorProcess(directory / "m", "--radio-time", "0.1", "--report-delay", "0.3", modems=_MODEMS)
        )
        daemon = Daemon(directory / "daemon", _config(server, modem))
        stack.callback(daemon.kill)
        daemon.start()
        wait_until("the registration", lambda: server.look()["streams"], 30)
        asked = _enqueue(server, chance, count, short=short)
        faults = _trouble(server, chance, asked, 3 if short else 25)
        _settle(server, asked)
        daemon.stop()
        _judge(figures, server, asked, parts_on_air(modem.events()))
        for kind, times in sorted(faults.items()):
            figures.state(kind, times)
        figures.state("requests", server.look()["requests"])


def prove_e2e(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """End-to-end encryption: the published vectors, and the official client's encryptor, in both directions."""
    salt = bytes(range(16))
    vectors = [
        ("passphrase", "$aes-256-cbc/pbkdf2-sha1$i=75000$obSTW6ittQvTtdAxonQKIw==$g3QFAC9CtBcPxoKlouqsyQ==", "hello"),
        ("passphrase", "$aes-256-cbc/pbkdf2-sha1$i=1000$AAECAwQFBgcICQoLDA0ODw==$3lA2PIN8VBJuGrcAtVHykw==",
         "+19162255887"),
    ]  # fmt: skip
    read = sum(e2e.decrypt(value, key) == clear for key, value, clear in vectors)
    figures.expect("vectors read", f"{read} of {len(vectors)}", read == len(vectors))
    written = e2e.encrypt("+19162255887", "passphrase", iterations=1000, salt=salt)
    figures.expect("vector written", written == vectors[1][1], written == vectors[1][1])
    theirs = Encryptor("passphrase", iterations=e2e.ITERATIONS)
    rounds = 3 if short else 50
    chance = random.Random(seed)
    texts = ["".join(chance.choice("aÄß€漢😀 +1") for _ in range(chance.randint(1, 60))) for _ in range(rounds)]
    to_us = sum(e2e.decrypt(theirs.encrypt(text), "passphrase") == text for text in texts)
    to_them = sum(theirs.decrypt(e2e.encrypt(text, "passphrase")) == text for text in texts)
    figures.expect("by the official client, read by us", f"{to_us} of {rounds}", to_us == rounds)
    figures.expect("by us, read by the official client", f"{to_them} of {rounds}", to_them == rounds)


# --- pieces -----------------------------------------------------------------------------------------


def _config(server: SmsGateServer, modem: SimulatorProcess) -> dict[str, Any]:
    upstream = {"type": "smsgate", "base_url": server.url, "register": "anonymous", "passphrase": PASSPHRASE,
                "poll_without_events_s": 1.0, "silence_s": 2.5, "timeout_s": 5}  # fmt: skip
    routes = [{"name": f"sim{n}", "port": str(port), "sim_slot": n} for n, port in enumerate(modem.ports)]
    return {"route": routes, "upstream": [upstream]}


def _made(index: int, *, short: bool) -> Asked:
    """The message of one turn: ten kinds, which together use every field."""
    number, other, third = (f"+49151{index:05}{n}" for n in range(3))
    text, hour = f"message {index}", now(3600)
    row: dict[str, Any] = {"textMessage": {"text": text}, "phoneNumbers": [number]}
    kind = index % 10
    if kind == 1:
        return Asked({**row, "phoneNumbers": [number, other, third]}, "Delivered", (number, other, third), text)
    if kind == 2:
        data = base64.b64encode(text.encode()).decode()
        content = {"dataMessage": {"data": data, "port": 53739}, "phoneNumbers": [number]}
        return Asked(content, "Delivered", (number,), text.encode().hex().upper())
    if kind == 3:
        long = f"{text} " + "in several parts " * 12
        return Asked(
            {**row, "textMessage": {"text": long}, "simNumber": index // 10 % 3 + 1}, "Delivered", (number,), long
        )
    if kind == 4:
        client = Encryptor(PASSPHRASE, iterations=_ITERATIONS)
        sealed = [client.encrypt(clear) for clear in (text, number, other)]
        content = {"textMessage": {"text": sealed[0]}, "phoneNumbers": sealed[1:], "isEncrypted": True}
        return Asked(content, "Delivered", (number, other), text)
    if kind == 5:
        return Asked({**row, "withDeliveryReport": False, "priority": 50}, "Sent", (number,), text)
    if kind == 6:
        after_s = 2 if short else 5 + index % 20
        starts_ms = int((time.time() + after_s) * 1000)
        return Asked(
            {**row, "scheduleAt": now(after_s), "validUntil": hour}, "Delivered", (number,), text, starts_ms - 1
        )
    if kind == 7:
        return Asked({**row, "scheduleAt": now(86_400), "priority": 127}, "Cancelled")
    if kind == 8:
        return Asked({**row, "validUntil": now(-60)}, "Failed")
    if kind == 9:
        code = f"9{index:04}"
        content = {"message": f"{text} Ünïcode 漢", "phoneNumbers": [code, number], "id": f"own-{index}"}
        return Asked(content, "Delivered", (code, number), content["message"])
    return Asked({**row, "validUntil": hour, "priority": -100}, "Delivered", (number,), text)


def _enqueue(server: SmsGateServer, chance: random.Random, count: int, *, short: bool) -> list[Asked]:
    """Half of them at once, so that more than a list's worth waits; the rest come while things go wrong."""
    asked = [_made(index, short=short) for index in range(count)]
    chance.shuffle(asked)
    _put(server, asked[: count // 2])
    return asked


def _put(server: SmsGateServer, some: list[Asked]) -> None:
    for one, id_ in zip(some, server.enqueue(*(one.row for one in some)), strict=True):
        one.id = id_


def _trouble(server: SmsGateServer, chance: random.Random, asked: list[Asked], turns: int) -> Counter[str]:
    """Kill the server, cut or silence its streams, refuse some requests; the rest of the messages in between."""
    faults: Counter[str] = Counter()
    later = asked[len(asked) // 2 :]
    step = -(-len(later) // turns)
    for turn in range(turns):
        _put(server, later[turn * step : (turn + 1) * step])
        _cancel_some(server, asked)
        time.sleep(chance.uniform(0.1, 0.8))
        kind = ("killed", "cut", "silent", "refused")[turn % 4 if turn < 3 else chance.randrange(4)]
        faults[
            f"server {kind}" if kind == "killed" else f"streams {kind}" if kind != "refused" else "requests refused"
        ] += 1
        if kind == "killed":
            server.restart(down_s=chance.uniform(0, 1.0))
            server.control("knobs", keepalive_s=0.5)
        elif kind == "cut":
            server.control("cut")
        elif kind == "silent":
            server.control("knobs", is_silent=True)
            time.sleep(3.0)
            server.control("knobs", is_silent=False)
        else:
            server.control("fault", status=chance.choice([500, 502, 503]), count=3, path="/message")
    return faults


def _cancel_some(server: SmsGateServer, asked: list[Asked]) -> None:
    for one in asked:
        if one.end == "Cancelled" and one.id and not one.is_cancelled:
            one.is_cancelled = server.control("cancel", id=one.id)


def _settle(server: SmsGateServer, asked: list[Asked]) -> None:
    server.control("mend")
    _cancel_some(server, asked)

    def is_done() -> bool:
        rows = server.messages()
        return all(rows[one.id]["state"] == one.end for one in asked)

    with contextlib.suppress(Exception):
        wait_until("every message at its end", is_done, _PATIENCE_S, 0.3)


def _judge(figures: Figures, server: SmsGateServer, asked: list[Asked], parts: list[Part]) -> None:
    rows = server.messages()
    right = [one for one in asked if rows[one.id]["state"] == one.end]
    figures.expect("messages at their right end", f"{len(right)} of {len(asked)}", len(right) == len(asked))
    told = {one.id: _last_told(rows[one.id]) for one in asked}
    recipients = sum(len(one.row["phoneNumbers"]) for one in asked)
    good = sum(told[one.id].get(number) == one.end for one in asked for number in one.row["phoneNumbers"])
    figures.expect("recipients told their right end", f"{good} of {recipients}", good == recipients)
    # Encrypted numbers and short codes never match a row of the server, as with the phone.
    stored = [(one, row) for one in asked for row in rows[one.id]["recipients"] if row["phoneNumber"].startswith("+")]
    kept = sum(row["state"] == one.end for one, row in stored)
    figures.expect("recipients stored with it", f"{kept} of {len(stored)}", kept == len(stored))
    backwards = sum(_goes_back(rows[one.id]["patches"]) for one in asked)
    figures.expect("recipients whose states went back", backwards, backwards == 0)
    dropped = sum(row.get("rolledBack", 0) for row in rows.values())
    figures.expect("reports that the server dropped", dropped, dropped == 0)
    _judge_air(figures, asked, parts)
    devices = server.look()["devices"]
    figures.expect("registrations", len(devices), len(devices) == 1)


def _judge_air(figures: Figures, asked: list[Asked], parts: list[Part]) -> None:
    wanted = Counter((same_number(number), one.air) for one in asked if one.air is not None for number in one.clear)
    found = Counter((message.recipient, message.text) for message in join(parts) if message.is_complete)
    figures.expect("SMS on the air", f"{found.total()} of {wanted.total()}", found.total() == wanted.total())
    figures.expect("SMS lost", len(wanted - found), not wanted - found)
    figures.expect("SMS nobody asked for", len(found - wanted), not found - wanted)
    doubled = [key for key, times in Counter(part.key for part in parts).items() if times > 1]
    figures.expect("parts sent twice", len(doubled), not doubled)
    starts = {same_number(number): one.starts_ms for one in asked if one.starts_ms for number in one.clear}
    early = [part for part in parts if part.air_ms < starts.get(part.recipient, 0)]
    figures.expect("scheduled SMS sent early", len(early), not early)
    figures.state("by modem", dict(Counter(f"sim{part.modem[1]}" for part in parts)))


def _last_told(row: dict[str, Any]) -> dict[str, str]:
    return {one["phoneNumber"]: one["state"] for patch in row["patches"][-1:] for one in patch["recipients"]}


def _goes_back(patches: list[dict[str, Any]]) -> int:
    ranks: dict[str, list[int]] = defaultdict(list)
    for patch in patches:
        for one in patch["recipients"]:
            ranks[one["phoneNumber"]].append(_RANK[one["state"]])
    return sum(found != sorted(found) for found in ranks.values())
