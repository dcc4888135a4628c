"""gammu-smsd and smstools, as Debian ships them, send, receive and get reports through the simulator unchanged."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import debian
from tests.simulator.conftest import Start
from tests.simulator.judge_programs import GAMMU, SMSTOOLS, Judge

SHORT = "Hello from the judge @ {1}"
LONG = "".join(f"Sentence {number:02d} of a long message. " for number in range(8)).strip()
ANSWER = "Reply with umlauts: äöü"
LONG_ANSWER = "".join(f"Line {number:02d} of a long reply. " for number in range(10)).strip()


@pytest.fixture(scope="session")
def judges() -> Path:
    return debian.judges()


def sent_texts(airs: list[dict[str, object]]) -> dict[object, str]:
    """Texts by concatenation reference (None: single), parts joined by their place."""
    texts: dict[object, str] = {}
    for air in sorted(airs, key=lambda air: str(air["seq"])):
        texts[air["ref"]] = texts.get(air["ref"], "") + str(air["text"])
    return texts


def test_gammu_smsd(start: Start, tmp_path: Path, judges: Path) -> None:
    # Without a report memory gammu asks for reports as +CDS, which it turns into messages.
    simulator = start("--sr-capacity", "0")
    judge = Judge(judges, tmp_path / "gammu")
    configuration = judge.prepare(GAMMU, simulator.ports[0], "inbox", "outbox", "sent", "error")
    inject = (judges / "usr/bin/gammu-smsd-inject", "-c", configuration, "TEXT", "+491701234567")
    for text in (SHORT, LONG):
        command = (*inject, "-report", "-len", "400", "-text", text)
        subprocess.run(command, env=judge.environment, capture_output=True, check=True)
    simulator.control.deliver("+491701234568", ANSWER)
    simulator.control.deliver("+491701234568", LONG_ANSWER)
    with judge.running(judges / "usr/bin/gammu-smsd", "-c", configuration):
        judge.wait_for("6 files in the inbox", lambda: len(judge.files("inbox")) == 6)
        judge.wait_for("2 sent messages", lambda: len(judge.files("sent")) == 2)
    airs = simulator.events("air")
    assert sorted(sent_texts(airs).values()) == sorted([SHORT, LONG])
    assert len(airs) == 3 and all(air["srr"] for air in airs)
    assert [event["how"] for event in simulator.events("report")] == ["cds"] * 3
    received = [data.decode("utf-16").rstrip("\0") for data in judge.files("inbox")]
    assert received.count("Delivered") == 3
    answers = "".join(text for text in received if text != "Delivered")
    assert answers in (ANSWER + LONG_ANSWER, LONG_ANSWER + ANSWER)
    assert judge.files("error") == []
    assert simulator.events("violation") == []


def test_smstools(start: Start, tmp_path: Path, judges: Path) -> None:
    simulator = start()
    judge = Judge(judges, tmp_path / "smstools")
    directories = ("outgoing", "checked", "incoming", "report", "failed", "sent")
    configuration = judge.prepare(SMSTOOLS, simulator.ports[0], *directories)
    for name, text in (("a", SHORT), ("b", LONG)):
        message = f"To: 491701234567\nReport: yes\n\n{text}"
        (judge.spool / "outgoing" / name).write_bytes(message.encode("latin-1"))
    simulator.control.deliver("+491701234568", ANSWER)
    simulator.control.deliver("+491701234568", LONG_ANSWER)
    smsd = (judges / "usr/sbin/smsd", "-t", "-c", configuration)
    with judge.running(*smsd, "-p", judge.spool / "pid", "-i", judge.spool / "information"):
        judge.wait_for("3 reports", lambda: len(judge.files("report")) == 3)
        judge.wait_for("2 received messages", lambda: len(judge.files("incoming")) == 2)
        judge.wait_for("2 sent messages", lambda: len(judge.files("sent")) == 2)
    airs = simulator.events("air")
    assert sorted(sent_texts(airs).values()) == sorted([SHORT, LONG])
    assert len(airs) == 3 and all(air["srr"] for air in airs)
    assert all(b"short message received by the SME" in report for report in judge.files("report"))
    reported = {re.search(rb"Message_id: (\d+)", report) for report in judge.files("report")}
    assert {int(match.group(1)) for match in reported if match} == {air["mr"] for air in airs}
    received = [data.decode("latin-1").partition("\n\n")[2] for data in judge.files("incoming")]
    assert sorted(received) == sorted([ANSWER, LONG_ANSWER])
    assert judge.files("failed") == []
    assert simulator.events("violation") == []
