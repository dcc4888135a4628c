"""Inbound and reports on the simulated modem: nothing is deleted before it was kept, nothing is told twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from drivers.api import (
    Event,
    InboundPart,
    LinkChanged,
    OpenContext,
    SessionLost,
    SessionRested,
    Sim,
    StatusReport,
    Swept,
    UndecodablePdu,
)
from drivers.at import commands
from drivers.at.care import Care
from drivers.at.channel import Channel
from drivers.at.commands import Stored
from drivers.at.inbound import Inbound, _Found
from drivers.at.parser import Kind, Line
from drivers.at.profiles import SimSwitch
from drivers.at.recovery import Ladder
from drivers.at.session import AtSession
from drivers.at.settings import AtSettings
from drivers.at.state import Modem, Storages
from drivers.at.turns import Member, Turn, Turns
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import FactMemory, Harness
from tests.at.scripted import ScriptedModem

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

Start = Callable[..., SimulatorProcess]
Make = Callable[..., Harness]


def stored(sim: SimulatorProcess) -> int:
    answer: dict[str, Any] = sim.control.request("storage")
    return sum(len(memory["messages"]) for memory in answer.values() if isinstance(memory, dict))


async def emptied(sim: SimulatorProcess) -> None:
    async with asyncio.timeout(30):
        while stored(sim):
            await asyncio.sleep(0.02)


async def test_an_indicated_message_is_told_and_then_deleted(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.deliver("+491511234567", "Hello €")
    (part,) = await route.wait_for(InboundPart)
    assert (part.sender, part.text, part.total) == ("+491511234567", "Hello €", 1)
    await emptied(sim)


async def test_what_arrived_while_nobody_listened_is_swept(simulator: Start, harness: Make) -> None:
    sim = simulator()
    sim.control.deliver("+491511234567", "x" * 400)
    route = harness(sim.ports[0])
    await route.open()
    await route.wait_for(Swept)
    parts = await route.wait_for(InboundPart, 3)
    assert {part.sequence for part in parts} == {1, 2, 3} and parts[0].reference is not None
    await emptied(sim)
    assert len(parts) == 3


async def test_what_could_not_be_kept_stays_on_the_sim(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    route.refuses = lambda event: isinstance(event, InboundPart)
    await route.open()
    sim.control.deliver("+491511234567", "precious")
    assert isinstance(await route.lost(), OSError)
    assert stored(sim) == 1
    route.refuses = lambda event: False
    await route.open()
    assert (await route.wait_for(InboundPart))[0].text == "precious"
    await emptied(sim)


@pytest.mark.parametrize("lie", [False, True])
async def test_an_undeletable_message_is_told_once(simulator: Start, harness: Make, lie: bool) -> None:
    sim = simulator()
    sim.control.fault("delete_fails", times=3, lie=lie)
    route = harness(sim.ports[0], sweep_interval_s=0.1)
    await route.open()
    sim.control.deliver("+491511234567", "sticky")
    await route.wait_for(Swept, 5, timeout_s=8)
    assert len(await route.wait_for(InboundPart)) == 1
    await emptied(sim)


async def test_a_lost_indication_costs_one_sweep(simulator: Start, harness: Make) -> None:
    sim = simulator()
    sim.control.fault("cnmi_refused", times=0)
    route = harness(sim.ports[0], sweep_interval_s=0.1)
    session = await route.open()
    assert session.link.indications == "polling"
    await route.wait_for(Swept)
    sim.control.deliver("+491511234567", "hello")
    assert len(await route.wait_for(InboundPart, timeout_s=3)) == 1


async def test_what_cannot_be_decoded_is_kept_too(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.request("urc", line="+CMT: ,3\r\n0004FF91")
    (event,) = await route.wait_for(UndecodablePdu)
    assert event.pdu == bytes.fromhex("0004FF91") and event.reason


async def test_direct_delivery_is_acknowledged_after_it_was_kept(simulator: Start, harness: Make) -> None:
    sim = simulator("--me-capacity", "0", "--sm-capacity", "0", "--sr-capacity", "0")
    route = harness(sim.ports[0])
    session = await route.open()
    assert session.link.indications == "direct, reports direct"
    for number in range(3):
        sim.control.deliver("+491511234567", f"hello {number}")
        await route.wait_for(InboundPart, number + 1)
    assert [part.text for part in await route.wait_for(InboundPart, 3)] == ["hello 0", "hello 1", "hello 2"]


async def test_stored_reports_are_read_back_and_that_is_remembered(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    sent = await route.send()
    (report,) = await route.wait_for(StatusReport)
    assert report.tp_mr == sent.tp_mr and session.link.indications == "stored, reports stored"
    await emptied(sim)
    assert route.memory.facts[session.sim.iccid, "report_routing"] == "stored"


async def test_a_report_that_waited_in_memory_is_swept(simulator: Start, harness: Make) -> None:
    sim = simulator("--report-delay", "0.3")
    route = harness(sim.ports[0])
    await route.open(run=False)
    await route.send()
    await asyncio.to_thread(sim.wait_for, "report")
    await route.open()
    await route.wait_for(StatusReport)
    await emptied(sim)


async def test_without_room_for_reports_they_come_directly(simulator: Start, harness: Make) -> None:
    sim = simulator("--sr-capacity", "0", "--sr-lies")
    route = harness(sim.ports[0])
    session = await route.open()
    assert session.link.indications == "stored, reports direct"
    sent = await route.send()
    assert (await route.wait_for(StatusReport))[0].tp_mr == sent.tp_mr


async def test_a_stored_report_that_cannot_be_read_means_direct_for_good(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    await route.wait_for(Swept)
    sim.control.request("urc", line='+CDSI: "SR",8')
    async with asyncio.timeout(30):
        while session.link.indications != "stored, reports direct":
            await asyncio.sleep(0.01)
    assert route.memory.facts[session.sim.iccid, "report_routing"] == "direct"
    sent = await route.send()
    assert (await route.wait_for(StatusReport))[0].tp_mr == sent.tp_mr
    assert (await route.open()).link.indications == "stored, reports direct"


async def test_sending_and_receiving_share_the_line(simulator: Start, harness: Make) -> None:
    sim = simulator("--radio-time", "0.005")
    route = harness(sim.ports[0])
    await route.open()
    for number in range(20):
        sim.control.deliver("+491511234567", f"hello {number}")
    for _ in range(60):
        await route.send()
    assert len(await route.wait_for(InboundPart, 20)) == 20
    assert len(await route.wait_for(StatusReport, 60)) == 60
    await emptied(sim)
    assert not sim.events("violation")


async def test_urcs_inside_answers_disturb_nothing(simulator: Start, harness: Make) -> None:
    sim = simulator()
    sim.control.deliver("+491511234567", "waiting")
    sim.control.fault("urc_inside", times=20, line="^RSSI: 17")
    sim.control.fault("urc_inside", times=0, line='+CREG: 1,"5E25","605F"', command="+CMGL")
    route = harness(sim.ports[0])
    await route.open()
    assert (await route.wait_for(InboundPart))[0].text == "waiting"


async def test_a_silent_reboot_is_noticed(simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.at.upkeep.UPKEEP_S", 0.2)
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    await route.wait_for(Swept)
    # What a reboot without a word does.
    await session._channel.exchange(commands.set_routing(0, 0, 0, 0, 0))
    assert "settings" in str(await route.lost())


async def test_a_frozen_modem_is_noticed(simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.at.upkeep.UPKEEP_S", 0.2)
    monkeypatch.setattr(commands, "SIGNAL", replace(commands.SIGNAL, timeout_s=0.3))
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    await route.wait_for(LinkChanged)
    sim.control.fault("hang", at="now")
    assert isinstance(await route.lost(8), SessionLost)


async def test_nothing_is_deleted_or_read_by_what_was_selected_in_an_earlier_hold_of_the_line() -> None:
    """A silent reboot had put mem1 back to ME, and unread messages there were deleted for reports read in SR."""
    script = ScriptedModem({"AT+CMGR=2": b"\r\n+CMGR: 0,1,,0\r\n\r\nOK\r\n"})
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"))
    modem.storages = Storages("SR", "ME", "ME", ("ME", "SR"), 3)
    told: list[Event] = []

    async def emit(event: Event) -> None:
        told.append(event)

    inbound = Inbound(channel, modem, OpenContext("test", emit, FactMemory()), asyncio.Lock())
    await inbound._keep([_Found("SR", Stored(1, "0006"))])
    assert script.commands[-2:] == ['AT+CPMS="SR","ME","ME"', "AT+CMGD=1"]
    inbound.indicate(Line(Kind.URC, '+CDSI: "SR",2', "+CDSI"))
    await inbound.serve()
    reading = script.commands.index("AT+CMGR=2")
    assert script.commands[reading - 1] == 'AT+CPMS="SR","ME","ME"'
    await channel.close()


async def test_a_slot_that_was_named_twice_is_deleted_once() -> None:
    """The second deletion took a report that had arrived in the slot between the two, and nobody had read it."""
    pdu = b"0006040C91947132547698" + 2 * b"62104221436500" + b"00"
    script = ScriptedModem({"AT+CMGR=1": b"\r\n+CMGR: 0,,25\r\n" + pdu + b"\r\n\r\nOK\r\n"})
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"))
    modem.storages = Storages("SR", "ME", "ME", ("ME", "SR"), 3)
    told: list[Event] = []

    async def emit(event: Event) -> None:
        told.append(event)

    inbound = Inbound(channel, modem, OpenContext("test", emit, FactMemory()), asyncio.Lock())
    for _ in range(2):
        inbound.indicate(Line(Kind.URC, '+CDSI: "SR",1', "+CDSI"))
    await inbound.serve()
    assert [type(event) for event in told] == [StatusReport]
    assert script.commands.count("AT+CMGD=1") == 1
    await channel.close()


async def test_a_slot_that_was_named_again_is_read_again_before_it_is_deleted() -> None:
    """What was read may have been replaced in its slot while it was written down."""
    pdus = [b"0006%02d0C91947132547698" % mr + 2 * b"62104221436500" + b"00" for mr in (4, 5)]
    left = iter(pdus)
    script = ScriptedModem({"AT+CMGR=1": lambda: b"\r\n+CMGR: 0,,25\r\n" + next(left) + b"\r\n\r\nOK\r\n"})
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"))
    modem.storages = Storages("SR", "ME", "ME", ("ME", "SR"), 3)
    told: list[Event] = []

    async def emit(event: Event) -> None:
        if not told:
            inbound.indicate(Line(Kind.URC, '+CDSI: "SR",1', "+CDSI"))
        told.append(event)

    inbound = Inbound(channel, modem, OpenContext("test", emit, FactMemory()), asyncio.Lock())
    inbound.indicate(Line(Kind.URC, '+CDSI: "SR",1', "+CDSI"))
    while inbound.wanted.is_set():
        await inbound.serve()
    assert [event.tp_mr for event in told if isinstance(event, StatusReport)] == [4, 5]
    assert [command for command in script.commands if "=1" in command] == ["AT+CMGR=1"] * 2 + ["AT+CMGD=1"]
    await channel.close()


async def test_of_two_sims_nothing_comes_between_the_look_at_the_sim_and_the_deletion() -> None:
    """A submit may take seconds, and the modem may restart on the other SIM behind it."""
    line = asyncio.Lock()
    others: list[asyncio.Task[None]] = []

    async def submit() -> None:
        async with line:
            await channel.exchange(commands.SIGNAL)

    def used() -> bytes:
        others.append(asyncio.create_task(submit()))
        return b"\r\n+QDSIM: 0\r\n\r\nOK\r\n"

    script = ScriptedModem({"AT+QDSIM?": used})
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"))
    modem.slot_switch, modem.slot = SimSwitch("AT+QDSIM?", "AT+QDSIM={slot}"), 1
    modem.storages = Storages("SM", "SM", "SM", ("SM",), 3)

    async def emit(event: Event) -> None: ...

    inbound = Inbound(channel, modem, OpenContext("test", emit, FactMemory()), line)
    await inbound._keep([_Found("SM", Stored(3, "0006"))])
    await asyncio.gather(*others)
    deletion = script.commands.index("AT+CMGD=3")
    assert script.commands[deletion - 2 : deletion] == ["AT+QDSIM?", 'AT+CPMS="SM","SM","SM"']
    await channel.close()


async def test_a_sim_is_not_left_while_something_of_it_lies_unread_in_the_modem() -> None:
    """The radio is off, and the modem stores the last message while it is swept."""
    pdu = b"00040C91947132547698000062104221436500" + b"02E834"
    script = ScriptedModem(
        {
            "AT+CMGL=4": b'\r\nOK\r\n\r\n+CMTI: "ME",1\r\n',
            "AT+CMGR=1": b"\r\n+CMGR: 0,,20\r\n" + pdu + b"\r\n\r\nOK\r\n",
        }
    )
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"))
    modem.storages = Storages("ME", "ME", "ME", ("ME",), 3)
    told: list[Event] = []

    async def emit(event: Event) -> None:
        told.append(event)

    async def has_work() -> bool:
        return False

    turn = Turn(Turns(), Member(1, "test", 10.0, 0.1, has_work))
    context = OpenContext("test", emit, FactMemory())
    session = AtSession(channel, modem, AtSettings(port="-"), context, Care(Ladder(), lambda _: None, {}), turn=turn)
    taking = asyncio.create_task(session._take_urcs())
    try:
        with pytest.raises(SessionRested):
            await session._rest(turn)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
    assert [event.text for event in told if isinstance(event, InboundPart)] == ["hi"]
    assert "AT+CMGD=1" in script.commands
    await channel.close()


async def test_a_late_acknowledgement_sets_the_routing_again() -> None:
    """The modem switches its routing off for want of one in time, and answers 340 to what comes later."""
    script = ScriptedModem({"AT+CNMA": b"\r\n+CMS ERROR: 340\r\n"})
    channel = Channel(route="test")
    script.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    modem = Modem(sim=Sim("8949"), routing=commands.Routing(2, 2, 0, 1, 0), is_acknowledging=True)

    async def emit(_: Event) -> None:
        return None

    inbound = Inbound(channel, modem, OpenContext("test", emit, FactMemory()), asyncio.Lock())
    inbound.acknowledge()
    await inbound.serve()
    assert script.commands[-2:] == ["AT+CNMA", "AT+CNMI=2,2,0,1,0"]
    await channel.close()
