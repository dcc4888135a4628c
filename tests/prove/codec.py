"""`make prove WHAT=codec`: what is encoded is what was asked for, as we and as tshark's gsm_sms dissector read it.

Messages over every choice of alphabet go through segmenting, SMS-SUBMIT and SMS-DELIVER; each comes back character
for character, and tshark, which shares no line with the codec, agrees on every field of every TPDU.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from drivers import sms
from drivers.sms.national import DEFAULT, DEFAULT_EXTENSION, LOCKING, SINGLE
from tests.prove.measured import Figures
from tests.tshark import Dissection, dissect

_MESSAGES = 2400
_SEED = 23038
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_SCTS = sms.decode_timestamp(bytes.fromhex("42701121436522"))


@dataclass(frozen=True, slots=True)
class Sent:
    """One message: what was asked for and its parts on the way out and in."""

    choice: str
    text: str
    data: bytes | None
    submits: tuple[sms.Submit, ...]
    delivers: tuple[sms.Deliver, ...]


def messages(count: int, seed: int) -> Iterator[Sent]:
    """`count` messages, the choices in turn."""
    dice = random.Random(seed)
    for number in range(count):
        choice = _CHOICES[number % len(_CHOICES)]
        yield _message(dice, choice, number)


def check(sent: list[Sent]) -> dict[str, list[str]]:
    """Choice → what is wrong with its messages, in a few words each."""
    wrong: dict[str, list[str]] = {choice: [] for choice in _CHOICES}
    for message in sent:
        wrong[message.choice] += _own_reading(message)
    submits = [(message, submit) for message in sent for submit in message.submits]
    for (message, submit), read in zip(submits, _dissected([s for _, s in submits], outgoing=True), strict=True):
        wrong[message.choice] += differences(submit, read)
    delivers = [(message, deliver) for message in sent for deliver in message.delivers]
    for (message, deliver), read in zip(delivers, _dissected([d for _, d in delivers], outgoing=False), strict=True):
        wrong[message.choice] += differences(deliver, read)
    return wrong


def differences(tpdu: sms.Submit | sms.Deliver, read: Dissection) -> list[str]:
    """Fields that tshark reads otherwise than they were meant."""
    own = _expected_submit(tpdu) if isinstance(tpdu, sms.Submit) else _expected_deliver(tpdu)
    expected = {**own, **_expected_user_data(tpdu)}
    found = {
        name: read.number(name) if isinstance(value, int) or (value is None and name != "text") else getattr(read, name)
        for name, value in expected.items()
    }
    return [
        f"{name}: tshark {found[name]!r}, meant {value!r}" for name, value in expected.items() if found[name] != value
    ]


# --- making messages --------------------------------------------------------------------------------

_POOLS = {
    "gsm7": DEFAULT.replace("\r", "").replace("\x1b", ""),
    "gsm7 extension": DEFAULT_EXTENSION.replace(" ", "") + "abc def",
    "ucs2": "Привет мир ελληνικά 漢字 ü – ",
    "ucs2 with surrogate pairs": "emoji 😀🚀👩‍👧 𝔘𝔫𝔦 ü",
    "any Unicode": "",
}
_CHOICES = (*_POOLS, "single", "locking", "flash", "data", "data to a port", "text to a port")


def _message(dice: random.Random, choice: str, number: int) -> Sent:
    wide = number % 3 == 0
    elements = ()
    if "port" in choice:
        ports = sms.Ports(dice.randrange(1 << 16), dice.randrange(1 << 16))
        if number % 2:
            ports = sms.Ports(dice.randrange(256), dice.randrange(256), wide=False)
        elements = (ports.element(),)
    text, data = "", None
    if choice.startswith("data"):
        data = dice.randbytes(dice.randint(1, 500))
        segments = sms.segment_octets(data, wide_reference=wide, elements=elements)
    else:
        national = sms.NationalTables(choice) if choice in ("single", "locking") else sms.NationalTables.OFF
        text = _text(dice, choice)
        segments = sms.segment(text, wide_reference=wide, national=national, elements=elements)
    recipient = "+" * (number % 2) + "".join(dice.choices("0123456789", k=dice.randint(3, 15)))
    reference = number * 7 & (0xFFFF if wide else 0xFF)
    message_class = 0 if choice == "flash" else None
    submits = tuple(
        sms.Submit(
            recipient,
            part.alphabet,
            part.body,
            concatenation=part.concatenation(reference, wide=wide),
            validity_s=dice.choice([None, 3600, 86400, 10 * 86400, 40 * 86400]),
            status_report=number % 4 == 0,
            message_class=message_class,
            reject_duplicates=number % 5 == 0,
            reference=number % 256,
            elements=part.elements,
        )
        for part in segments
    )
    delivers = tuple(
        sms.Deliver(
            sms.Address.of(recipient),
            _SCTS,
            sms.DataCoding.of(part.alphabet, message_class),
            part.body,
            concatenation=part.concatenation(reference, wide=wide),
            elements=part.elements,
        )
        for part in segments
    )
    return Sent(choice, text, data, submits, delivers)


def _text(dice: random.Random, choice: str) -> str:
    characters = dice.choice((dice.randint(1, 40), dice.randint(120, 170), dice.randint(1, 700)))
    if choice in ("single", "locking"):
        tables = [*SINGLE.values()] if choice == "single" else [*LOCKING.values()]
        language = dice.choice(tables[1:])
        pool = language.replace("\r", "").replace("\x1b", "") + "abcde fghij" * 6
        return "".join(dice.choices(pool, k=characters))
    if choice == "any Unicode":
        ranges = [dice.choice(((0x20, 0x3000), (0xE000, 0x110000))) for _ in range(characters)]
        return "".join(chr(dice.randrange(*points)) for points in ranges)
    return "".join(dice.choices(_POOLS.get(choice, _POOLS["gsm7"]), k=characters))


# --- reading them -----------------------------------------------------------------------------------


def _own_reading(message: Sent) -> list[str]:
    """decode∘encode, as SMS-SUBMIT and as SMS-DELIVER."""
    found = []
    read = [sms.Submit.decode(submit.encode()) for submit in message.submits]
    received = [sms.Deliver.decode(deliver.encode()) for deliver in message.delivers]
    if tuple(read) != _without_validity(message.submits, read) or tuple(received) != message.delivers:
        found.append("a TPDU reads back otherwise")
    whole = b"".join(part.body for part in received)
    if message.data is not None and whole != message.data:
        found.append("the data reads back otherwise")
    if message.data is None and (sms.join_text(received) != message.text or _each_alone(read) != message.text):
        found.append(f"{message.text[:20]!r} reads back otherwise")
    return found


def _without_validity(sent: tuple[sms.Submit, ...], read: list[sms.Submit]) -> tuple[sms.Submit, ...]:
    """A period becomes the next longer one that has an encoding, which is right."""
    return tuple(replace(one, validity_s=other.validity_s) for one, other in zip(sent, read, strict=True))


def _each_alone(read: list[sms.Submit]) -> str:
    """No character is cut in two, so that parts read alone give the text too."""
    return "".join(part.text for part in read)


def _dissected(tpdus: list[sms.Submit] | list[sms.Deliver], *, outgoing: bool) -> list[Dissection]:
    return dissect([tpdu.encode().hex() for tpdu in tpdus], outgoing=outgoing)


def _expected_submit(submit: sms.Submit) -> dict[str, object]:
    validity = None if submit.validity_s is None else sms.encode_validity(submit.validity_s)
    return {
        "message_type": 1,
        "destination": submit.recipient.removeprefix("+"),
        "type_of_number": int(submit.recipient.startswith("+")),
        "reference": submit.reference,
        "dcs": sms.DataCoding.of(submit.alphabet, submit.message_class).octet,
        "status_report_request": int(submit.status_report),
        "reject_duplicates": int(submit.reject_duplicates),
        "validity_octet": validity,
    }


def _expected_deliver(deliver: sms.Deliver) -> dict[str, object]:
    return {"message_type": 0, "originator": deliver.originator.number.removeprefix("+"), "dcs": deliver.dcs.octet}


def _expected_user_data(tpdu: sms.Submit | sms.Deliver) -> dict[str, object]:
    concatenation, ports = tpdu.concatenation, sms.find_ports(tpdu.elements)
    elements = (*((concatenation.element(),) if concatenation else ()), *tpdu.elements)
    header = sms.header_octets(elements)
    units = len(tpdu.body) + ((header * 8 + 6) // 7 if tpdu.alphabet is sms.Alphabet.GSM7 else header)
    expected: dict[str, object] = {
        "user_data_length": units,
        "header_length": header - 1 if header else None,
        "message_id": concatenation.reference if concatenation else None,
        "message_parts": concatenation.total if concatenation else None,
        "message_part": concatenation.sequence if concatenation else None,
        "destination_port": ports.destination if ports else None,
        "originator_port": ports.originator if ports else None,
        "single_shift": sms.find_language(tpdu.elements, sms.IE_NATIONAL_SINGLE_SHIFT) or None,
        "locking_shift": sms.find_language(tpdu.elements, sms.IE_NATIONAL_LOCKING_SHIFT) or None,
    }
    if tpdu.alphabet is sms.Alphabet.OCTETS:
        expected["body"] = tpdu.body.hex()
    else:
        expected["text"] = _as_tshark_reads(tpdu)
    return expected


def _as_tshark_reads(tpdu: sms.Submit | sms.Deliver) -> str:
    """tshark has the default tables only: septets are compared by what they mean there."""
    if tpdu.alphabet is sms.Alphabet.UCS2:
        return tpdu.text
    text, septets = [], iter(tpdu.body)
    for septet in septets:
        if septet != 0x1B:
            text.append(DEFAULT[septet])
            continue
        escaped = DEFAULT_EXTENSION[next(septets)]
        text.append(_REPLACEMENT if escaped == " " else escaped)
    return "".join(text)


def prove(figures: Figures, count: int, seed: int) -> None:
    sent = list(messages(count, seed))
    wrong = check(sent)
    parts = Counter(message.choice for message in sent for _ in message.submits)
    alphabets = Counter(
        (part.alphabet.value, bool(sms.find_language(part.elements, sms.IE_NATIONAL_SINGLE_SHIFT)),
         bool(sms.find_language(part.elements, sms.IE_NATIONAL_LOCKING_SHIFT)))
        for message in sent for part in message.submits
    )  # fmt: skip
    for choice in _CHOICES:
        count_of = sum(message.choice == choice for message in sent)
        finding = f"{len(wrong[choice])} differences" if wrong[choice] else "the same"
        first = f"; first: {wrong[choice][0]}" if wrong[choice] else ""
        figures.expect(f"{choice}: {count_of} messages, {2 * parts[choice]} TPDUs", finding + first, not wrong[choice])
    for (alphabet, single, locking), number in sorted(alphabets.items()):
        tables = " and ".join(name for name, has in (("single", single), ("locking", locking)) if has)
        figures.state(f"parts in {alphabet}{' with ' + tables + ' shift' if tables else ''}", number)
    used = {language for message in sent for part in message.submits
            for language in (sms.find_language(part.elements, sms.IE_NATIONAL_SINGLE_SHIFT),
                             sms.find_language(part.elements, sms.IE_NATIONAL_LOCKING_SHIFT)) if language}  # fmt: skip
    figures.expect("messages", len(sent), len(sent) >= count)
    figures.state("national languages used", ", ".join(sms.LANGUAGES[language] for language in sorted(used)))
    if count >= _MESSAGES:
        figures.expect("national languages, of all there are", f"{len(used)} of {len(sms.LANGUAGES)}",
                       len(used) == len(sms.LANGUAGES))  # fmt: skip


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--messages", type=int, default=_MESSAGES)
    options.add_argument("--seed", type=int, default=_SEED)
    options.add_argument("--json", type=Path, help="also write the figures here")
    given = options.parse_args()
    figures = Figures(f"codec, seed {given.seed}")
    prove(figures, given.messages, given.seed)
    if given.json is not None:
        given.json.write_text(json.dumps(json.loads(figures.as_json()), indent=1))
    return 0 if figures.is_met else 1


if __name__ == "__main__":
    sys.exit(main())
