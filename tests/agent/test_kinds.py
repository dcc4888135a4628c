"""What is not just a text, through the journal and a restart: plans out, and flash, data, MMS and indications in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.journal import inbound
from agent.journal.listing import Filter
from agent.model import Event, Job, Message, MessageKind
from drivers import sms
from drivers.api import AS_TEXT, InboundPart, PartToSend, PlannedPart, PlanOptions
from drivers.at import events as at_events
from drivers.at.driver import AtDriver
from drivers.at.settings import AtSettings
from tests.agent.fakes import Box, FakeModem
from tests.sms.test_sms_purpose import PUSH as MMS_PUSH

ICCID = "8949000000000000001"
TO = "+905551234567"
TURKISH = "İstanbul'da ılık bir gün; şeker, çay, ğ ve ü. " * 8
NOW = sms.decode_timestamp(bytes.fromhex("42701121436522"))


class Planner:
    """A box whose routes plan as modems do, by settings that can change between two lives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = AtSettings(port="/dev/null")
        planner = self

        def plan(_: object, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
            return AtDriver().plan(text, max_parts, replace(options, settings=planner.settings))

        monkeypatch.setattr("tests.agent.fakes.FakeDriver.plan", plan)


@pytest.fixture
def planner(monkeypatch: pytest.MonkeyPatch) -> Planner:
    return Planner(monkeypatch)


def sent(modem: FakeModem) -> list[PartToSend]:
    return [part for _, part in modem.sent]


async def test_a_plan_is_stored_and_not_made_again_after_a_restart(tmp_path: Path, planner: Planner) -> None:
    planner.settings = AtSettings(port="/dev/null", national_tables="locking")
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        (accepted,) = await box.gateway.accept("cli", [Job(TO, TURKISH[:300])])
        planner.settings = AtSettings(port="/dev/null", national_tables="off")
        again = await box.crash()
        again.start()
        await again.until(accepted.message_id, "sent")
        await again.stop()
        await again.journal.close()
        expected = AtDriver().plan(
            TURKISH[:300], 9, PlanOptions(AtSettings(port="/dev/null", national_tables="locking"))
        )
        assert len(expected) > 1 and expected[0].header
        assert [(part.alphabet, part.body, part.header) for part in sent(modem)] == [
            (part.alphabet, part.body, part.header) for part in expected
        ]


async def test_flash_and_data_are_kept_shown_and_sent(tmp_path: Path, planner: Planner) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        jobs = [Job(TO, "now!", is_flash=True), Job(TO, "", port=2948, data=b"\x01\xff")]
        flash, data = await box.gateway.accept("cli", jobs)
        box.start()
        await box.until(flash.message_id, "sent")
        await box.until(data.message_id, "sent")
        assert [part.message_class for part in sent(modem)] == [0, None]
        assert (sent(modem)[1].alphabet, sent(modem)[1].body) == ("8bit", b"\x01\xff")
        assert sms.find_ports(sms.decode_header(sent(modem)[1].header)) == sms.Ports(2948, 2948)
        shown = [await box.gateway.message(one.message_id or 0) for one in (flash, data)]
        assert [(message.kind, message.details) for message in shown if message] == [
            (MessageKind.TEXT, {"message_class": 0}),
            (MessageKind.DATA, {"port": 2948, "data": "01ff"}),
        ]


async def test_resending_keeps_what_it_is(tmp_path: Path, planner: Planner) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        (first,) = await box.gateway.accept("cli", [Job(TO, "", is_flash=True, port=7, data=b"\x05")])
        await box.gateway.cancel(first.message_id or 0)
        again = await box.gateway.resend(first.message_id or 0)
        assert again is not None
        message = await box.gateway.message(again.message_id or 0)
        assert message is not None
        assert message.details == {"message_class": 0, "port": 7, "data": "05"}


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        pytest.param(Job(TO, "", data=b""), "empty", id="no-octets"),
        pytest.param(Job(TO, "", port=70000, data=b"x"), "port 70000", id="port"),
        pytest.param(Job(TO, "x", device=3, is_flash=True), "plain texts only", id="flash-to-a-remote-device"),
    ],
)
async def test_what_can_never_go_fails_with_its_reason(tmp_path: Path, planner: Planner, job: Job, reason: str) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        (accepted,) = await box.gateway.accept("cli", [job])
        assert accepted.state == "failed" and reason in (accepted.error or "")


async def test_a_plan_can_be_seen_without_sending(tmp_path: Path, planner: Planner) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        plan = await box.gateway.plan("cli", Job(TO, TURKISH[:155]))
        assert (len(plan.parts), plan.failure) == (3, None)
        assert (await box.gateway.page(Filter())).total == 0


# --- inbound ----------------------------------------------------------------------------------------


def arrives(body: bytes, *elements: sms.InformationElement, dcs: int = 0, **keys: Any) -> InboundPart:
    message = sms.Deliver(sms.Address.of(TO), NOW, sms.decode_coding(dcs), body, elements=elements, **keys)
    found = at_events.decode(ICCID, sms.pdu_hex(message.encode()))
    assert isinstance(found, InboundPart)
    return found


async def take(box: Box, *parts: InboundPart) -> list[Message]:
    """The messages that these parts made, oldest first."""
    for part in parts:
        await box.journal.write(lambda con, part=part: inbound.add_part(con, "a", part, box.clock.now()))  # type: ignore[misc]
    return list(reversed((await box.gateway.page(Filter(direction="inbound"))).messages))


