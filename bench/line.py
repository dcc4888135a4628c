"""How well the line is used: parts per second and utilisation (the ideal time divided by the real one).

From the first submit to the last answer, as the modem logged them.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.contender import Contender, text
from bench.scene import scene

_DIRECT = ("--sr-capacity", "0", "--report-delay", "0.1")
_STORED = ("--report-delay", "0.1")


@dataclass(frozen=True, slots=True)
class Case:
    """`messages` of `parts` parts over `modems`, each part `radio_s` on the air. `reports`: off, direct or stored."""

    radio_s: float
    modems: int
    parts: int
    reports: str
    messages: int

    def __str__(self) -> str:
        return (
            f"{self.radio_s:g} s, {self.modems} modem{'s' * (self.modems > 1)}, {self.parts} part"
            f"{'s' * (self.parts > 1)}, reports {self.reports}"
        )


@dataclass(frozen=True, slots=True)
class Result:
    parts_per_s: float
    utilisation: float
    """0 where the radio takes no time."""
    cpu_s_per_1000: float


def measure(contender: Contender, case: Case) -> Result:
    """One round. Raises: NotInTime."""
    flags = {"off": (), "direct": _DIRECT, "stored": _STORED}[case.reports]
    count = case.messages * case.parts
    has_reports = case.reports != "off"
    with scene(contender, "--radio-time", str(case.radio_s), *flags, modems=case.modems, reports=has_reports) as stage:
        before = contender.sample()
        contender.queue([text(0, case.parts)] * case.messages)
        stage.wait_for_answers(count, 60 + 20 * case.messages * max(0.3, case.radio_s * case.parts) / case.modems)
        used = contender.sample().cpu_s - before.cpu_s
        real_s = stage.line_time_s()
    ideal_s = case.radio_s * count / case.modems
    return Result(count / real_s, ideal_s / real_s, used / count * 1000)


def _own_cases() -> list[Case]:
    cases = []
    for radio_s, messages in ((0.05, 120), (1.0, 8), (3.0, 3)):
        for parts in (1, 3):
            for reports in ("off", "direct", "stored"):
                cases.append(Case(radio_s, 1, parts, reports, max(1, messages // parts)))
    for modems in (4, 16):
        cases += [
            Case(0.05, modems, 1, "off", 60 * modems),
            Case(1.0, modems, 1, "off", 8 * modems),
            Case(1.0, modems, 1, "direct", 8 * modems),
            Case(1.0, modems, 3, "stored", 3 * modems),
        ]
    cases += [Case(0.0, 1, 1, "off", 2000), Case(0.0, 1, 1, "stored", 1000), Case(0.0, 16, 1, "off", 4000)]
    return cases


OWN = tuple(_own_cases())
PROMISED = tuple(
    case
    for case in OWN
    if case.parts == 1
    and case.reports == "off"
    and (case.modems, case.radio_s) in ((1, 0.0), (1, 0.05), (1, 1.0), (16, 0.0), (16, 1.0))
)
"""What a target is about."""

# What the others are asked, each as many messages as it manages in about five seconds.
COMPARED = (0.0, 0.05, 1.0)


def compared(radio_s: float, messages_per_s: float) -> Case:
    """One modem, single parts, no reports."""
    rate = messages_per_s if radio_s == 0 else min(messages_per_s, 1 / radio_s)
    return Case(radio_s, 1, 1, "off", max(5, min(2000, round(5 * rate))))


FLEET = Case(1.0, 16, 1, "off", 8 * 16)
"""For those that drive several modems."""
