"""SIM, signal, USSD, balance, calls: what a session finds out beside messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.journal.store import Journal
from agent.sim_memory import RouteMemory
from drivers.api import Attended, BalanceRead, DriverError, IncomingCall, PartToSend, PersonNeeded, Refused, SessionLost
from drivers.at import calls, commands, pin, ussd
from drivers.at.calls import SAME_CALL_S, Calls
from drivers.at.parser import Kind, Line, Parser
from drivers.at.profiles import UssdForm
from drivers.at.upkeep import balance_in
from drivers.settings import Secret
from drivers.simulator.process import SimulatorProcess
from tests.agent.fakes import MemoryOfJournal
from tests.at.harness import FactMemory, Harness
from tests.at.test_tables import answer

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

Start = Callable[..., SimulatorProcess]
Make = Callable[..., Harness]


# --- SIM --------------------------------------------------------------------------------------------


async def test_a_pin_is_tried_once_more_when_a_person_says_so_and_the_record_is_cleared_in_the_journal(
    simulator: Start, harness: Make, tmp_path: Path
) -> None:
    sim = simulator("--pin", "4711")
    journal = Journal(tmp_path / "journal.db")
    await journal.start(0)
    route = harness(sim.ports[0], pin=Secret("1234"))
    memory = RouteMemory(MemoryOfJournal(journal))
    route.memory = memory  # type: ignore[assignment]
    for _ in range(2):
        with pytest.raises(PersonNeeded, match="PIN"):
            await route.open()
    assert list((await memory.pins()).values()) == ["refused"]
    assert len(sim.events("pin")) == 1
    assert len(await memory.forget_pins()) == 1 and await memory.pins() == {}
    with pytest.raises(PersonNeeded):
        await route.open()
    assert len(sim.events("pin")) == 2, "once more, and only once"
    await journal.close()


async def test_an_accepted_pin_is_never_forgotten() -> None:
    facts = FactMemory()
    memory = RouteMemory(facts)
    await memory.remember("8949", pin.FACT, "accepted:abc")
    assert await memory.forget_pins() == [] and facts.facts["8949", pin.FACT] == "accepted:abc"


async def test_an_smsc_that_the_sim_forgot_is_given_back(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.request("sim", smsc="")
    session = await route.open()
    assert session.sim.smsc == "+491710760000" and (await route.send()).tp_mr is not None


async def test_another_sim_is_noticed_and_has_its_own_iccid(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.at.upkeep.UPKEEP_S", 0.1)
    sim = simulator()
    route = harness(sim.ports[0])
    first = (await route.open()).sim.iccid
    sim.control.request("sim", swap=True)
    assert isinstance(await route.lost(), SessionLost)
    assert (await route.open()).sim.iccid != first


@pytest.mark.parametrize(
    "line, expected",
    [
        ("+CESQ: 99,99,255,255,20,50", -91),
        ("+CESQ: 99,99,40,20,255,255", -81),
        ("+CESQ: 30,0,255,255,255,255", -81),
        ("+CESQ: 99,99,255,255,255,255", None),
        ("+CESQ: 99", None),
    ],
)
def test_extended_signal_in_dbm(line: str, expected: int | None) -> None:
    assert commands.extended_signal_dbm(answer(commands.EXTENDED_SIGNAL, line)) == expected


def test_the_iccid_is_read_from_its_file_where_no_command_knows_it() -> None:
    found = commands.iccid_of_file(answer(commands.ICCID_FILE, '+CRSM: 144,0,"98942000002143658709"'))
    assert found == "89490200001234567890"
    assert commands.iccid_of_file(answer(commands.ICCID_FILE, '+CRSM: 106,130,""')) is None


# --- encoding once more ---------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [98, 198, 69, 128])
async def test_a_part_whose_options_are_refused_goes_without_them(simulator: Start, harness: Make, code: int) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    sim.control.fault("cms_error", 0, 1, code=code, at="answer")
    part = PartToSend("+4915112345678", "gsm7", b"hello", validity_s=3600)
    sent = await session.submit(part, _durable())
    assert sent.tp_mr is not None and not sent.report_asked
    assert len(sim.events("air")) == 1


async def test_a_part_that_is_refused_plain_too_is_refused_for_good(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("cms_error", 0, 2, code=98, at="answer")
    with pytest.raises(Refused):
        await route.send()
    sim.control.fault("cms_error", 0, 1, code=98, at="answer")
    with pytest.raises(Refused):
        await route.send(status_report=False)


async def test_an_smsc_that_is_forgotten_in_the_middle_is_put_back(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.request("sim", smsc="")
    sent = await route.send()
    assert sent.tp_mr is not None and sent.report_asked
    assert len(sim.events("air")) == 1


async def _durable() -> None:
    return None


# --- USSD -------------------------------------------------------------------------------------------


def _line(text: str) -> Line:
    (found,) = Parser().feed(f"{text}\r\n".encode("latin-1"))
    assert found.kind is Kind.URC
    return found


@pytest.mark.parametrize(
    "text, expected",
    [
        ('+CUSD: 0,"Balance 9.99 EUR",15', "Balance 9.99 EUR"),
        ('+CUSD: 0,"Balance 9.99 EUR"', "Balance 9.99 EUR"),
        ('+CUSD: 0,"You have "100" left",15', 'You have "100" left'),
        ('+CUSD: 0,"00420061006C0061006E00630065",72', "Balance"),
        ('+CUSD: 0,"00420061006C0061006E00630065",15', "Balance"),
        ('+CUSD: 0,"04110430043B0430043D0441",15', "Баланс"),
        ('+CUSD: 0,"C2303BEC1E971B",15', "Balance"),
        ('+CUSD: 0,"42616C616E6365",68', "Balance"),
        ('+CUSD: 0,"1234",15', "1234"),
        ('+CUSD: 1,"1: more",0', "1: more"),
        ("+CUSD: 2", None),
        ("+CUSD: 4", None),
    ],
)
def test_answers_in_every_encoding(text: str, expected: str | None) -> None:
    assert ussd.read(_line(text))[1] == expected


@pytest.mark.parametrize("text", ["*100#", "1234567", "12345678", "ab c", "Balance: 9.99 EUR", "*123456#7890123"])
def test_packing_is_undone_by_decoding(text: str) -> None:
    assert ussd.decode(ussd.pack(text).hex(), 15) == text


def test_requests_in_every_form() -> None:
    texts = [ussd.request("*100#", form).text for form in UssdForm]
    assert texts == [
        'AT+CUSD=1,"*100#",15',
        'AT+CUSD=1,"002A0031003000300023",15',
        'AT+CUSD=1,"AA180C3602",15',
    ]


async def test_a_request_that_nobody_answers_ends(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    with pytest.raises(DriverError, match=r"within 0\.05 s"):
        await session.ussd("*100#", 0.05)
    with pytest.raises(DriverError, match="digits"):
        await session.ussd("hello", 1.0)
    assert (await session.ussd("*100#", 5.0)).text == "Balance 9.99 EUR"


@pytest.mark.parametrize(
    "pattern, expected", [("([0-9.]+) EUR", "9.99"), ("[0-9.]+", "9.99"), ("USD", None), (None, None)]
)
def test_the_balance_is_what_the_pattern_finds(pattern: str | None, expected: str | None) -> None:
    assert balance_in("Balance 9.99 EUR", pattern) == expected


async def test_the_balance_is_asked_for_once_per_period(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0], balance_code="*100#", balance_pattern="([0-9.]+) EUR")
    await route.open()
    (found,) = await route.wait_for(BalanceRead)
    assert (found.text, found.balance) == ("Balance 9.99 EUR", "9.99")
    session = await route.open()
    await session.ussd("*100#", 5.0)
    assert len([event for event in route.events if isinstance(event, BalanceRead)]) == 1


async def test_the_balance_and_a_restart_are_there_for_who_asks(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0], balance_code="*100#", balance_pattern="([0-9.]+) EUR")
    session = await route.open()
    assert isinstance(session, Attended)
    await route.wait_for(BalanceRead)
    await session.ask_for_balance()
    assert len([event for event in route.events if isinstance(event, BalanceRead)]) == 2
    without = await harness(simulator().ports[0]).open()
    assert isinstance(without, Attended)
    with pytest.raises(DriverError, match="No balance_code"):
        await without.ask_for_balance()
    await session.restart()
    assert sim.wait_for("reboot")


# --- calls ------------------------------------------------------------------------------------------


def test_a_call_is_told_once_with_its_number() -> None:
    state = Calls()
    told = []
    for second in range(0, 20, 5):
        for text in ("RING", '+CLIP: "+491701234567",145'):
            told.append(state.take(_line(text), "8949", float(second), rejects=False))
    assert [call.number for call in told if call is not None] == ["+491701234567"]
    again = state.take(_line('+CLIP: "030123",129'), "8949", 15 + SAME_CALL_S + 1, rejects=False)
    assert again is not None and again.number == "030123"


def test_a_call_without_a_number_is_told_at_its_second_ring() -> None:
    state = Calls()
    assert state.take(_line("RING"), "8949", 0.0, rejects=False) is None
    second = state.take(_line("+CRING: VOICE"), "8949", 5.0, rejects=True)
    assert second is not None and second.number is None and second.is_rejected


@pytest.mark.parametrize(
    "text, expected",
    [
        ('+CLIP: "+491701234567",145,"",,"",0', "+491701234567"),
        ('+CLIP: "491701234567",145', "+491701234567"),
        ('+CLIP: "030123",129', "030123"),
        ('+CLIP: "",128,,,,1', None),
        ("+CLIP: ", None),
    ],
)
def test_callers_in_every_shape(text: str, expected: str | None) -> None:
    assert calls.caller(_line(text)) == expected


@pytest.mark.parametrize("rejects", [False, True])
async def test_a_call_is_told_and_hung_up_where_that_is_wanted(simulator: Start, harness: Make, rejects: bool) -> None:
    sim = simulator()
    route = harness(sim.ports[0], reject_calls=rejects)
    session = await route.open()
    # It is the first look of a session that lets the modem tell the number.
    async with asyncio.timeout(30):
        while "+CLIP: 1,1" not in await session.terminal("AT+CLIP?", 5.0):
            await asyncio.sleep(0.02)
    sim.control.request("call", **{"from": "+491701234567", "rings": 3, "gap_s": 0.5})
    (call,) = await route.wait_for(IncomingCall)
    assert call.number == "+491701234567" and call.is_rejected is rejects
    assert (await route.send()).tp_mr is not None
