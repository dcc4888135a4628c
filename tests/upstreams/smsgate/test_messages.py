"""What becomes of the server's messages: taken in once, sent as asked, told as full snapshots."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

from drivers.api import Refused, Submitted
from tests.smsgate_server.process import SmsGateServer
from tests.upstreams.smsgate.conftest import Start, text, until

A, B, C = "+4915100000001", "+4915100000002", "+4915100000003"


def states(row: dict[str, Any]) -> dict[str, str]:
    return {one["phoneNumber"]: one["state"] for one in row["recipients"]}


async def test_a_message_goes_out_by_event_and_its_states_come_back(server: SmsGateServer, start: Start) -> None:
    rig = await start()
    await rig.registered()
    (id_,) = server.enqueue(text("hello", A))
    await until(lambda: server.messages()[id_]["state"] == "Sent")
    await rig.deliver(A)
    row = await until(lambda: (found := server.messages()[id_])["state"] == "Delivered" and found)
    assert rig.modem.texts() == ["hello"]
    assert states(row) == {A: "Delivered"}
    assert list(row["states"]) == ["Processed", "Sent", "Delivered"]
    assert [patch["state"] for patch in row["patches"]] == ["Sent", "Delivered"]


async def test_each_recipient_has_its_own_state_and_error(server: SmsGateServer, start: Start) -> None:
    rig = await start(begin=False)
    rig.modem.answers = [Submitted(1), Submitted(2), Refused("the number is barred " * 30, code="CMS 8")]
    await rig.start()
    await rig.registered()
    (id_,) = server.enqueue(text("to all", A, B, C))
    await until(lambda: set(states(server.messages()[id_]).values()) == {"Failed", "Sent"})
    await rig.deliver(B)
    row = await until(lambda: (found := server.messages()[id_])["recipients"][1]["state"] == "Delivered" and found)
    assert states(row) == {A: "Sent", B: "Delivered", C: "Failed"} and row["state"] == "Sent"
    error = row["recipients"][2]["error"]
    assert error.startswith("the number is barred") and len(error) == 256 and "rolledBack" not in row
    assert all(len(patch["recipients"]) == 3 for patch in row["patches"])


async def test_nothing_is_sent_twice_over_a_crash_and_lost_reports_are_told_again(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    device = await rig.registered()
    ids = server.enqueue(*(text(f"m{n}", A) for n in range(3)))
    await until(lambda: all(server.messages()[one]["state"] == "Sent" for one in ids))
    for one in ids:
        server.control("state", id=one, state="Pending")
    await rig.crash()
    await until(lambda: all(server.messages()[one]["state"] == "Sent" for one in ids))
    assert sorted(rig.modem.texts()) == ["m0", "m1", "m2"] and rig.device == device


async def test_a_scheduled_message_waits_here_and_can_still_be_cancelled(server: SmsGateServer, start: Start) -> None:
    rig = await start()
    await rig.registered()
    (later, now) = server.enqueue(text("later", A, scheduleAt="2099-01-01T00:00:00Z"), text("now", B))
    await until(lambda: server.messages()[now]["state"] == "Sent")
    assert server.messages()[later]["state"] == "Pending"
    server.control("cancel", id=later)
    row = await until(lambda: (found := server.messages()[later])["state"] == "Cancelled" and found)
    assert states(row) == {A: "Cancelled"} and rig.modem.texts() == ["now"]


async def test_cancelling_what_is_sent_or_never_came_is_answered_with_the_truth(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await rig.registered()
    (sent,) = server.enqueue(text("sent", A))
    await until(lambda: server.messages()[sent]["state"] == "Sent")
    server.control("state", id=sent, state="Cancelling")
    (unknown,) = server.enqueue(text("unknown", B, C, state="Cancelling"))
    row = await until(lambda: (found := server.messages()[unknown])["state"] == "Cancelled" and found)
    assert states(row) == {B: "Cancelled", C: "Cancelled"}
    await until(lambda: server.messages()[sent]["state"] == "Sent")
    assert rig.modem.texts() == ["sent"]


async def test_validity_priority_and_report_switch_are_obeyed(server: SmsGateServer, start: Start) -> None:
    rig = await start(routes=False)
    await rig.registered()
    low, high, old = server.enqueue(
        text("low", A, withDeliveryReport=False),
        text("high", B, priority=50, validUntil="2099-01-01T00:00:00Z"),
        text("too late", C, validUntil="2020-01-01T00:00:00Z"),
    )

    async def is_in(number: int) -> bool:
        return len(await rig.box.gateway.untried("gate")) >= number

    async with asyncio.timeout(30):
        while not await is_in(3):
            await asyncio.sleep(0.02)
    rig.box.start()
    await until(lambda: server.messages()[low]["state"] == "Sent")
    row = await until(lambda: (found := server.messages()[old])["state"] == "Failed" and found)
    assert row["recipients"][0]["error"] == "TTL expired"
    assert rig.modem.texts() == ["high", "low"] and server.messages()[high]["state"] == "Sent"
    assert [part.status_report for _, part in rig.modem.sent] == [True, False]
    assert [part.validity_s is not None for _, part in rig.modem.sent] == [True, False]


async def test_data_goes_to_its_port_and_what_cannot_be_sent_fails_with_a_reason(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await rig.registered()
    data = base64.b64encode(b"\x01\x02").decode()
    good, long, mms, empty = server.enqueue(
        {"dataMessage": {"data": data, "port": 53739}, "phoneNumbers": [A]},
        {"dataMessage": {"data": base64.b64encode(bytes(140)).decode(), "port": 1}, "phoneNumbers": [A]},
        {"mmsMessage": {"text": "x"}, "phoneNumbers": [A]},
        {"phoneNumbers": [A]},
    )
    await until(lambda: server.messages()[good]["state"] == "Sent")
    rows = await until(lambda: (found := server.messages())[empty]["state"] == "Failed" and found)
    assert "133" in rows[long]["recipients"][0]["error"] and "MMS" in rows[mms]["recipients"][0]["error"]
    (message,) = (await rig.box.gateway.bundle("gate", f"{rig.device}:{good}")).members
    assert (message.details["data"], message.details["port"]) == ("0102", 53739)


async def test_sim_number_chooses_the_slot_and_a_fourth_modem_is_a_device_of_its_own(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start(modems=4)
    await until(lambda: rig.device.count(",") == 1 and rig.facts["pending"] == 0)
    first, second = rig.device.split(", ")
    devices = {row["id"]: row for row in server.look()["devices"]}
    assert devices[first]["login"] == devices[second]["login"]
    await until(lambda: len(server.look()["devices"]) and all(
        len({row["id"]: row for row in server.look()["devices"]}[one]["simCards"]) == count
        for one, count in ((first, 3), (second, 1))))  # fmt: skip
    (same,) = server.enqueue(text("to b", A, simNumber=2, id="same"), device=first)
    await until(lambda: any(row["id"] == same and row["state"] == "Sent" for row in server.control("messages")))
    server.enqueue(text("to d", A, simNumber=1, id="same"), device=second)
    server.enqueue(text("nowhere", A, simNumber=2, id="none"), device=second)
    await until(lambda: rig.box.modems["d"].texts() == ["to d"])
    assert rig.box.modems["b"].texts() == ["to b"]
    row = await until(lambda: (found := server.messages()["none"])["state"] == "Failed" and found)
    assert "slot 4" in row["recipients"][0]["error"]


async def test_more_than_a_hundred_are_pulled_although_only_a_hundred_are_listed(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await rig.registered()
    ids = server.enqueue(*(text(f"m{n}", f"+49151{n:08}") for n in range(130)))
    await until(lambda: len(rig.modem.sent) == 130, timeout_s=30)
    await until(lambda: (rows := server.messages()) and all(rows[one]["state"] == "Sent" for one in ids), timeout_s=30)


async def test_short_codes_keep_their_form_and_the_numbers_are_told_as_they_came(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await rig.registered()
    (id_,) = server.enqueue(text("x", "+49 151-000", "12345"))
    row = await until(lambda: (found := server.messages()[id_])["state"] == "Sent" and found)
    assert [one["phoneNumber"] for one in row["patches"][-1]["recipients"]] == ["+49 151-000", "12345"]
    assert [part.recipient for _, part in rig.modem.sent] == ["+49151000", "12345"]
