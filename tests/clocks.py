"""A clock that a test sets: the box's own, moved. Waits that are slept for pass in real time all the same."""

from __future__ import annotations

from datetime import datetime, tzinfo

from agent.clock import Clock, Instant


class SetClock(Clock):
    """`jump` moves the wall clock alone, as NTP or a person does; `pass_by` moves both, as time does."""

    def __init__(self, *, is_right: bool = True) -> None:
        super().__init__("trusted" if is_right else "auto")
        self.is_right = is_right
        self._jumped_ms = 0
        self._passed_ms = 0
        self._given_boot_id: str | None = None

    @property
    def boot_id(self) -> str:
        return self._given_boot_id or super().boot_id

    def now(self) -> Instant:
        return Instant(self.utc_ms(), self.boot_id, self.boot_ms())

    def utc_ms(self) -> int:
        return super().utc_ms() + self._jumped_ms + self._passed_ms

    def boot_ms(self) -> int:
        return super().boot_ms() + self._passed_ms

    def is_synchronised(self) -> bool:
        return self.is_right

    def jump(self, seconds: float) -> None:
        self._jumped_ms += round(seconds * 1000)

    def pass_by(self, seconds: float) -> None:
        self._passed_ms += round(seconds * 1000)

    def set_to(self, local: str, zone: tzinfo) -> None:
        """The wall clock shows this local time."""
        wanted = datetime.fromisoformat(local).replace(tzinfo=zone)
        self._jumped_ms += round(wanted.timestamp() * 1000) - self.utc_ms()

    def reboot(self, boot_id: str) -> None:
        self._given_boot_id = boot_id
