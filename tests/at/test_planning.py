"""From a message and a route's settings to TPDUs, and from received TPDUs to what they are for. No line is opened."""

from __future__ import annotations

from typing import Any

import pytest

from agent.config import ConfigError, parse
from drivers import sms
from drivers.api import (
    InboundKind,
    InboundPart,
    PartToSend,
    PlannedPart,
    PlanOptions,
    Refused,
    StatusReport,
    Unplannable,
    Waiting,
)
from drivers.at import events
from drivers.at.driver import AtDriver
from drivers.at.settings import AtSettings
from drivers.at.submission import encode

TURKISH = "İstanbul'da ılık bir gün; şeker, çay, ğ ve ü. " * 8
PREFIXES = {"+90": "single", "+90555": "locking", "+905551": "off"}
DRIVER = AtDriver()


def plan(text: str, number: str = "+4915", **keys: Any) -> tuple[PlannedPart, ...]:
    return DRIVER.plan(text, 25, PlanOptions(AtSettings(port="/dev/null", **keys), number))


@pytest.mark.parametrize(
    ("number", "alphabet", "header"),
    [
        pytest.param("+4915112345678", "ucs2", "", id="route"),
        pytest.param("+905321234567", "gsm7", "240101", id="prefix"),
        pytest.param("+905551234567", "ucs2", "", id="longest-prefix-off"),
        pytest.param("+905552234567", "gsm7", "250101", id="longer-prefix"),
    ],
)
def test_tables_by_prefix(number: str, alphabet: str, header: str) -> None:
    parts = plan(TURKISH[:155], number, national_tables_by_prefix=PREFIXES)
    assert {(part.alphabet, part.header.hex()) for part in parts} == {(alphabet, header)}


def test_tables_of_the_route() -> None:
    assert [len(plan(TURKISH[:155], national_tables=tables)) for tables in ("off", "single", "locking")] == [3, 2, 1]
    assert plan(TURKISH[:155]) == plan(TURKISH[:155], national_tables="off") == DRIVER.plan(TURKISH[:155], 25)


