"""What goes on the air says what was asked for, character for character, as an independent dissector reads it."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from tests.prove.measured import Figures
from tests.prove.stage import Stage
from tests.tshark import dissect

_EMOJI = ("Grüße 😀🚀 aus dem Schrank – 漢字 и кириллица, 👩‍👩‍👧 " * 20)[:700]
TEXTS = {
    "700 characters with emoji": _EMOJI,
    "GSM 7-bit with €[]{}": "Price: 9€ [now] {all} ~tilde~ ^caret^ \\back| @£$¥ " * 6,
    "Turkish": "İstanbul'da ılık bir gün; şeker, çay, ğ ve ü. " * 5,
}


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Send each text and let tshark's gsm_sms dissector read the submitted TPDUs."""
    del short, seed
    with Stage(directory, "--radio-time", "0.02") as stage:
        stage.server.add_device()
        recipients = {name: f"+99890000000{number}" for number, name in enumerate(TEXTS)}
        stage.server.enqueue(
            messages=[{"recipient_number": recipients[name], "message": text} for name, text in TEXTS.items()]
        )
        stage.configure()
        stage.daemon.start()
        stage.wait_for_states(("delivered",), len(TEXTS), 60)
        parts = defaultdict(list)
        for part in dissect([_tpdu(record["pdu"]) for record in stage.events("pdu")], outgoing=True):
            parts[part.destination].append(part)
        for name, text in TEXTS.items():
            own = sorted(parts[recipients[name].lstrip("+")], key=lambda part: part.number("message_part") or 0)
            read = "".join(part.text or "" for part in own)
            first = next((n for n, pair in enumerate(zip(text, read, strict=False)) if pair[0] != pair[1]), len(read))
            figures.expect(
                f"{name}: {len(text)} characters in {len(own)} parts, as tshark reads them",
                "the same" if read == text else f"differs at {first}: {read[first : first + 20]!r}",
                read == text,
            )


def _tpdu(pdu: str) -> str:
    """Without the SMSC address that a modem's PDU begins with."""
    return pdu[2 + 2 * int(pdu[:2], 16) :]
