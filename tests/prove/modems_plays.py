"""How each failure mode is provoked, and what has to have happened: one function per mode.

Each returns what the daemon did, in words, and the seconds from the modem's return to the next part on the air. A
wrong outcome is an AssertionError with its sentence.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from agent.model import RouteState
from drivers.at.ports import Roots
from drivers.simulator.process import SimulatorProcess
from tests.doctor import trees
from tests.matrix.runner import TIMING, until
from tests.prove.modems_scene import Scene, playing, scene

Result = tuple[str, float | None]
_WAIT_S = 30.0
_LONG = "Teil eines langen Textes, der nicht in eine Nachricht passt. " * 4


def check(is_so: bool, sentence: str) -> None:
    """Raises: AssertionError."""
    if not is_so:
        raise AssertionError(sentence)


async def renumbered(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        before = stage.simulator.ports[0].resolve()
        taken = os.open(before, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)  # keeps the old number busy
        try:
            stage.control.fault("unplug_at", point="pdu_byte", octets=9, seconds=0.3)
            ids = await stage.accept()
            await stage.out(ids)
            after = stage.simulator.ports[0].resolve()
        finally:
            os.close(taken)
        check(before != after, "the node has another number")
        check(not stage.doubled(), "nothing went twice")
        return f"closed {before.name}, found {after.name}", stage.resumed_s("plug")


async def without_indications(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.fault("indication_lost", times=0)
        stage.deliver(4)
        await stage.out(await stage.accept())
        check(len(await stage.inbound(4)) == 4, "each came once")
        return "found all by its sweep", None


async def held_by_name(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING) as simulator:
        roots = _roots(directory)
        process = roots.proc / "612"
        (process / "fd").mkdir(parents=True)
        (process / "comm").write_text("ModemManager\n")
        (process / "fd" / "7").symlink_to(simulator.ports[0].resolve())
        lock = _lock(simulator.ports[0])
        async with playing(simulator, directory, roots=roots) as stage:
            ids = await stage.accept()
            await until(lambda: "ModemManager" in (stage.view.problem or ""), _WAIT_S, "it is named")
            problem = stage.view.problem or ""
            loop = asyncio.get_running_loop()
            os.close(lock)
            freed = loop.time()
            await stage.out(ids)
            return f"says {problem[:70]!r}", stage.simulator.events("air")[0]["mono_s"] - freed


async def held(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING) as simulator:
        lock = _lock(simulator.ports[0])
        async with playing(simulator, directory) as stage:
            ids = await stage.accept()
            await until(lambda: str(os.getpid()) in (stage.view.problem or "") or bool(stage.view.problem), _WAIT_S, "")
            problem = stage.view.problem or ""
            check(not stage.simulator.events("setting"), "not an octet was written to a port that another one has")
            loop = asyncio.get_running_loop()
            os.close(lock)
            freed = loop.time()
            await stage.out(ids)
            return f"wrote nothing, says {problem[:60]!r}", stage.simulator.events("air")[0]["mono_s"] - freed


async def brown_out(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        await stage.delivered(await stage.accept(2))  # now this SIM is known to return reports
        stage.control.fault("unplug_at", point="before_answer", seconds=0.5)
        ids = await stage.accept()
        await stage.out(ids)
        check(stage.doubled() == 0, "the report settled what was sent, nothing went twice")
        return "outcome unknown, settled by the report", stage.resumed_s("plug")


async def as_cdrom(directory: Path) -> Result:
    return await _as_other_device(directory, "CD-ROM", trees.cd_rom)


async def as_hilink(directory: Path) -> Result:
    return await _as_other_device(directory, "HiLink", trees.hilink)


async def _as_other_device(directory: Path, word: str, plug_in: Callable[[Path], None]) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING) as simulator:
        roots = _roots(directory)
        plug_in(directory)
        simulator.control.request("unplug")
        async with playing(simulator, directory, roots=roots) as stage:
            ids = await stage.accept()
            await until(lambda: word in (stage.view.problem or ""), _WAIT_S, f"it says {word}")
            stage.control.request("plug")
            await stage.out(ids)
            return f"says that it is a {word}, goes on when the tty is there", stage.resumed_s("plug")


async def stuck_prompt(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING) as simulator:
        other = os.open(simulator.ports[0], os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        os.write(other, b"AT+CMGS=20\r")
        simulator.wait_for("submit_begin")
        os.close(other)
        async with playing(simulator, directory) as stage:
            await stage.out(await stage.accept())
            stage.control.fault("no_prompt")
            await stage.out(await stage.accept())
            check([event["why"] for event in simulator.events("abort")].count("esc") >= 2, "it left both by ESC")
            check(not stage.doubled(), "nothing went twice")
            return "ESC, and again; no part counted as sent", stage.resumed_s("abort", why="esc")


async def interleaved(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.fault("echo_stuck")
        stage.control.fault("urc_inside", times=4, command="+CMGS", line="^RSSI:17", after=0)
        stage.control.fault("urc_inside", times=2, command="+CMGR", line='+CMTI: "ME",99', after=1)
        stage.deliver(4)
        await stage.out(await stage.accept())
        check(sorted(await stage.inbound(4)) == [f"inbound {n}" for n in range(4)], "each text is whole")
        return "every line went to its owner", None


async def hangs(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.fault("hang", at="command", command="+CMGS", seconds=2.0)
        await stage.out(await stage.accept())
        return "waited for a prompt, reopened, went on", stage.resumed_s("hang_over")


async def full(directory: Path) -> Result:
    async with scene(directory, "--me-capacity", "2") as stage:
        await stage.ready()
        stage.deliver(6)
        await stage.out(await stage.accept())
        check(len(await stage.inbound(6)) == 6, "all came, each once")
        check(bool(stage.simulator.events("held")), "the memory was full")
        return "read and deleted, the network delivered the rest", None


async def missed(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.fault("indication_lost", times=3)
        stage.deliver(4)
        check(len(await stage.inbound(4)) == 4, "each came once")
        return "found by the sweep", None


async def duplicate_inbound(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.fault("stored_twice", times=3)
        stage.control.fault("delete_fails", times=2)
        stage.control.fault("delete_fails", times=2, lie=True)
        stage.deliver(4)
        await stage.inbound(4)
        await until(lambda: _stored(stage) == 0, _WAIT_S, "the memories are empty")
        check(len(await stage.received()) == 4, "each came once")
        return "each PDU once, deletion repeated by the sweep", None


async def duplicate_outbound(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        await stage.delivered(await stage.accept(2))  # now this SIM is known to return reports
        stage.control.fault("lost_answer")
        ids = await stage.accept()
        await stage.out(ids)
        check(stage.doubled() == 0, "the report settled it, nothing went twice")
        return "UNKNOWN, then the report proved it", stage.resumed_s("fault", name="lost_answer")


async def mixed_parts(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        texts = [f"{sign} {_LONG}" for sign in "AB"]
        stage.control.deliver("+491701111111", texts[0], reference=7, parts_order=[2, 1], duplicate=True)
        stage.control.deliver("+491702222222", texts[1], reference=7, parts_order=[2], gap_s=0.05)
        await stage.inbound(1)
        stage.control.deliver("+491702222222", texts[1], reference=7, parts_order=[1])
        check(sorted(await stage.inbound(2)) == texts, "both are whole")
        return "joined by sender, reference and total, in any order", None


async def without_smsc(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        await stage.out(await stage.accept(2))
        stage.control.fault("smsc_lost", command="+CMGS")
        ids = await stage.accept()
        await stage.out(ids)
        return "put back the SMSC that this SIM had", stage.resumed_s("fault", name="smsc_lost")


async def without_cnmi(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING) as simulator:
        simulator.control.fault("cnmi_refused", times=0)
        async with playing(simulator, directory) as stage:
            await stage.ready()
            stage.deliver(3)
            await stage.out(await stage.accept())
            check(len(await stage.inbound(3)) == 3, "each came once")
            link = stage.view.link
            return f"indications: {link.indications if link else '?'}", None


async def acknowledged(directory: Path) -> Result:
    async with scene(directory, "--me-capacity", "0", "--sm-capacity", "0", "--ack-timeout", "10") as stage:
        await stage.ready()
        stage.deliver(4)
        await stage.out(await stage.accept())
        check(len(await stage.inbound(4)) == 4, "each came once")
        await until(lambda: len(stage.simulator.events("cnma")) >= 4, _WAIT_S, "all acknowledged")
        check(not stage.simulator.events("ack_timeout"), "in time")
        return "acknowledged each after it was durable", None


async def reports_astray(directory: Path) -> Result:
    async with scene(directory, "--personality", "huawei") as stage:
        await stage.ready()
        stage.control.fault("reports_scrambled", times=2, count=3, seconds=0.3)
        await stage.delivered(await stage.accept())
        return "took them directly, matched each to its part", None


async def characters(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        texts = ["@£$ €{}[]~^\\| äöü Δ", "Grüße 😀 漢字", "İstanbul ğış"]
        for n, text in enumerate(texts):
            stage.control.deliver(f"+4917000000{n}", text)
            await stage.out(await stage.accept(1, text, f"+4917000001{n}"))
        check([event["text"] for event in stage.simulator.events("air")] == texts, "the same on the air")
        check(sorted(await stage.inbound(3)) == sorted(texts), "the same from the air")
        return "character for character, both ways", None


async def wrong_pin(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING, "--pin", "1234") as simulator:
        for _ in range(3):
            async with playing(simulator, directory, pin="9999") as stage:
                await until(lambda stage=stage: stage.view.state is RouteState.BLOCKED, _WAIT_S, "it asks for a person")  # type: ignore[misc]
        tries = len(simulator.events("pin"))
        check(tries == 1, f"the wrong PIN was sent {tries} times")
        async with playing(simulator, directory, pin="1234") as stage:
            await stage.out(await stage.accept())
            return "one try in three starts; the right PIN opened it", stage.resumed_s("pin", result="accepted")


async def denied(directory: Path) -> Result:
    async with scene(directory, "--registration", "3") as stage:
        await until(lambda: stage.view.state is RouteState.NO_SERVICE, _WAIT_S, "no service is told")
        ids = await stage.accept()
        stage.control.request("registration", creg=3, cgreg=3, cereg=1)
        await stage.out(ids)
        stage.control.fault("registration_lost", command="+CMGS", seconds=0.5)
        await stage.out(await stage.accept())
        check(not stage.doubled(), "nothing went twice")
        return "held the queue, sent with LTE alone", stage.resumed_s("registration")


async def numbers(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        stage.control.deliver("Bank", "code 1234")
        await stage.out(await stage.accept(1, "to a short code", "22555"))
        aired = stage.simulator.events("air")[-1]
        check((aired["to"], aired["toa"]) == ("22555", 129), "a short code is national")
        await stage.inbound(1)
        return "short code with TON 129, letters kept", None


async def throttled(directory: Path) -> Result:
    async with scene(directory, "--personality", "wavecom") as stage:
        await stage.ready()
        stage.control.fault("vendor_error", times=3)
        ids = await stage.accept()
        await stage.out(ids, 60.0)
        check(not stage.doubled(), "nothing went twice")
        return "waited and sent all", stage.resumed_s("fault", name="vendor_error")


async def boots(directory: Path) -> Result:
    with SimulatorProcess(directory / "sim", *TIMING, "--personality", "simcom800", "--boot-time", "1.5") as simulator:
        simulator.control.request("reboot")
        async with playing(simulator, directory) as stage:
            await stage.out(await stage.accept())
            return "waited for SIM and message store, never gave up", stage.resumed_s("sms_ready")


async def locked_database(directory: Path) -> Result:
    async with scene(directory) as stage:
        await stage.ready()
        ids = await stage.accept(12)
        await stage.on_air(2)
        other = sqlite3.connect(directory / "journal.db", timeout=5.0, isolation_level=None, check_same_thread=False)
        loop = asyncio.get_running_loop()
        try:
            await asyncio.to_thread(other.execute, "BEGIN IMMEDIATE")
            await asyncio.sleep(1.0)
            other.execute("COMMIT")
        finally:
            other.close()
        freed = loop.time()
        await stage.out(ids)
        after = [event["mono_s"] - freed for event in stage.simulator.events("air") if event["mono_s"] > freed]
        check(not stage.doubled(), "nothing went twice")
        return "waited for the lock, lost nothing", min(after)


async def text_mode(directory: Path) -> Result:
    async with scene(directory, "--text-mode") as stage:
        await stage.ready()
        await stage.out(await stage.accept(2))
        stage.control.fault("text_mode", command="+CMGS")
        stage.deliver(2)
        await stage.out(await stage.accept())
        check(len(await stage.inbound(2)) == 2, "each came once")
        return "set PDU mode again", stage.resumed_s("fault", name="text_mode")


def _lock(port: Path) -> int:
    """Hold a port as another program does; closing the result gives it back."""
    descriptor = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return descriptor


def _roots(directory: Path) -> Roots:
    roots = Roots(directory / "sys", directory / "dev", directory / "proc")
    for root in (roots.sys, roots.dev, roots.proc):
        root.mkdir(parents=True)
    return roots


def _stored(stage: Scene) -> int:
    return sum(len(memory["messages"]) for memory in stage.control.request("storage").values())
