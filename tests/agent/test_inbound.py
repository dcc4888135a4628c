"""Inbound parts become messages once, whatever the order, the clock and the characters do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.clock import Instant
from agent.journal import inbound
from agent.journal.listing import Filter
from drivers.api import InboundPart, UndecodablePdu
from drivers.at import events as at_events
from tests.agent.fakes import ICCID, TO, Box, FakeModem, part, take, texts


async def test_parts_join_in_any_order_and_duplicates_change_nothing(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await take(box, part(3, 3), part(1, 3), part(3, 3), part(1, 3), part(2, 3), part(2, 3))
        assert await texts(box) == ["part 1 part 2 part 3 "]


async def test_surrogate_pair_split_over_two_parts_is_whole_again(tmp_path: Path) -> None:
    octets = "Hi 😀!".encode("utf-16-be")
    halves = [
        InboundPart(ICCID, TO, "", "ucs2", half, half, reference=1, total=2, sequence=number)
        for number, half in enumerate((octets[:8], octets[8:]), start=1)
    ]
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await take(box, *halves)
        assert await texts(box) == ["Hi 😀!"]


@pytest.mark.parametrize(
    ("pdus", "expected"),
    [
        # The body of each first part ends with the escape 1B; its other half begins the second one.
        pytest.param(
            (
                "440C919471100000200000427011214365220A0500034202016AA00D",
                "440C9194711000002000004270112143652209050003420202CA21",
            ),
            "5 €!",
            id="default alphabet",
        ),
        pytest.param(
            (
                "440C919471100000200000427011214365220C0800034202012401016003",
                "440C919471100000200000427011214365220D080003420202240101601E02",
            ),
            "ş!",
            id="Turkish single shift",
        ),
    ],
)
async def test_escape_split_over_two_parts_is_whole_again(tmp_path: Path, pdus: tuple[str, str], expected: str) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await take(box, *(at_events.decode(ICCID, f"00{pdu}") for pdu in pdus))
        assert await texts(box) == [expected]


async def test_same_reference_of_two_senders_and_of_a_later_message_do_not_mix(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await take(
            box,
            part(1, 2, text="A1"),
            part(1, 2, text="B1", sender="+4930"),
            part(2, 2, text="A2"),
            part(2, 2, text="B2", sender="+4930"),
            part(2, 2, text="C2"),
            part(1, 2, text="C1"),
        )
        assert await texts(box) == ["A1A2", "B1B2", "C1C2"]


async def test_missing_part_is_handed_on_flagged_after_its_time(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        await take(box, part(1, 3), part(3, 3))
        later = replace(box.clock.now(), boot_ms=box.clock.boot_ms() + 60_000)
        assert await box.journal.write(lambda con: inbound.deliver_partials(con, 90_000, later)) == []
        await box.journal.write(lambda con: inbound.deliver_partials(con, 30_000, later))
        (message,) = (await box.gateway.page(Filter(direction="inbound"))).messages
        assert (message.text, message.error) == ("part 1  […] part 3 ", "only part 1, 3 of 3 arrived")


@pytest.mark.parametrize("jump_days", [4, -4])
async def test_a_clock_that_is_set_between_two_parts_does_not_part_them(tmp_path: Path, jump_days: int) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        now = box.clock.now()
        jumped = replace(now, utc_ms=now.utc_ms + jump_days * 86_400_000, boot_ms=now.boot_ms + 500)
        await box.journal.write(lambda con: inbound.add_part(con, "a", part(1, 2), now))
        assert not await box.journal.read(lambda con: inbound.has_partials(con, 3_600_000, jumped))
        await box.journal.write(lambda con: inbound.add_part(con, "a", part(2, 2), jumped))
        assert await texts(box) == ["part 1 part 2 "]


async def test_parts_that_a_reboot_with_another_time_kept_apart_are_one_message_in_the_end(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        now = box.clock.now()
        rebooted = Instant(now.utc_ms + 4 * 86_400_000, "another boot", 5_000)
        await box.journal.write(lambda con: inbound.add_part(con, "a", part(2, 2), now))
        await box.journal.write(lambda con: inbound.add_part(con, "a", part(1, 2), rebooted))
        assert await texts(box) == []
        next_day = replace(rebooted, utc_ms=rebooted.utc_ms + 86_400_000, boot_ms=86_405_000)
        await box.journal.write(lambda con: inbound.deliver_partials(con, 3_600_000, next_day))
        (message,) = (await box.gateway.page(Filter(direction="inbound"))).messages
        assert (message.text, message.error) == ("part 1 part 2 ", None)


async def test_what_cannot_be_decoded_is_kept(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        pdu = UndecodablePdu(ICCID, b"\x07\xff", "deliver.udl at octet 1: runs past the end")
        for _ in range(2):
            await box.journal.write(lambda con: inbound.add_undecodable(con, "a", pdu, box.clock.now()))
        (text,) = await texts(box)
        assert "07FF" in text
