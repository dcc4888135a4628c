"""Our row on the server: found or asked for, re-read, and obeyed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.mobsms_server.process import MobSmsServer
from tests.upstreams.mobsms.conftest import Start, until


async def test_what_the_server_says_of_its_device_is_obeyed_and_reread(
    server: MobSmsServer, device: str, start: Start
) -> None:
    server.add_device(device, send_delay_seconds=7, default_sim_slot=1)
    server.set_account(keep_inbound=False)
    rig = await start(modems=2, device_refresh_s=1)
    await until(lambda: rig.upstream.status()["device_number"])
    row = await rig.box.gateway.device("mobsms")
    assert (row.send_delay_s, row.default_sim_slot, row.is_active, row.keep_inbound) == (7, 1, True, False)
    server.add_device(device, send_delay_seconds=0, default_sim_slot=None)
    server.set_account(keep_inbound=True)
    await until(lambda: rig.upstream.status()["send_delay_s"] == 0)
    row = await rig.box.gateway.device("mobsms")
    assert (row.send_delay_s, row.default_sim_slot, row.keep_inbound) == (0, None, True)


async def test_a_fault_of_the_settings_alone_stops_nothing(server: MobSmsServer, device: str, start: Start) -> None:
    server.fault("status", status=500, path="/api/settings")
    server.enqueue(1, device=device)
    rig = await start()
    await until(lambda: rig.modem.sent)


async def test_sim_choice_any_leaves_the_servers_slot_aside(server: MobSmsServer, device: str, start: Start) -> None:
    server.add_device(device, default_sim_slot=0)
    rig = await start(modems=2, sim_choice="any")
    for modem in rig.box.modems.values():
        modem.radio_s = 0.05
    server.enqueue(10, device=device)
    await until(lambda: sum(len(modem.sent) for modem in rig.box.modems.values()) == 10)
    assert all(modem.sent for modem in rig.box.modems.values())


async def test_a_device_switched_off_pulls_nothing_until_it_is_on(
    server: MobSmsServer, device: str, start: Start
) -> None:
    server.add_device(device, is_active=False)
    server.enqueue(1, device=device)
    rig = await start(device_refresh_s=1)
    await until(lambda: "switched device" in rig.problem)
    await asyncio.sleep(0.3)
    assert rig.modem.sent == []
    server.add_device(device, is_active=True)
    await until(lambda: rig.modem.sent)
    assert rig.problem == ""


async def test_a_missing_device_is_one_clear_sentence_and_taken_up_when_it_appears(
    server: MobSmsServer, device: str, start: Start
) -> None:
    rig = await start(device_id="not there yet")
    await until(lambda: rig.problem)
    assert 'has no device "not there yet"' in rig.problem
    assert f'"{device}"' in rig.problem or "set device_id of this upstream to one of" in rig.problem
    asked = [line for line in server.log("request") if (line["method"], line["path"]) == ("POST", "/api/devices")]
    await asyncio.sleep(0.5)
    again = [line for line in server.log("request") if (line["method"], line["path"]) == ("POST", "/api/devices")]
    assert len(again) == len(asked)
    server.add_device("not there yet")
    rig.upstream._row.forget()
    rig.upstream._wake.set()
    await until(lambda: rig.upstream.status()["device_number"])
    await until(lambda: rig.problem == "")


async def test_a_server_that_registers_is_asked_to(tmp_path: Path, start: Start) -> None:
    with MobSmsServer(tmp_path / "server", undocumented="extensions") as server:
        rig = await start(base_url=server.url, device_id="new-pi")
        await until(lambda: rig.upstream.status()["device_number"] == 1)
        server.enqueue(1, device="new-pi")
        await until(lambda: rig.modem.sent)
        await rig.receive("hello")
        await until(lambda: server.api("GET", "/api/sms/inbox")[1]["data"]["total"] == 1)
        await until(lambda: rig.upstream.status()["inbound"] == "server")
        assert server.hooks() == []
        await rig.box.stop()
