"""The SIM: identity, PIN and PUK with their counters, SMSC, TP-MR and its own message memory. Pure.

Everything here is non-volatile: a reboot only locks the PIN again.
"""

from dataclasses import dataclass
from enum import Enum

from drivers.simulator.storage import Memory

_PIN_ATTEMPTS = 3
_PUK_ATTEMPTS = 10


class SimState(Enum):
    """The word that +CPIN? answers."""

    READY = "READY"
    PIN = "SIM PIN"
    PUK = "SIM PUK"


class PinResult(Enum):
    """Outcome of +CPIN=."""

    ACCEPTED = "accepted"
    WRONG = "wrong"
    PUK_NEEDED = "puk_needed"
    NOT_EXPECTED = "not_expected"


@dataclass(slots=True)
class Sim:
    """One SIM card. `pin` None means that no PIN is asked."""

    iccid: str
    imsi: str
    number: str
    smsc: str
    memory: Memory
    pin: str | None = None
    puk: str = "12345678"
    pin_attempts: int = _PIN_ATTEMPTS
    puk_attempts: int = _PUK_ATTEMPTS
    is_unlocked: bool = False
    last_reference: int = 255

    @property
    def state(self) -> SimState:
        """What the SIM asks for now."""
        if self.pin is None:
            return SimState.READY
        if self.pin_attempts == 0:
            return SimState.PUK
        return SimState.READY if self.is_unlocked else SimState.PIN

    def power_up(self) -> None:
        """A reboot or re-plug: the PIN is asked again."""
        self.is_unlocked = False

    def enter(self, code: str, new_pin: str | None) -> PinResult:
        """+CPIN=<code>[,<new_pin>]; a right PIN restores its counter, a right PUK sets `new_pin`."""
        state = self.state
        if state is SimState.PUK:
            return self._enter_puk(code, new_pin)
        if state is SimState.READY:
            return PinResult.NOT_EXPECTED
        if code == self.pin:
            self.pin_attempts = _PIN_ATTEMPTS
            self.is_unlocked = True
            return PinResult.ACCEPTED
        self.pin_attempts -= 1
        return PinResult.PUK_NEEDED if self.pin_attempts == 0 else PinResult.WRONG

    def next_reference(self) -> int:
        """The TP-MR of the next submit, 0 to 255 (EF_SMSS keeps the last one)."""
        self.last_reference = (self.last_reference + 1) % 256
        return self.last_reference

    def _enter_puk(self, code: str, new_pin: str | None) -> PinResult:
        if new_pin is None:
            return PinResult.PUK_NEEDED
        if code == self.puk and self.puk_attempts:
            self.pin, self.pin_attempts, self.puk_attempts = new_pin, _PIN_ATTEMPTS, _PUK_ATTEMPTS
            self.is_unlocked = True
            return PinResult.ACCEPTED
        self.puk_attempts = max(0, self.puk_attempts - 1)
        return PinResult.WRONG
