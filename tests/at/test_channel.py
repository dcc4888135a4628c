"""The channel at the byte seam: one command at a time, deadlines, resynchronisation, order of URCs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.api import SessionLost
from drivers.at import commands, leftover, trace
from drivers.at.channel import (
    BodyUnanswered,
    Channel,
    CommandTimeout,
    PromptMissing,
    PromptRefused,
)
from drivers.at.parser import Line
from drivers.at.request import Request
from tests.at.scripted import ScriptedModem

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

MODES = ["plain", "octets", "delayed"]
CSQ = Request("AT+CSQ", ("+CSQ",), 0.5)


@pytest.fixture(params=MODES)
async def modem(request: pytest.FixtureRequest) -> AsyncIterator[ScriptedModem]:
    modem = ScriptedModem({"AT+CSQ": b"\r\n+CSQ: 20,99\r\n\r\nOK\r\n"})
    modem.chunk = 1 if request.param == "octets" else 0
    modem.delay_s = 0.01 if request.param == "delayed" else 0.0
    yield modem


def channel_on(modem: ScriptedModem) -> Channel:
    channel = Channel()
    modem.attach(channel)
    return channel


async def ready() -> None:
    await asyncio.sleep(0)


async def test_an_answer_reaches_its_command_and_a_urc_the_queue(modem: ScriptedModem) -> None:
    modem.answers["AT+CSQ"] = b'\r\n+CMTI: "SM",1\r\n\r\n+CSQ: 20,99\r\n\r\n+CREG: 5\r\n\r\nOK\r\n+CDSI: "SR",2\r\n'
    channel = channel_on(modem)
    answer = await channel.exchange(CSQ)
    assert [line.text for line in answer.lines] == ["+CSQ: 20,99"] and answer.is_ok
    await asyncio.sleep(0.1)
    assert [line.name for line in await channel.next_urcs()] == ["+CMTI", "+CREG", "+CDSI"]
    await channel.close()


async def test_two_commands_at_once_are_a_mistake_of_ours() -> None:
    modem = ScriptedModem({"AT+CSQ": b""})
    channel = channel_on(modem)
    await channel.resynchronise()
    first = asyncio.create_task(channel.exchange(CSQ))
    await asyncio.sleep(0.05)
    with pytest.raises(RuntimeError):
        await channel._exchange(CSQ, 1)
    with pytest.raises(CommandTimeout):
        await first
    await channel.close()


async def test_a_late_answer_is_not_given_to_the_next_command() -> None:
    modem = ScriptedModem({"AT+CSQ": b""})
    channel = channel_on(modem)
    with pytest.raises(CommandTimeout):
        await channel.exchange(CSQ, 0.05)
    modem.say(b"\r\n+CSQ: 1,1\r\n\r\nOK\r\n")
    modem.answers["AT+CREG?"] = b"\r\n+CMS ERROR: 38\r\n"
    answer = await channel.exchange(commands.registration_query("CREG"))
    assert answer.final.text == "+CMS ERROR: 38" and not answer.lines
    assert b"\x1b" in modem.written
    await channel.close()


async def test_unrelated_traffic_does_not_extend_a_deadline() -> None:
    modem = ScriptedModem({"AT+CSQ": b""})
    channel = channel_on(modem)
    await channel.resynchronise()

    async def chatter() -> None:
        while True:
            modem.say(b"\r\n^BOOT: 1,2\r\n")
            await asyncio.sleep(0.02)

    noise = asyncio.create_task(chatter())
    # Were each line to put the deadline off, there would be none.
    async with asyncio.timeout(10):
        with pytest.raises(CommandTimeout):
            await channel.exchange(CSQ, 0.2)
    noise.cancel()
    await channel.close()


async def test_an_extra_ok_in_the_line_does_not_shift_the_answers() -> None:
    modem = ScriptedModem({"\x1b": b"\r\nOK\r\n", "AT+CSQ": b"\r\n+CSQ: 9,9\r\n\r\nOK\r\n"})
    channel = channel_on(modem)
    await channel.resynchronise(settled=False)
    answer = await channel.exchange(CSQ)
    assert answer.first == "+CSQ: 9,9"
    await channel.close()


async def test_what_a_session_before_did_not_read_answers_no_question_of_the_next() -> None:
    modem = ScriptedModem({})
    channel = channel_on(modem)
    modem.say(b"\r\nOK\r\n")  # lies there when the port is opened
    modem.delay_s = 0.05
    await channel.resynchronise(settled=False)
    # A second command before the answer to the first would be lost in many a modem, and both repeated.
    assert modem.commands == ["AT", "AT+CMGF?"]
    await channel.close()


async def test_a_dead_modem_is_given_up_in_bounded_time() -> None:
    modem = ScriptedModem({"AT+CMGF?": b""}, otherwise=None)
    channel = channel_on(modem)
    with pytest.raises(SessionLost):
        await channel.resynchronise(0.3)
    assert modem.is_aborted and channel.lost is not None
    await channel.close()


async def test_a_cancelled_command_leaves_the_channel_usable(modem: ScriptedModem) -> None:
    channel = channel_on(modem)
    await channel.resynchronise()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await channel.exchange(CSQ)
    assert (await channel.exchange(CSQ)).first == "+CSQ: 20,99"
    await channel.close()


async def test_a_submit_writes_the_pdu_once_and_nothing_after(modem: ScriptedModem) -> None:
    modem.answers |= {"AT+CMGS=3": b"\r\n> ", "00112233\x1a": b'\r\n+CMGS: 7,"scts"\r\n\r\nOK\r\n'}
    channel = channel_on(modem)
    answer = await channel.send_pdu(commands.submit(3), "00112233", ready(), prompt_s=1, body_s=1)
    assert commands.message_reference(answer) == 7
    assert modem.written[-2:] == [b"AT+CMGS=3\r", b"00112233\x1a"]
    await channel.close()


async def test_an_ok_without_reference_is_a_success_too(modem: ScriptedModem) -> None:
    modem.answers |= {"AT+CMGS=3": b"\r\n> ", "00112233\x1a": b"\r\nOK\r\n"}
    channel = channel_on(modem)
    answer = await channel.send_pdu(commands.submit(3), "00112233", ready(), prompt_s=1, body_s=1)
    assert answer.is_ok and commands.message_reference(answer) is None
    await channel.close()


async def test_the_ways_a_submit_ends_badly() -> None:
    modem = ScriptedModem({"AT+CMGS=1": b"", "AT+CMGS=2": b"\r\nERROR\r\n", "AT+CMGS=3": b"\r\n> ", "00\x1a": b""})
    channel = channel_on(modem)
    durable = asyncio.get_running_loop().create_future()
    durable.set_result(None)
    for octets, expected in ((1, PromptMissing), (2, PromptRefused), (3, BodyUnanswered)):
        with pytest.raises(expected):
            await channel.send_pdu(commands.submit(octets), "00", durable, prompt_s=0.05, body_s=0.05)
    await channel.close()


async def test_the_first_reason_of_a_loss_reaches_everyone() -> None:
    modem = ScriptedModem({"AT+CSQ": b""})
    channel = channel_on(modem)
    waiting = asyncio.create_task(channel.exchange(CSQ))
    await asyncio.sleep(0.05)
    channel.fail(SessionLost("first"))
    channel.connection_lost(OSError("second"))
    with pytest.raises(SessionLost, match="first"):
        await waiting
    with pytest.raises(SessionLost, match="first"):
        await channel.exchange(CSQ)


async def test_an_end_without_error_is_a_lost_link() -> None:
    channel = channel_on(ScriptedModem({}))
    channel.connection_lost(None)
    assert isinstance(await channel.wait_lost(), SessionLost)


async def test_a_flood_of_urcs_ends_the_session_and_not_the_memory() -> None:
    modem = ScriptedModem({})
    channel = channel_on(modem)
    channel.data_received(b"\r\n^RSSI: 1\r\n" * 10_000)
    assert channel.lost is not None and len(channel.urcs) < 10_000
    await channel.close()


@pytest.mark.parametrize(
    "line, expected",
    [
        ("+CMGS: 7", "Submitted(tp_mr=7)"),
        ("+CMS ERROR: 38", "TryLater"),
        ("+CMS ERROR: 332", "None"),
        ("+CMS ERROR: 321", "None"),
        ("OK", "None"),
        ("ERROR", "None"),
    ],
)
async def test_only_what_can_only_be_a_submits_answer_settles_one(line: str, expected: str) -> None:
    modem = ScriptedModem({})
    channel = channel_on(modem)
    modem.delay_s = 0.02
    modem.say(f"\r\n{line}\r\n\r\nOK\r\n".encode())
    modem.delay_s = 0.0
    leftover_s, leftover.LISTEN_S = leftover.LISTEN_S, 0.1
    try:
        assert expected in repr(await leftover.settle(channel, 5))
    finally:
        leftover.LISTEN_S = leftover_s
    await channel.resynchronise(settled=False)
    assert not [urc for urc in channel.urcs if isinstance(urc, Line) and urc.name == "+CMGS"]
    await channel.close()


@pytest.mark.parametrize(
    "text, shown",
    [
        ('AT+CPIN="4711"', "AT+CPIN=***"),
        ('AT+CLCK="SC",1,"4711"', "AT+CLCK=***"),
        ("garbled 4711 echo", "garbled *** echo"),
        ("0011000B914477581006500000AA05E8329BFD06", "0011000B9144…"),
        ('+CNUM: "","+491711234567",145', '+CNUM: "","…4567",145'),
        ("a\x1b[31mb", "a·[31mb"),
    ],
)
def test_a_trace_shows_neither_pins_nor_numbers(text: str, shown: str) -> None:
    assert trace.clean(text, frozenset({"4711"})) == shown
