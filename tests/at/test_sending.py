"""Sending on the simulated modem: what goes on the air, and how each failure is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from drivers import sms
from drivers.api import (
    LateOutcome,
    NotReady,
    OutcomeUnknown,
    PartToSend,
    Refused,
    RouteRefused,
    SessionLost,
    Submitted,
    TryLater,
)
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import RECIPIENT, Harness

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

Start = Callable[..., SimulatorProcess]
Make = Callable[..., Harness]


def on_air(sim: SimulatorProcess) -> list[sms.Submit]:
    return [sms.Submit.decode(bytes.fromhex(event["tpdu"])) for event in sim.events("air")]


async def test_texts_arrive_on_the_air_as_planned(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    texts = ["Hello {world} €", "Grüße 🎉 " * 20, "x" * 400]
    for reference, text in enumerate(texts):
        parts = route.driver.plan(text, 20)
        for number, part in enumerate(parts, 1):
            result = await route.send(
                part.body, alphabet=part.alphabet, total=len(parts), sequence=number, reference=reference,
                more_follow=number < len(parts),
            )  # fmt: skip
            assert result.tp_mr is not None
    for reference, text in enumerate(texts):
        bodies = [
            submit for submit in on_air(sim)
            if (submit.concatenation.reference if submit.concatenation else 0) == reference
        ]  # fmt: skip
        assert sms.decode_text(bodies[0].alphabet, b"".join(submit.body for submit in bodies)) == text
    assert not sim.events("violation")


async def test_a_healthy_modem_is_ready_at_once(simulator: Start, harness: Make) -> None:
    """Opening is some forty commands and no fixed wait: measured in plain commands of the same run."""
    sim = simulator()
    now = asyncio.get_running_loop().time
    ratios = []
    for _ in range(3):  # others may take the processor meanwhile; a fixed wait would be there each time
        route = harness(sim.ports[0])
        started = now()
        session = await route.open(run=False)
        opening_s, started = now() - started, now()
        for _ in range(100):
            await session.terminal("AT+CSQ", 5.0)
        ratios.append(opening_s / (now() - started))
        await route.close()
    assert min(ratios) < 2
    assert session.sim.iccid.startswith("89") and session.sim.smsc == "+491710760000"
    assert session.link.registration.has_service


@pytest.mark.parametrize(
    "code, expected",
    [(38, TryLater), (1, Refused), (8, RouteRefused), (331, NotReady), (332, OutcomeUnknown), (322, TryLater)],
)
async def test_causes_after_the_pdu(simulator: Start, harness: Make, code: int, expected: type) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("cms_error", code=code)
    with pytest.raises(expected) as caught:
        await route.send()
    assert caught.value.code == f"CMS {code}"
    assert (await route.send()).tp_mr is not None


async def test_a_refused_command_means_nothing_was_sent(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("cms_error", code=500, at="command")
    with pytest.raises(TryLater):
        await route.send()
    assert (await route.send()).tp_mr is not None


async def test_a_bare_error_after_ctrl_z_is_unknown(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("error_after_ctrl_z", on_air=True)
    with pytest.raises(OutcomeUnknown):
        await route.send()
    assert (await route.send()).tp_mr is not None


async def test_no_prompt_sends_nothing_and_leaves_a_clean_line(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    session._modem.profile = replace(session._modem.profile, prompt_s=0.2)
    sim.control.fault("no_prompt")
    with pytest.raises(TryLater) as caught:
        await route.send()
    assert caught.value.delays_s[0] <= 5
    assert (await route.send()).tp_mr is not None
    assert len(on_air(sim)) == 1 and not sim.events("violation")


@pytest.mark.parametrize("form", ["\r\n>\r\n", ">", "\r\n>", "\r\n>   "])
async def test_every_prompt_form_is_taken(simulator: Start, harness: Make, form: str) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("prompt_form", form=form)
    sim.control.fault("urc_inside", at="prompt", line="^RSSI: 3")
    sim.control.fault("echo_pdu")
    assert (await route.send()).tp_mr is not None
    assert not sim.events("violation")


async def test_octet_by_octet_with_echo_and_garbage(simulator: Start, harness: Make) -> None:
    sim = simulator()
    sim.control.fault("echo_stuck", times=0)
    sim.control.fault("chunk", times=0, octets=1, gap_s=0)
    sim.control.fault("garbage", times=5)
    route = harness(sim.ports[0])
    await route.open()
    assert (await route.send()).tp_mr is not None


async def test_a_lost_answer_is_unknown_and_its_late_form_is_heard(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0], submit_timeout_s=0.3)
    await route.open()
    sim.control.fault("late_answer", seconds=1.0, busy=True)
    with pytest.raises(OutcomeUnknown):
        await route.send()
    assert isinstance(await route.lost(), SessionLost)
    await route.open(leftover=True)
    late = await route.wait_for(LateOutcome)
    assert late[0].submitted == Submitted(0) and len(late) == 1
    assert (await route.send()).tp_mr == 1


async def test_an_answer_that_waited_in_the_line_is_heard_after_a_reopen(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Listening ends with the answer: were it for a fixed time, opening would not return.
    monkeypatch.setattr("drivers.at.leftover.LISTEN_S", 600.0)
    sim = simulator("--radio-time", "0.4")
    route = harness(sim.ports[0])
    await route.open()
    sending = asyncio.create_task(route.send())
    await asyncio.to_thread(sim.wait_for, "pdu")
    await route.close()
    with pytest.raises(OutcomeUnknown):
        await sending
    await asyncio.to_thread(sim.wait_for, "answer")
    async with asyncio.timeout(60):
        await route.open(leftover=True)
    assert (await route.wait_for(LateOutcome))[0].submitted == Submitted(0)


async def test_a_modem_still_sending_for_a_dead_process_is_waited_for(
    simulator: Start, harness: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.at.leftover.LISTEN_S", 0.2)
    monkeypatch.setattr("drivers.at.leftover._TRY_S", 0.3)
    sim = simulator("--radio-time", "1.5")
    route = harness(sim.ports[0])
    await route.open()
    sending = asyncio.create_task(route.send())
    await asyncio.to_thread(sim.wait_for, "pdu")
    await route.close()
    with pytest.raises(OutcomeUnknown):
        await sending
    await route.open(leftover=True)
    assert (await route.wait_for(LateOutcome))[0].submitted == Submitted(0)


async def test_a_process_that_died_at_the_prompt_leaves_no_trap(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    never = asyncio.get_running_loop().create_future()
    part = PartToSend(RECIPIENT, "gsm7", b"hello")
    sending = asyncio.create_task(route.session.submit(part, never))  # type: ignore[union-attr]
    await asyncio.to_thread(sim.wait_for, "submit_begin")
    route.session._channel.fail(SessionLost("killed"))  # type: ignore[union-attr]
    never.set_result(None)
    with pytest.raises(TryLater):
        await sending
    await route.open()
    assert (await route.send()).tp_mr is not None
    assert len(on_air(sim)) == 1


async def test_where_durable_fails_the_prompt_is_left_and_the_error_passes(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()

    async def disk_full() -> None:
        await asyncio.sleep(0.05)
        raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        await session.submit(PartToSend(RECIPIENT, "gsm7", b"hello"), disk_full())
    assert not on_air(sim)
    assert (await route.send()).tp_mr is not None


async def test_the_pdu_waits_for_durable(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    durable = asyncio.get_running_loop().create_future()
    sending = asyncio.create_task(session.submit(PartToSend(RECIPIENT, "gsm7", b"hello"), durable))
    await asyncio.to_thread(sim.wait_for, "submit_begin")
    await asyncio.sleep(0.1)
    assert not sim.events("pdu")
    durable.set_result(None)
    assert (await sending).tp_mr is not None


@pytest.mark.parametrize(
    "point, expected",
    [("prompt", TryLater), ("pdu_byte", OutcomeUnknown), ("ctrl_z", OutcomeUnknown), ("before_answer", OutcomeUnknown)],
)
async def test_an_unplugged_modem_ends_submit_and_session_at_once(
    simulator: Start, harness: Make, point: str, expected: type
) -> None:
    sim = simulator()
    route = harness(sim.ports[0], submit_timeout_s=600.0, sweep_interval_s=600.0)
    session = await route.open()
    session._modem.profile = replace(session._modem.profile, prompt_s=600.0, body_s=600.0)
    sim.control.fault("unplug_at", point=point, seconds=0.2)
    # Nothing but the unplugging ends it: every deadline of the route is ten times as far away.
    async with asyncio.timeout(60):
        with pytest.raises(expected):
            await route.send()
        assert isinstance(await route.lost(60.0), SessionLost)
    with pytest.raises(TryLater):
        await route.send()


async def test_a_reboot_ends_the_submit_and_the_next_session_works(simulator: Start, harness: Make) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("reboot_after_pdu")
    with pytest.raises(OutcomeUnknown):
        await route.send()
    assert isinstance(await route.lost(), SessionLost)
    await route.open()
    assert (await route.send()).tp_mr is not None


async def test_without_service_nothing_is_sent_until_it_is_back(simulator: Start, harness: Make) -> None:
    sim = simulator("--registration", "2")
    route = harness(sim.ports[0])
    await route.open()
    with pytest.raises(NotReady):
        await route.send()
    sim.control.request("registration", state=5)
    async with asyncio.timeout(30):
        while not route.session.link.registration.has_service:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
    assert (await route.send()).tp_mr is not None


async def test_roaming_is_a_choice(simulator: Start, harness: Make) -> None:
    sim = simulator("--registration", "5")
    route = harness(sim.ports[0], roaming=False)
    await route.open()
    with pytest.raises(RouteRefused, match="roaming"):
        await route.send()


async def test_a_missing_smsc_is_set_from_the_settings(simulator: Start, harness: Make) -> None:
    sim = simulator("--smsc", "")
    route = harness(sim.ports[0])
    await route.open()
    with pytest.raises(RouteRefused, match="smsc"):
        await route.send()
    await route.close()
    route = harness(sim.ports[0], smsc="+491710760000")
    await route.open()
    assert (await route.send()).tp_mr is not None


async def test_an_empty_line_is_not_idle_between_parts(simulator: Start, harness: Make) -> None:
    """A part is two turns of the line; it costs no more than a few plain commands on the same host in the same run."""
    sim = simulator("--radio-time", "0")
    route = harness(sim.ports[0])
    session = await route.open(reports=False)
    now = asyncio.get_running_loop().time
    plain_s = sending_s = 0.0
    for _ in range(10):
        started = now()
        for _ in range(20):
            await session.terminal("AT+CSQ", 5.0)
        plain_s += now() - started
        started = now()
        for _ in range(20):
            await route.send(status_report=False)
        sending_s += now() - started
    assert sending_s < 8 * plain_s
