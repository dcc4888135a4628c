"""What is not just a text: `decode` says it, `send` sends it, and `--dry-run` shows how anything would go."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers import sms
from tests.cli.conftest import Cli, Running
from tests.sms.test_sms_purpose import NOTIFICATION, PUSH

NUMBER = "+491701234567"
TURKISH = "İstanbul'da ılık bir gün; şeker, çay, ğ ve ü. " * 8
NOW = sms.decode_timestamp(bytes.fromhex("42701121436522"))


def submitted(text: str, **keys: object) -> str:
    first = sms.segment(text, national=sms.NationalTables.LOCKING)[0]
    submit = sms.Submit(
        NUMBER, first.alphabet, first.body, concatenation=first.concatenation(7), elements=first.elements
    )
    return sms.pdu_hex(submit.encode())


def delivered(dcs: int, *elements: sms.InformationElement, body: bytes = b"x", pid: int = 0) -> str:
    message = sms.Deliver(sms.Address.of(NUMBER), NOW, sms.decode_coding(dcs), body, elements=elements, pid=pid)
    return sms.pdu_hex(message.encode())


def test_decode_shows_alphabet_tables_parts_and_header(cli: Cli) -> None:
    found = cli("decode", submitted(TURKISH[:298]), "--json").json
    assert (found["alphabet"], found["tables"], found["part"]) == ("gsm7", {"locking": "Turkish"}, "1 of 2")
    assert found["header_octets"] == 9
    assert found["elements"] == [{"iei": "0x25", "data": "01", "name": "locking shift table"}]
    assert TURKISH.startswith(found["text"])
    shown = cli("decode", submitted(TURKISH[:298])).out
    assert "locking Turkish" in shown and "1 of 2" in shown


@pytest.mark.parametrize(
    ("pdu", "purpose"),
    [
        pytest.param(delivered(0x00), None, id="text"),
        pytest.param(delivered(0x10), "flash", id="flash"),
        pytest.param(delivered(0x04), "data", id="binary"),
        pytest.param(delivered(0x00, pid=0x40), "silent (type 0)", id="type-0"),
        pytest.param(delivered(0x00, pid=0x43), "replaces the last of its sender and type 3", id="replace"),
        pytest.param(delivered(0xC8), "message waiting: voicemail", id="waiting"),
        pytest.param(delivered(0xC1), "message waiting: no fax", id="waiting-no-more"),
        pytest.param(delivered(0xD8), "message waiting: voicemail, with a text to keep", id="waiting-stored"),
        pytest.param(
            delivered(0x00, sms.InformationElement(1, b"\x02\x05")), "message waiting: 5 email", id="waiting-count"
        ),
        pytest.param(
            delivered(0x04, sms.Ports(2948, 9200).element(), body=PUSH[:-1]),
            f"WAP push, damaged: mms.text at octet {len(NOTIFICATION) - 1}: needs 1 octets, 0 are left",
            id="damaged-push",
        ),
        pytest.param(
            delivered(0x04, sms.Ports(2948, 9200).element(), body=b"\x01\x06\x01\xaex"),
            "WAP push: application/vnd.wap.sic",
            id="push",
        ),
        pytest.param(
            delivered(0x04, sms.Ports(2948, 9200).element(), body=PUSH[:6] + b"\x8c\x82\x98T\0\x83http://m/1\0"),
            "MMS notification: http://m/1",
            id="mms",
        ),
    ],
)
def test_decode_says_what_it_is_for(cli: Cli, pdu: str, purpose: str | None) -> None:
    assert cli("decode", pdu, "--json").json["purpose"] == purpose


@pytest.fixture
def ask(cli: Cli, daemon: Running) -> Cli:
    def call(*arguments: str) -> object:
        return cli(*arguments, "-c", str(daemon.config))

    call("resume", "sim0")
    return call  # type: ignore[return-value]


def test_dry_run_by_the_daemon_sends_nothing(ask: Cli, daemon: Running) -> None:
    before = ask("messages", "--json").json["total"]
    found = ask("send", NUMBER, TURKISH[:155], "--dry-run", "--json").json
    assert (found["number"], found["alphabet"], len(found["parts"])) == (NUMBER, "ucs2", 3)
    assert "settings" not in found
    assert "".join(part["text"] for part in found["parts"]) == TURKISH[:155]
    assert found["parts"][0] == {
        "sequence": 1, "used": 134, "room": 134, "header_octets": 6, "text": TURKISH[:67], "data": None,
    }  # fmt: skip
    shown = ask("send", NUMBER, "two words", "--dry-run").out
    assert "gsm7" in shown and "two words" in shown
    assert ask("messages", "--json").json["total"] == before
    assert not [event for event in daemon.modem.events("air") if event["text"] == "two words"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        pytest.param([NUMBER, "x" * 5000], 1, "33 parts, and 25 are allowed", id="too-long"),
        pytest.param(["abc", "x"], 1, "abc", id="no-number"),
        pytest.param([NUMBER, "zz", "--hex"], 2, "data is not hexadecimal", id="no-hexadecimal"),
        pytest.param([NUMBER, "00", "--hex", "--port", "70000"], 2, "port is a whole number", id="no-port"),
        pytest.param([NUMBER, "x", "--route", "sim9"], 2, "there is no route", id="no-route"),
    ],
)
def test_dry_run_of_what_can_never_go(ask: Cli, arguments: list[str], code: int, words: str) -> None:
    found = ask("send", *arguments, "--dry-run")
    assert found.code == code
    assert words in found.err and found.err.count("\n") == 1


def test_dry_run_without_a_daemon_goes_by_defaults(cli: Cli, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[agent]\nstate_dir = "{tmp_path}"\n')
    found = cli("send", NUMBER, "AABB", "--hex", "--port", "2948", "--dry-run", "--json", "-c", str(config))
    assert found.code == 0
    assert (found.json["settings"], found.json["alphabet"], found.json["port"]) == ("defaults", "8bit", 2948)
    assert found.json["parts"][0]["data"] == "aabb"
    assert "no daemon runs" in cli("send", NUMBER, "x", "--flash", "--dry-run", "-c", str(config)).out
    wrong = cli("send", NUMBER, "zz", "--hex", "--dry-run", "-c", str(config))
    assert (wrong.code, "data is not hexadecimal" in wrong.err) == (2, True)


def test_flash_and_data_go_on_the_air(ask: Cli, daemon: Running) -> None:
    flash = ask("send", NUMBER, "look at this", "--flash", "--wait", "--json").json_lines[-1]
    data = ask("send", NUMBER, "01 FF", "--hex", "--port", "16001", "--wait", "--json").json_lines[-1]
    assert (flash["kind"], flash["details"]) == ("text", {"message_class": 0})
    assert (data["kind"], data["details"]) == ("data", {"port": 16001, "data": "01ff"})
    on_air = [sms.Submit.decode(bytes.fromhex(event["tpdu"])) for event in daemon.modem.events("air")]
    assert [submit.message_class for submit in on_air if submit.text == "look at this"] == [0]
    (sent,) = [submit for submit in on_air if submit.alphabet is sms.Alphabet.OCTETS]
    assert (sent.body, sms.find_ports(sent.elements)) == (b"\x01\xff", sms.Ports(16001, 16001))
    assert "01ff" not in ask("messages", str(data["id"]), "--json").out
    assert "01ff" in ask("messages", str(data["id"]), "--full").out
