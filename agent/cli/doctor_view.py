"""How `doctor` shows what it found: a glance tells whether all is well, and what to do stands at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from agent.cli import output
from agent.doctor.modems import Finding
from agent.doctor.note import Level, Note

_MARKS = {Level.OK: ("✓", "green"), Level.NOTE: ("!", "yellow"), Level.PROBLEM: ("✗", "bold red")}
_FACTS = (
    ("imei", "IMEI"), ("firmware", "firmware"), ("sim", "SIM"), ("iccid", "ICCID"), ("number", "number"),
    ("registration", "network"), ("operator", "operator"), ("smsc", "SMSC"), ("storage", "storage"),
    ("urcs", "indications"),
)  # fmt: skip
# RSRP and RSSI alike: above the first it is excellent, below the last messages fail.
_BARS_DBM = (-65, -75, -85, -95, -105)


def show(notes: Sequence[Note], findings: Sequence[Finding], where: str) -> None:
    """All of it on standard output."""
    console = output.console()
    console.print(_box("This box", [_line(note.level, note.topic, note.finding) for note in notes]))
    if findings:
        modems = [block for finding in findings for block in _modem(finding, findings)]
        console.print(_box("Modems", modems))
    else:
        console.print(_box("Modems", [_line(Level.PROBLEM, "", "No serial port and no USB modem was found.")]))
    steps = remedies(notes, findings)
    if steps:
        table = Table.grid(padding=(0, 1))
        for number, (topic, remedy) in enumerate(steps, 1):
            table.add_row(Text(f"{number}.", style="bold"), Text(output.printable(f"{topic}: {remedy}")))
        console.print(_box("What to do", [table]))
    blocks = [finding.block for finding in findings if finding.block is not None]
    if blocks:
        # Plain, so that it can be marked and pasted.
        console.print(Text(f"For {where}:", style="bold"))
        output.write("\n" + "\n".join(blocks))


def remedies(notes: Sequence[Note], findings: Sequence[Finding]) -> list[tuple[str, str]]:
    """Topic and next step, what breaks things first; each step once."""
    found = [(note.topic, note.remedy, note.level is Level.PROBLEM) for note in notes if note.remedy]
    found += [
        (finding.diagnosis.candidate.port or finding.diagnosis.candidate.description, finding.diagnosis.remedy, True)
        for finding in findings
        if finding.diagnosis.remedy and not _is_other_port(finding, findings)
    ]
    if not findings:
        found.append(("modem", "Plug the modem in, wait ten seconds, and run it again; `lsusb` should list it.", True))
    steps: dict[str, str] = {}
    for topic, remedy, _ in sorted(found, key=lambda row: not row[2]):
        steps.setdefault(remedy, topic)
    return [(topic, remedy) for remedy, topic in steps.items()]


def _modem(finding: Finding, findings: Sequence[Finding]) -> list[RenderableType]:
    diagnosis, candidate = finding.diagnosis, finding.diagnosis.candidate
    usb = f" [{candidate.usb_id}]" if candidate.usb_id and candidate.port else ""
    level = Level.OK if diagnosis.ok else Level.NOTE if _is_other_port(finding, findings) else Level.PROBLEM
    title = f"{candidate.port} — {candidate.description}{usb}" if candidate.port else candidate.description
    shown: list[RenderableType] = [_line(level, "", title), _indented(Text(output.printable(diagnosis.finding)))]
    if diagnosis.ok and finding.block is None and finding.route is None:
        shown.append(_indented(Text("Another port of a modem above; one route per modem is enough.", style="dim")))
    if diagnosis.remedy:
        shown.append(_indented(Text(output.printable(f"→ {diagnosis.remedy}"))))
    facts = [f"{label} {diagnosis.facts[key]}" for key, label in _FACTS if key in diagnosis.facts]
    signal = _signal(diagnosis.facts.get("signal_dbm"))
    if facts or signal is not None:
        line = Text(output.printable(" · ".join(facts)), style="dim")
        if signal is not None:
            line = Text.assemble(line, Text(" · " if facts else "", style="dim"), signal)
        shown.append(_indented(line))
    return shown


def _is_other_port(finding: Finding, findings: Sequence[Finding]) -> bool:
    """Whether it is a silent port of a stick that answers on another one: that is how sticks are."""
    usb_id = finding.diagnosis.candidate.usb_id
    return (
        not finding.diagnosis.ok
        and usb_id is not None
        and "imei" not in finding.diagnosis.facts
        and any(other.diagnosis.ok and other.diagnosis.candidate.usb_id == usb_id for other in findings)
    )


def _signal(dbm: str | None) -> Text | None:
    if dbm is None:
        return None
    bars = sum(float(dbm) >= bound for bound in _BARS_DBM)
    style = "green" if bars >= 3 else "yellow" if bars == 2 else "red"
    return Text.assemble(("▂▃▅▆▇"[:bars], style), ("·" * (5 - bars), "dim"), (f" {dbm} dBm", style))


def _line(level: Level, topic: str, finding: str) -> Text:
    mark, style = _MARKS[level]
    head = f"{topic}: " if topic else ""
    return Text.assemble((mark, style), " ", (head, "bold"), output.printable(finding))


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))


def _box(title: str, lines: Sequence[RenderableType]) -> RenderableType:
    console = output.console()
    if not console.is_terminal:
        return Group(Text(title), *lines, Text(""))
    return Panel(Group(*lines), title=title, title_align="left", border_style="dim")