async def events(box: Box) -> list[Event]:
    return await box.gateway.events_after(0)


async def test_type_0_is_an_event_and_no_message(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        silent = arrives(b"x", pid=0x40)
        assert await take(box, silent, silent) == []
        found = [(event.kind, event.message_id, event.route, event.detail) for event in await events(box)]
        assert found == [("silent_sms", None, "a", f"type 0 from {TO}")]
        assert await box.journal.write(lambda con: inbound.deliver_partials(con, -1, box.clock.now())) == []


@pytest.mark.parametrize(
    ("part", "event", "texts"),
    [
        pytest.param(
            arrives(b"2 new", sms.InformationElement(1, b"\x00\x02")),
            ("voicemail", f"2 × voice mail waits (from {TO}): 2 new"),
            [],
            id="discard",
        ),
        pytest.param(arrives(b"", dcs=0xC0), ("voicemail", f"no voice mail waits any more (from {TO})"), [], id="gone"),
        pytest.param(arrives(b"", dcs=0xCB), ("waiting", f"something waits (from {TO})"), [], id="other"),
        pytest.param(arrives(b"call us", dcs=0xD9), ("fax", f"fax waits (from {TO})"), ["call us"], id="store"),
    ],
)
async def test_message_waiting_is_an_event_and_a_message_only_to_be_stored(
    tmp_path: Path, part: InboundPart, event: tuple[str, str], texts: list[str]
) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        assert [message.text for message in await take(box, part)] == texts
        found = [(item.kind, item.detail) for item in await events(box) if item.kind != "received"]
        assert found == [event]


async def test_a_replacing_message_names_what_it_replaces(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        first, other, second, third = await take(
            box,
            arrives(b"balance 5", pid=0x41),
            arrives(b"another type", pid=0x42),
            arrives(b"balance 4", pid=0x41),
            arrives(b"balance 3", pid=0x41),
        )
        assert (second.details["replaces"], third.details["replaces"]) == (first.uid, second.uid)
        assert (first.details["replaced_by"], second.details["replaced_by"]) == (second.uid, third.uid)
        assert "replaced_by" not in other.details and "replaced_by" not in third.details
        assert first.text == "balance 5"
        replaced = [(event.message_id, event.detail) for event in await events(box) if event.kind == "replaced"]
        assert replaced == [(first.id, f"by message {second.id}"), (second.id, f"by message {third.id}")]


async def test_flash_and_data_say_so(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        flash, data = await take(
            box, arrives(b"now!", dcs=0x10), arrives(b"\x00\xff", sms.Ports(16001, 5).element(), dcs=0x04)
        )
        assert (flash.kind, flash.text, flash.details) == (MessageKind.TEXT, "now!", {"message_class": 0})
        assert (data.kind, data.text) == (MessageKind.DATA, "")
        assert data.details == {"port": 16001, "source_port": 5, "data": "00ff"}


async def test_an_mms_in_two_parts_is_one_notification(tmp_path: Path) -> None:
    half = len(MMS_PUSH) // 2
    parts = [
        arrives(body, sms.Ports(2948, 9200).element(), dcs=0x04, concatenation=sms.Concatenation(9, 2, number))
        for number, body in enumerate((MMS_PUSH[:half], MMS_PUSH[half:]), 1)
    ]
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        (message,) = await take(box, parts[1], parts[0])
        assert message.kind is MessageKind.MMS
        assert message.text == "[MMS: Grüße!, 30 kB, http://mmsc.example/m?1a2b]"
        assert message.details["mms_sender"] == "+491701234567"
        assert message.details["mms_transaction_id"] == "T1a2b"
        assert message.details["data"] == MMS_PUSH.hex()
        assert message.parts == 2


async def test_another_push_keeps_its_octets(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        service, broken = await take(
            box,
            arrives(b"\x01\x06\x01\xaehello", sms.Ports(2948, 9200).element(), dcs=0x04),
            arrives(b"\x01\x07\x7f", sms.Ports(2948, 9200).element(), dcs=0x04),
        )
        assert (service.kind, service.details["content_type"]) == (MessageKind.WAP_PUSH, "application/vnd.wap.sic")
        assert (broken.kind, broken.details["data"]) == (MessageKind.WAP_PUSH, "01077f")


async def test_where_no_text_is_kept_no_data_is_either(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await box.gateway.set_device("cli", send_delay_s=0, default_sim_slot=None, is_active=True, keep_inbound=False)
        await take(box, arrives(b"\x00\xff", sms.Ports(16001, 5).element(), dcs=0x04))
        now = box.clock.now()
        assert await box.journal.write(lambda con: inbound.blank_delivered_texts(con, now.utc_ms + 1000)) == 1
        assert await box.journal.write(lambda con: inbound.blank_delivered_texts(con, now.utc_ms + 1000)) == 0
        (message,) = (await box.gateway.page(Filter(direction="inbound"))).messages
        assert message.details == {"port": 16001, "source_port": 5}


async def test_where_no_text_is_kept_the_event_has_none(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await box.gateway.set_device("cli", send_delay_s=0, default_sim_slot=None, is_active=True, keep_inbound=False)
        await take(box, arrives(b"2 new", sms.InformationElement(1, b"\x00\x02")))
        assert [event.detail for event in await events(box)] == [f"2 × voice mail waits (from {TO})"]
