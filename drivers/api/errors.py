"""What goes wrong, sorted by what the caller should do:

DriverError
├── Unplannable            the message can never go by this driver: fail it with the sentence
├── SubmitError            the answer to one submit
│   ├── NotReady           nothing was sent: keep the part, no attempt counted, wait for service
│   ├── TryLater           nothing was sent: try the part again after a delay, a bounded number of times
│   ├── Refused            nothing was sent and never will be: fail the message
│   ├── RouteRefused       this SIM may not send at all: park the route, the part stays queued
│   └── OutcomeUnknown     the part may be on the air: look for evidence, never resend blindly
└── SessionError           the link
    ├── SessionLost        was open and is gone: open a new session
    │   └── SessionRested  ended on purpose: open a new one, which waits for its turn
    └── OpenError          could not be opened
        ├── PortAbsent     no such device now: wait for it to appear
        ├── PortBusy       another program holds it: wait, tell who
        ├── NoAnswer       opens but does not talk AT: retry slowly
        ├── NoSim          talks, no SIM in it: fail or move what is bound for this slot
        └── PersonNeeded   PIN, PUK, broken SIM, bad setting: retry slowly, show the sentence
"""

from __future__ import annotations


class DriverError(Exception):
    """Root of the tree above. `str()` is one plain sentence for a person."""


class Unplannable(DriverError):
    """The text cannot be carried by this driver, ever."""


class SubmitError(DriverError):
    """Outcome of one submit other than success. `code` is the raw cause, e.g. "CMS 38"."""

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class NotReady(SubmitError):
    """Nothing was sent and the part is not to blame, e.g. no network service."""


class TryLater(SubmitError):
    """Nothing was sent. `delays_s[n]` is the wait before try n + 2; when they are used up, the part fails."""

    def __init__(self, sentence: str, *, delays_s: tuple[float, ...], code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.delays_s = delays_s


class Refused(SubmitError):
    """The network or the modem will never take this part."""


class RouteRefused(SubmitError):
    """The SIM or its account may not send; other parts would fare alike.

    `is_certain` where that is known without asking the network, e.g. for want of an SMSC number.
    """

    def __init__(self, sentence: str, *, code: str | None = None, is_certain: bool = False) -> None:
        super().__init__(sentence, code=code)
        self.is_certain = is_certain


class OutcomeUnknown(SubmitError):
    """The PDU was handed over, in whole or in part, and no answer came."""


class SessionError(DriverError):
    """Root of what concerns the link and not one part."""


class SessionLost(SessionError):
    """The link broke or the device stopped answering."""


class SessionRested(SessionLost):
    """Ended on purpose, with nothing in flight, since another SIM of the same modem has its turn."""


class OpenError(SessionError):
    """A session could not be opened."""


class PortAbsent(OpenError):
    """The device is not there."""


class PortBusy(OpenError):
    """Another program holds the device."""


class NoAnswer(OpenError):
    """The device opens but gives no sensible answer."""


class NoSim(OpenError):
    """The device works and says that it has no SIM."""


class PersonNeeded(OpenError):
    """Only a person can help: PIN, PUK, broken SIM, wrong setting."""
