"""Jobs by a real mosquitto, broker and daemon killed at random: each SMS once, each job accepted once; and how fast.

The sender does as docs/mqtt.md says: it gives each job an id, and publishes it again until it hears of it.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.accountant import parts_on_air
from tests.mqtt.broker import DURABLE, Mosquitto
from tests.mqtt.person import Person
from tests.prove.measured import Figures
from tests.prove.stage import Daemon, wait_until

BASE, OTHER = "phonebridge/prove", "phonebridge/prove-two"
_LINES = 2
FINAL = frozenset({"delivered", "failed", "expired"})
_RANK = {"accepted": 0, "sent": 1, "delivered": 2, "failed": 2, "expired": 2}
_ASK_AGAIN_S, _ASK_AGAIN_SHORT_S = 8.0, 3.0
_TARGET_MS = 10.0


@dataclass(slots=True)
class Scene:
    """Modems, broker, daemon and sender; only broker and daemon are ever killed."""

    modem: SimulatorProcess
    broker: Mosquitto
    daemon: Daemon
    person: Person

    def events(self) -> list[dict[str, Any]]:
        return self.modem.events()

    def on_air(self) -> Counter[str]:
        """How often each text was on the air."""
        return Counter(part.text for part in parts_on_air(self.events()))


@contextmanager
def _scene(
    directory: Path, *simulator: str, modems: int = 1, upstreams: tuple[str, ...] = ("mqtt",)
) -> Iterator[Scene]:
    with ExitStack() as stack:
        modem = stack.enter_context(SimulatorProcess(directory / "modem", *simulator, modems=modems))
        broker = stack.enter_context(Mosquitto(directory / "broker", DURABLE))
        person = stack.enter_context(Person(broker.port, BASE, also=(f"{OTHER}/#",)))
        daemon = Daemon(
            directory / "daemon",
            {
                "agent": {"unknown_wait_s": 2},
                "route": [{"name": f"sim{n}", "port": str(port)} for n, port in enumerate(modem.ports)],
                "upstream": [
                    {"type": "mqtt", "name": name, "url": broker.url, "device_id": base.rpartition("/")[2]}
                    for name, base in zip(upstreams, (BASE, OTHER), strict=False)
                ],
            },
        )
        stack.callback(daemon.kill)
        daemon.start()
        for base in (BASE, OTHER)[: len(upstreams)]:
            topic = f"{base}/availability"
            wait_until("the gateway is there", lambda topic=topic: person.raw(topic)[-1:] == [b"online"], 60)
        yield Scene(modem, broker, daemon, person)


# --- killed at random -------------------------------------------------------------------------------


@dataclass(slots=True)
class Sender:
    """Publishes jobs, and again those that nothing was heard of."""

    person: Person
    count: int
    again_s: float
    begun: int = 0
    asked_at: dict[str, float] = field(default_factory=dict)
    repeats: int = 0
    heard: int = 0
    heard_at: float = 0.0

    def wave(self, size: int) -> None:
        for number in range(self.begun, min(self.count, self.begun + size)):
            self._publish(str(number))
        self.begun = min(self.count, self.begun + size)

    def ask_again(self) -> None:
        """What was not accepted after a while is published once more, with the same id; all that has not ended, when
        nothing is heard any more: the broker may have lost a status with its own life."""
        now, told = time.monotonic(), self.person.heard("status")
        if len(told) != self.heard:
            self.heard, self.heard_at = len(told), now
        known = self.ended() if now - self.heard_at > self.again_s else {row["id"] for row in told}
        for job_id, at in list(self.asked_at.items()):
            if job_id not in known and now - at > self.again_s:
                self.repeats += 1
                self._publish(job_id)

    def ended(self) -> set[str]:
        return {row["id"] for row in self.person.heard("status") if row["status"] in FINAL}

    def _publish(self, job_id: str) -> None:
        self.asked_at[job_id] = time.monotonic()
        self.person.publish(f"{BASE}/send", {"id": job_id, "to": f"+4917{int(job_id):08d}", "text": f"job {job_id}"})


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Every job once on the air and once in the journal, whatever was killed meanwhile."""
    count, kills = (20, 2) if short else (1000, 40)
    rng = random.Random(seed)
    with _scene(directory, "--radio-time", "0.03", "--report-delay", "0.2", modems=2) as scene:
        sender = Sender(scene.person, count, _ASK_AGAIN_SHORT_S if short else _ASK_AGAIN_S)
        killed: Counter[str] = Counter()
        # The last part comes while the daemon is down, as a part of it does at each kill.
        for step in range(kills):
            sender.wave(-(-count // (kills + 1)))
            time.sleep(rng.uniform(0.05, 0.6))
            victim = rng.choice(["daemon", "broker", "both"]) if step else "both"
            killed[victim] += 1
            _kill(scene, rng, sender, victim)
            sender.ask_again()
        scene.daemon.kill()
        sender.wave(count)
        time.sleep(1.0)
        scene.daemon.start()
        _until_ended(sender, 60 + count * 0.5)
        scene.daemon.stop()
        _expect(figures, scene, sender, killed)


def _kill(scene: Scene, rng: random.Random, sender: Sender, victim: str) -> None:
    if victim != "broker":
        scene.daemon.kill()
    if victim != "daemon":
        scene.broker.kill()
        time.sleep(rng.uniform(0.0, 0.5))
        scene.broker.start()
    else:
        sender.wave(2)
        time.sleep(rng.uniform(0.0, 0.5))
    if victim != "broker":
        scene.daemon.start()
    # Sometimes it is killed again before it came up.
    time.sleep(rng.choice([0.1, 1.5, 1.5, 2.5]))


def _until_ended(sender: Sender, timeout_s: float) -> None:
    def is_done() -> bool:
        sender.ask_again()
        return len(sender.ended()) == sender.count

    wait_until(f"a final status of all {sender.count} jobs", is_done, timeout_s, 0.2)


def _expect(figures: Figures, scene: Scene, sender: Sender, killed: Counter[str]) -> None:
    wanted = [f"job {number}" for number in range(sender.count)]
    air = scene.on_air()
    told = scene.person.heard("status")
    flagged = {row["id"] for row in told if row.get("may_be_double")}
    figures.state("killed (-9)", dict(killed))
    figures.state("published again by the sender, with the same id", sender.repeats)
    lost = [text for text in wanted if not air[text]]
    figures.expect(f"lost, of {sender.count}", lost[:5] or 0, not lost)
    doubles = {text: times for text, times in air.items() if times > 1}
    unflagged = [text for text in doubles if text.removeprefix("job ") not in flagged]
    figures.expect("on the air twice", f"{len(doubles)}, of which not flagged {len(unflagged)}", not unflagged)
    accepted = Counter(row["id"] for row in told if row["status"] == "accepted")
    figures.state("accepted was heard more than once (a crash between telling and noting)",
                  sum(times > 1 for times in accepted.values()))  # fmt: skip
    rows, events = _in_journal(scene.daemon.state / "journal.db")
    figures.expect("accepted in the journal, and how often", f"{rows} messages, {events} acceptances",
                   rows == events == sender.count)  # fmt: skip
    words = Counter(_last_words(told).values())
    figures.expect("final statuses", dict(words), words == {"delivered": sender.count})
    figures.expect("jobs whose status went backwards", backwards := _backwards(told), not backwards)
    strangers = [text for text in air if text not in set(wanted)]
    figures.expect("on the air without a job", len(strangers), not strangers)


def _in_journal(path: Path) -> tuple[int, int]:
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        (rows,) = connection.execute("SELECT count(*) FROM message WHERE upstream = 'mqtt'").fetchone()
        (events,) = connection.execute("SELECT count(*) FROM event WHERE kind = 'accepted'").fetchone()
    connection.close()
    return rows, events


def _last_words(told: list[dict[str, Any]]) -> dict[str, str]:
    return {row["id"]: row["status"] for row in told if row["status"] in FINAL}


def _backwards(told: list[dict[str, Any]]) -> int:
    """A state may be told again, the newest of them as an answer; none before one that was told, except after a
    crash, when what was told and not noted comes again in its order."""
    seen: dict[str, int] = {}
    wrong = set()
    for row in told:
        rank = _RANK[row["status"]]
        if rank < seen.get(row["id"], 0) and row["status"] != "accepted":
            wrong.add(row["id"])
        seen[row["id"]] = max(rank, seen.get(row["id"], 0))
    return len(wrong)


# --- how fast ---------------------------------------------------------------------------------------


def prove_latency(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """From a job's publish to the first octet of its PDU at an idle modem."""
    del seed
    count = 10 if short else 200
    with _scene(directory, "--radio-time", "0") as scene:
        published: dict[str, float] = {}
        for number in range(count):
            job_id = f"l{number}"
            published[f"job {job_id}"] = time.monotonic()
            scene.person.publish(f"{BASE}/send", {"id": job_id, "to": "+491701234567", "text": f"job {job_id}"})
            wait_until("it is sent", lambda job_id=job_id: "sent" in scene.person.statuses(job_id), 20, 0.005)
            time.sleep(0.05)
        began = {part.text: part.began_s for part in parts_on_air(scene.events())}
        waits = sorted((began[text] - at) * 1000 for text, at in published.items())
        median = statistics.median(waits)
        p90 = waits[len(waits) * 9 // 10]
        told = f"median {median:.1f} ms, p90 {p90:.1f} ms, of {count} jobs"
        if short:
            # A time is no matter for a test on a busy machine.
            figures.state("job to wire", told)
        else:
            figures.expect(f"job to wire (target {_TARGET_MS:.0f} ms)", told, median <= _TARGET_MS)


# --- fairly -----------------------------------------------------------------------------------------


def prove_fairness(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """One upstream's campaign and another's single messages, on the same modems: told from the modems' log."""
    rng = random.Random(seed)
    campaign, singles, radio_s = (24, 3, "0.3") if short else (400, 20, "0.2")
    with _scene(directory, "--radio-time", radio_s, modems=_LINES, upstreams=("mqtt", "two")) as scene:
        person = scene.person
        for number in range(campaign):
            person.publish(f"{BASE}/send", {"id": f"c{number}", "to": f"+4916{number:08d}", "text": f"c {number}"})
        wait_until("the campaign runs", lambda: len(scene.on_air()) > 2, 60)
        for number in range(singles):
            job_id, text = f"s{number}", f"s {number}"
            person.publish(f"{OTHER}/send", {"id": job_id, "to": "+491511111111", "text": text})
            wait_until("the single one is on the air", lambda text=text: text in scene.on_air(), 60, 0.01)
            time.sleep(rng.uniform(0.0, 0.3))
        began = {part.text: part.began_s for part in parts_on_air(scene.events())}
        waited = [
            sum(accepted_s < at < began[text] for name, at in began.items() if name.startswith("c "))
            for text, accepted_s in _accepted_s(scene.daemon.state / "journal.db", "two").items()
        ]
        left = campaign - sum(name.startswith("c ") for name in began)
        figures.expect("the campaign went on meanwhile, messages left", left, left > 0)
        figures.expect(f"its messages that began before another's single one, {_LINES} routes",
                       f"at most {max(waited)}, mean {statistics.mean(waited):.1f}, of {len(waited)}",
                       len(waited) == singles and max(waited) <= _LINES)  # fmt: skip


def _accepted_s(path: Path, upstream: str) -> dict[str, float]:
    """Text → when it was accepted, in the modem log's CLOCK_MONOTONIC seconds."""
    offset_s = time.time() - time.monotonic()
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT text, created_ms FROM message WHERE upstream = ?", (upstream,)).fetchall()
    connection.close()
    return {text: created_ms / 1000 - offset_s for text, created_ms in rows}
