"""Pulling by the documented list: oldest first over many pages, each once, withdrawn when it is gone there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from agent.upstreams.mobsms import pull
from drivers.api import Link, LinkChanged, Registration
from tests.mobsms_server.process import MobSmsServer
from tests.upstreams.mobsms.conftest import Start, all_told, of, told, until


def looks(server: MobSmsServer, number: int) -> list[dict[str, Any]]:
    """Requests for the pending list of one device."""
    return [
        line for line in server.log("request")
        if line["path"] == "/api/sms" and line["query"].get("device_id") == str(number)
    ]  # fmt: skip


async def test_several_pages_are_sent_oldest_first_and_reported_sent(
    server: MobSmsServer, device: str, start: Start
) -> None:
    ids = server.enqueue(130, device=device, age_s=600, spread_s=1, text="m{n}")
    rig = await start(sim_choice="server")
    await until(lambda: len(rig.modem.sent) == 130)
    rows = of(server, device)
    assert rig.modem.texts() == [rows[number]["message"] for number in ids]
    await until(lambda: all(row["status"] == "sent" for row in of(server, device).values()))
    assert all(states == ["sent"] for states in all_told(server, ids))


async def test_a_list_that_shifts_while_it_is_paged_loses_and_doubles_nothing(
    server: MobSmsServer, device: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "_WALK_SOON_S", 0.3)
    monkeypatch.setattr(pull, "_WALK_SOON_S_PER_PAGE", 0.0)
    ids = server.enqueue(160, device=device, age_s=600, text="m{n}")
    server.fault("slow", path=r"/api/sms\?.*", delay_s=0.05)
    rig = await start(feed=False)
    for _ in range(12):
        ids += server.enqueue(9, device=device, text="m{n}")
        gone = ids.pop(3)
        server.api("DELETE", f"/api/sms/{gone}")
        await asyncio.sleep(0.04)
    rows = of(server, device)
    wanted = {rows[number]["message"] for number in ids}
    await until(lambda: wanted <= set(rig.modem.texts()), 10)
    assert len(rig.modem.texts()) == len(set(rig.modem.texts()))


async def test_rows_that_are_not_this_devices_pending_messages_are_left_alone(
    server: MobSmsServer, device: str, start: Start
) -> None:
    number = server.add_device(device)["id"]
    rows: list[Any] = [
        {"id": 9001, "recipient_number": "+998901111111", "message": "old", "status": "delivered"},
        {"id": 9002, "recipient_number": "+998901111111", "message": "theirs", "device_id": number + 1000},
        {"recipient_number": "+998901111111", "message": "without an id"},
        "no row", 7, None,
        {"id": 9003, "recipient_number": "+998901111111", "message": "in", "direction": "inbound"},
        {"id": 9004, "phone": "+998902222222", "message": "good \ud83d"},
        {"id": 9005, "recipient_number": "+998903333333", "message": "too urgent", "priority": 10**30,
         "valid_for_s": 1e300, "created_at": "0001-01-01T00:00:00Z"},
    ]  # fmt: skip
    page = {"success": True, "data": {"current_page": 1, "data": rows, "per_page": 50, "total": len(rows)}}
    server.fault("status", status=200, path=r"/api/sms\?.*", body=json.dumps(page))
    rig = await start()
    await until(lambda: rig.modem.sent)
    await asyncio.sleep(0.3)
    assert rig.modem.texts() == ["good �"]


async def test_pending_there_but_sent_here_is_reported_again_and_never_sent_again(
    server: MobSmsServer, device: str, start: Start
) -> None:
    (number,) = server.enqueue(1, device=device)
    rig = await start()
    await until(lambda: told(server, number) == ["sent"])
    server.api("PUT", f"/api/sms/{number}", {"status": "pending"})
    await until(lambda: told(server, number) == ["sent", "pending", "sent"])
    assert len(rig.modem.sent) == 1


async def test_what_was_deleted_here_is_still_known_and_told(server: MobSmsServer, device: str, start: Start) -> None:
    (number,) = server.enqueue(1, device=device)
    rig = await start()
    await until(lambda: told(server, number) == ["sent"])
    await rig.box.gateway.delete(1)
    server.api("PUT", f"/api/sms/{number}", {"status": "pending"})
    await until(lambda: told(server, number) == ["sent", "pending", "sent"])
    assert len(rig.modem.sent) == 1


@pytest.mark.parametrize("how", ["cancel", "delete", "sent by another"])
async def test_what_is_withdrawn_there_is_not_sent(server: MobSmsServer, device: str, start: Start, how: str) -> None:
    first, second = server.enqueue(2, device=device, recipients=["+998901110001", "+998901110002"])
    rig = await start(has_service=False)
    await until(lambda: rig.upstream.status()["pending"] == 2)
    if how == "cancel":
        server.api("POST", f"/api/sms/{first}/cancel")
    elif how == "delete":
        server.api("DELETE", f"/api/sms/{first}")
    else:
        server.api("PUT", f"/api/sms/{first}", {"status": "sent"})
    assert await rig.box.until(1, "cancelled") == "cancelled"
    message = await rig.box.gateway.message(1)
    assert message is not None and message.error is not None and message.error.startswith("the server withdrew it")
    assert await rig.box.state(2) == "queued"
    await asyncio.sleep(0.2)
    # The server knows what it did: it is told nothing.
    assert told(server, first) == (["sent"] if how == "sent by another" else [])
    assert told(server, second) == []


async def test_a_long_backlog_is_not_walked_again_while_nothing_changes(
    server: MobSmsServer, device: str, start: Start
) -> None:
    ids = server.enqueue(170, device=device, age_s=60)
    number = server.add_device(device)["id"]
    rig = await start(has_service=False)
    await until(lambda: rig.upstream.status()["pending"] == 170)
    walked = len(looks(server, number))
    assert walked <= 6
    await until(lambda: len(looks(server, number)) >= walked + 4)
    assert {line["query"]["page"] for line in looks(server, number)[walked + 1 :]} == {"1"}
    # One more behind, and one gone from the middle, are both noticed.
    server.api("POST", f"/api/sms/{ids[80]}/cancel")
    (new,) = server.enqueue(1, device=device)
    await until(lambda: new in {int(line["listed"][0]) for line in looks(server, number) if line.get("listed")})
    gateway = rig.box.gateway

    async def waiting() -> set[str]:
        return set(await gateway.untried("mobsms"))

    async with asyncio.timeout(30):
        while await waiting() != {str(id_) for id_ in [*ids, new] if id_ != ids[80]}:
            await asyncio.sleep(0.05)


async def test_refresh_is_one_look_for_all_who_ask(server: MobSmsServer, device: str, start: Start) -> None:
    number = server.add_device(device)["id"]
    rig = await start(poll_interval_s=30, idle_poll_interval_s=30)
    await until(lambda: len(looks(server, number)) == 1)
    await asyncio.gather(*(rig.upstream.refresh() for _ in range(20)))
    assert len(looks(server, number)) == 2


async def test_old_message_without_attempt_is_checked_before_it_is_sent(
    server: MobSmsServer, device: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = server.enqueue(1, device=device)
    rig = await start(has_service=False, poll_interval_s=60, idle_poll_interval_s=60)
    await until(lambda: rig.upstream.status()["pending"] == 1)
    later = rig.box.clock.boot_ms

    monkeypatch.setattr(rig.box.clock, "boot_ms", lambda: later() + 10_000)
    server.api("POST", f"/api/sms/{number}/cancel")
    await rig.modem.contexts[-1].emit(LinkChanged(Link(registration=Registration.HOME)))
    assert await rig.box.until(1, "cancelled", "sent") == "cancelled"
    assert rig.modem.sent == []


async def test_a_restart_neither_forgets_nor_repeats(server: MobSmsServer, device: str, start: Start) -> None:
    ids = server.enqueue(30, device=device)
    rig = await start(feed=False)
    rig.modem.radio_s = 0.02
    await until(lambda: len(rig.modem.sent) >= 8)
    first = rig.modem.texts()
    await rig.box.stop()
    await rig.box.journal.close()
    again = await start()
    await until(lambda: all(row["status"] == "sent" for row in of(server, device).values()))
    sent = first + again.modem.texts()
    rows = of(server, device)
    assert set(sent) == {rows[number]["message"] for number in ids}
    # Only the part that was in the air may be doubled.
    assert len(sent) <= 31