def test_smart_encoding_is_asked_for() -> None:
    assert plan("“it’s”")[0].alphabet == "ucs2"
    assert plan("“it’s”", smart_encoding=True) == (PlannedPart("gsm7", b'"it\'s"'),)


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        pytest.param({"national_tables": "all"}, "national_tables", id="no-such-choice"),
        pytest.param({"national_tables_by_prefix": {"+90": "yes"}}, "national_tables_by_prefix", id="no-such-value"),
        pytest.param({"national_tables_by_prefix": {"Turkey": "single"}}, '"Turkey" is none', id="no-prefix"),
    ],
)
def test_wrong_tables_are_named(tables: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse({"route": [{"name": "a", "port": "/dev/x", **tables}]})


def sent(part: PlannedPart, **keys: Any) -> sms.Submit:
    """The SMS-SUBMIT of a plan."""
    pdu, _ = encode(
        PartToSend("+4915", part.alphabet, part.body, header=part.header, message_class=part.message_class, **keys)
    )
    return sms.Submit.decode(bytes.fromhex(pdu[2:]))


def test_a_part_with_tables_says_so_in_its_header() -> None:
    parts = plan(TURKISH[:300], national_tables="locking")
    submits = [sent(part, total=len(parts), sequence=number, reference=9) for number, part in enumerate(parts, 1)]
    assert "".join(submit.text for submit in submits) == TURKISH[:300]
    assert len(submits) > 1
    assert all(submit.elements and submit.concatenation for submit in submits)


def test_flash() -> None:
    (part,) = DRIVER.plan("now!", 25, PlanOptions(is_flash=True))
    assert (sent(part).message_class, sent(part).text) == (0, "now!")


def test_data_to_a_port() -> None:
    octets = bytes(range(256))
    parts = DRIVER.plan("", 25, PlanOptions(port=16001, data=octets))
    submits = [sent(part, total=len(parts), sequence=number) for number, part in enumerate(parts, 1)]
    assert b"".join(submit.body for submit in submits) == octets
    assert {sms.find_ports(submit.elements) for submit in submits} == {sms.Ports(16001, 16001)}
    assert [len(submit.body) for submit in submits] == [128, 128]


def test_binary_without_a_port_and_a_text_to_one() -> None:
    (binary,) = DRIVER.plan("", 25, PlanOptions(data=b"\x00\xff" * 70))
    assert (sent(binary).alphabet, sent(binary).body) == (sms.Alphabet.OCTETS, b"\x00\xff" * 70)
    (text,) = DRIVER.plan("hello", 25, PlanOptions(port=5))
    assert (sent(text).text, sms.find_ports(sent(text).elements)) == ("hello", sms.Ports(5, 5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        pytest.param(PlanOptions(data=b""), "empty", id="no-data"),
        pytest.param(PlanOptions(data=b"x", port=70000), "port 70000", id="port"),
        pytest.param(PlanOptions(data=b"x" * 5000), "38 parts, and 25 are allowed", id="too-long"),
    ],
)
def test_what_can_never_go_is_said(options: PlanOptions, words: str) -> None:
    with pytest.raises(Unplannable, match=words):
        DRIVER.plan("", 25, options)


def test_a_damaged_plan_is_refused() -> None:
    with pytest.raises(Refused, match="runs past the header"):
        encode(PartToSend("+4915", "gsm7", b"x", header=b"\x24\x05\x01"))


# --- what arrives -----------------------------------------------------------------------------------

NOW = sms.decode_timestamp(bytes.fromhex("42701121436522"))


def received(dcs: int, *elements: sms.InformationElement, body: bytes = b"x", pid: int = 0) -> InboundPart:
    message = sms.Deliver(sms.Address.of("+4915"), NOW, sms.decode_coding(dcs), body, elements=elements, pid=pid)
    found = events.decode("89", sms.pdu_hex(message.encode()))
    assert isinstance(found, InboundPart)
    return found


PUSH = sms.Ports(2948, 9200).element()
VOICE = sms.InformationElement(0x01, b"\x00\x02")


@pytest.mark.parametrize(
    ("part", "kind"),
    [
        pytest.param(received(0x00), InboundKind.TEXT, id="text"),
        pytest.param(received(0x10), InboundKind.TEXT, id="flash"),
        pytest.param(received(0x04), InboundKind.DATA, id="binary"),
        pytest.param(received(0xF5), InboundKind.DATA, id="binary-class-1"),
        pytest.param(received(0x04, sms.Ports(16001, 1).element()), InboundKind.DATA, id="port"),
        pytest.param(received(0x00, sms.Ports(200, 1, wide=False).element()), InboundKind.DATA, id="text-to-a-port"),
        pytest.param(received(0x04, PUSH), InboundKind.WAP_PUSH, id="wap-push"),
        pytest.param(received(0x00, pid=0x40), InboundKind.SILENT, id="type-0"),
        pytest.param(received(0x00, pid=0x43), InboundKind.TEXT, id="replace-type"),
        pytest.param(received(0xC8), InboundKind.WAITING, id="waiting-discard"),
        pytest.param(received(0xD8), InboundKind.TEXT, id="waiting-store"),
        pytest.param(received(0x00, VOICE), InboundKind.WAITING, id="waiting-element"),
    ],
)
def test_kinds(part: InboundPart, kind: InboundKind) -> None:
    assert part.kind is kind


def test_what_comes_with_a_kind() -> None:
    assert received(0x10).message_class == 0
    assert received(0x00, pid=0x47).replace_type == 7
    assert received(0x00).replace_type is None
    pushed = received(0x04, PUSH)
    assert (pushed.port, pushed.source_port) == (2948, 9200)
    assert received(0x00, VOICE).waiting == (Waiting("voicemail", True, 2),)
    assert received(0xD2).waiting == (Waiting("email", False, None),)


def test_a_report_is_still_a_report() -> None:
    report = sms.StatusReport(5, sms.Address.of("+4915"), NOW, NOW, 0)
    assert isinstance(events.decode("89", sms.pdu_hex(report.encode())), StatusReport)
