"""What a modem does by itself, by the clock: gets ready after a boot, makes its vendor's noise, rings.

Knows the device and its personality, not the pty; what it says goes through `say`.
"""

import asyncio
import itertools
from collections.abc import Callable

from drivers.simulator.device import Device
from drivers.simulator.sim import SimState

_RING_GAP_S = 3.0  # V.25ter leaves it open; modems ring every 3 to 6 s
_INTERNATIONAL = 145


class Readiness:
    """From a boot or a change of SIM to a message store that works; `is_done` until the first boot."""

    def __init__(self, device: Device, say: Callable[..., None], settled: Callable[[], None]) -> None:
        self._device = device
        self._say = say
        self._settled = settled
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    def begin(self) -> None:
        """The modem can be talked to; SIM and store follow, at once where the personality is quick."""
        self.cancel()
        device = self._device
        device.is_sim_busy = device.sim is not None and device.personality.ready_share > 0
        device.is_store_busy = device.is_sim_busy
        if device.is_sim_busy:
            self._timer = self._loop.call_later(self._half_s, self._sim_ready)
        else:
            self._sim_ready()

    def pin_changed(self) -> None:
        """The PIN may have been entered: the store gets ready after it."""
        device = self._device
        if device.is_store_busy and not device.is_sim_busy and self._timer is None and self._is_unlocked:
            self._timer = self._loop.call_later(self._half_s, self._store_ready)

    def cancel(self) -> None:
        """The power is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _half_s(self) -> float:
        return self._device.personality.ready_share * self._device.options.boot_time_s / 2

    @property
    def _is_unlocked(self) -> bool:
        return self._device.sim is not None and self._device.sim.state is SimState.READY

    def _sim_ready(self) -> None:
        self._timer = None
        self._device.is_sim_busy = False
        self._marks(self._device.personality.sim_marks)
        if not self._device.is_store_busy and self._device.sim is not None:
            self._marks(self._device.personality.sms_marks)
        self._settled()
        self.pin_changed()

    def _store_ready(self) -> None:
        self._timer = None
        self._device.is_store_busy = False
        self._device.log.write(self._device.number, "sms_ready")
        self._marks(self._device.personality.sms_marks)
        self._settled()

    def _marks(self, marks: tuple[str, ...]) -> None:
        sim = self._device.sim
        for mark in marks:
            self._say(mark.format(cpin=sim.state.value if sim else "NOT INSERTED"))


class Noise:
    """The vendor's unasked lines, one after the other, for as long as the device wants them."""

    def __init__(self, device: Device, say: Callable[..., None]) -> None:
        self._device = device
        self._say = say
        self._lines = itertools.cycle(device.personality.noise)
        chosen = device.options.noise_gap_s
        self._gap_s = device.personality.noise_gap_s if chosen is None else chosen
        self._timer: asyncio.TimerHandle | None = None
        if device.personality.noise and self._gap_s > 0:
            self._schedule()

    def close(self) -> None:
        """The program ends."""
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._gap_s, self._tick)

    def _tick(self) -> None:
        if self._device.is_noisy:
            self._say(next(self._lines))
        self._schedule()


class Caller:
    """An incoming call: rings until it is refused, or the caller gives up."""

    def __init__(self, device: Device, say: Callable[..., None]) -> None:
        self._device = device
        self._say = say
        self._timer: asyncio.TimerHandle | None = None

    def call(self, number: str, rings: int, gap_s: float = _RING_GAP_S) -> None:
        """Somebody calls, and waits for so many rings."""
        self.end("replaced")
        self._device.log.write(self._device.number, "call", caller=number, rings=rings)
        self._ring(number, rings, gap_s)

    def end(self, why: str) -> None:
        """The call is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._device.log.write(self._device.number, "call_end", why=why)

    def _ring(self, number: str, left: int, gap_s: float) -> None:
        if left <= 0:
            self.end("gave_up")
            self._say("NO CARRIER")
            return
        settings = self._device.settings
        self._say("+CRING: VOICE" if settings.extended_ring else "RING")
        if settings.caller_identity:
            kind = _INTERNATIONAL if number.startswith("+") else 129
            self._say(f'+CLIP: "{number}",{kind},"",,"",0')
        self._timer = asyncio.get_running_loop().call_later(gap_s, self._ring, number, left - 1, gap_s)
