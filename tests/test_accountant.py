"""The accountant on small made-up logs: each kind of harm is seen, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import accountant
from tests.mobsms_server.dump import dump_of_log, same_number

Record = dict[str, Any]


def air(
    at_s: float,
    text: str,
    *,
    to: str = "+4917012345",
    part: tuple[int, int] = (1, 1),
    ref: int | None = None,
    modem: int = 0,
    submit: int | None = None,
) -> list[Record]:
    """The lines of one submit that went on the air at `at_s`; `part` is its place and the number of parts."""
    number = round(at_s * 10) if submit is None else submit
    when = {"modem": modem, "submit": number, "at_ms": round(at_s * 1000)}
    return [
        {**when, "event": "submit_begin", "mono_s": at_s - 0.5},
        {
            **when, "event": "air", "mono_s": at_s, "to": to, "text": text, "ref": ref, "total": part[1],
            "seq": part[0], "mr": number % 256, "data": None, "tpdu": "",
        },
    ]  # fmt: skip


def row(number: int, text: str, *states: str, to: str = "+4917012345", **fields: Any) -> Record:
    """A message with its reports, the first at 1,000 s and each a second later."""
    reports = [{"status": state, "at": 1_000_000 + 1000 * n} for n, state in enumerate(states)]
    return {
        "id": number,
        "message_id": f"m-{number}",
        "direction": "outbound",
        "recipient_number": to,
        "sender_number": None,
        "message": text,
        "status": states[-1] if states else "pending",
        "created_at": f"2026-06-08T10:00:{number:02d}.000000Z",
        "deleted": False,
        "reports": reports,
        **fields,
    }


def account(lines: list[list[Record]], rows: list[Record], hooks: list[Record] | None = None) -> accountant.Account:
    records = [record for group in lines for record in group]
    return accountant.take_account({"air.log": records}, {"messages": rows, "hooks": hooks or []})


DONE = ("sent", "delivered")
TWO = "A" * 153 + "B" * 20
HEAD, TAIL = TWO[:153], TWO[153:]


def two(at_s: float, **fields: Any) -> list[Record]:
    return [*air(at_s, HEAD, part=(1, 2), **fields), *air(at_s + 1, TAIL, part=(2, 2), **fields)]


@pytest.mark.parametrize(
    ("lines", "rows", "wrong"),
    [
        pytest.param([air(1, "a"), air(5, "b")], [row(1, "a", *DONE), row(2, "b", *DONE)], {}, id="clean"),
        pytest.param([two(1, ref=7)], [row(1, TWO, *DONE)], {}, id="two parts"),
        pytest.param(
            [two(1, ref=7), two(5, ref=8)], [row(1, TWO, *DONE), row(2, TWO, *DONE)], {}, id="asked for twice"
        ),
        pytest.param(
            [two(1, ref=7), two(5, ref=7)],
            [row(1, TWO, *DONE), row(2, TWO, *DONE)],
            {},
            id="twice, reference come round",
        ),
        pytest.param([air(1, "a")], [row(1, "a", "delivered")], {}, id="delivered without sent is a merge"),
        pytest.param([air(1, "a")], [row(1, "a", "sent", "sent", "failed", "delivered")], {}, id="late delivery"),
        pytest.param(
            [],
            [row(1, "a", "failed"), row(2, "b", status="cancelled"), row(3, "c", deleted=True)],
            {},
            id="not owed",
        ),
        pytest.param([], [row(1, "a")], {"lost": 1, "unreported": 1}, id="lost"),
        pytest.param([], [row(1, "a", *DONE)], {"lost": 1, "premature": 1}, id="reported and never sent"),
        pytest.param([air(1, "a")], [row(1, "a", *DONE), row(2, "a", *DONE)], {"lost": 1}, id="one of two equal ones"),
        pytest.param([air(1, "a")], [row(1, "a", "sent")], {"unreported": 1}, id="no final state"),
        pytest.param([air(1, "a"), air(2, "a")], [row(1, "a", *DONE)], {"doubled": 1}, id="doubled"),
        pytest.param(
            [air(1, "a"), air(2, "a", modem=1)],
            [row(1, "a", *DONE)],
            {"doubled": 1},
            id="doubled by two modems",
        ),
        pytest.param(
            [two(1, ref=7), air(5, TAIL, part=(2, 2), ref=7)],
            [row(1, TWO, *DONE)],
            {"doubled": 1},
            id="one part doubled",
        ),
        pytest.param(
            [two(1, ref=7), two(5, ref=8)],
            [row(1, TWO, *DONE)],
            {"doubled": 2},
            id="both parts, other reference",
        ),
        pytest.param([air(1, HEAD, part=(1, 2), ref=7)], [row(1, TWO, "failed")], {"incomplete": 1}, id="incomplete"),
        pytest.param(
            [air(1, HEAD, part=(1, 2), ref=7), two(5, ref=8)],
            [row(1, TWO, *DONE)],
            {"incomplete": 1, "doubled": 1},
            id="begun again with another reference",
        ),
        pytest.param([air(1, "a"), air(2, "x")], [row(1, "a", *DONE)], {"unexpected": 1}, id="nobody asked for it"),
        pytest.param(
            [air(1, "a")],
            [row(1, "a", "delivered", "sent")],
            {"wrong_order": 1, "unreported": 1},
            id="backwards",
        ),
        pytest.param([air(1001, "a")], [row(1, "a", *DONE)], {"premature": 1}, id="reported before it was sent"),
        pytest.param(
            [air(1, "a"), [{"event": "violation", "modem": 0, "kind": "bytes_after_ctrl_z"}]],
            [row(1, "a", *DONE)],
            {"violations": 1},
            id="violation",
        ),
    ],
)
def test_each_harm_is_counted_and_nothing_else(
    lines: list[list[Record]], rows: list[Record], wrong: dict[str, int]
) -> None:
    taken = account(lines, rows)
    names = (
        "lost",
        "doubled",
        "incomplete",
        "unexpected",
        "unreported",
        "wrong_order",
        "premature",
        "violations",
    )
    assert {name: len(getattr(taken, name)) for name in names if getattr(taken, name)} == wrong
    assert taken.is_clean is (not wrong)


def test_a_repeat_knows_whether_its_report_was_there_before() -> None:
    report = {"event": "report", "modem": 0, "submit": 10, "mono_s": 1.2, "how": "sr"}
    for how, known in (("sr", True), ("cds", True), ("dropped", False)):
        taken = account([air(1, "a"), [{**report, "how": how}], air(2, "a")], [row(1, "a", *DONE)])
        assert [doubled.was_reported_before for doubled in taken.doubled] == [known]


def test_gaps_run_from_the_last_part_to_the_next_first_part_over_all_modems() -> None:
    taken = account([two(1, ref=7), air(5, "a", modem=1), air(9.5, "b")], [])
    assert taken.shortest_gap_s == pytest.approx(3.0)
    assert account([air(1, "a")], []).shortest_gap_s is None


def test_order_and_interleaving_are_per_modem() -> None:
    rows = [row(1, "a", *DONE), row(2, "b", *DONE), row(3, "c", *DONE)]
    in_turn = account([air(1, "a"), air(2, "c"), air(3, "b", modem=1)], rows)
    assert (in_turn.out_of_turn, in_turn.per_modem) == (0, {"air.log#0": 2, "air.log#1": 1})
    assert account([air(1, "a"), air(2, "c"), air(3, "b")], rows).out_of_turn == 1
    split = [air(1, HEAD, part=(1, 2), ref=7), air(2, "a"), air(3, TAIL, part=(2, 2), ref=7)]
    assert (account(split, []).interleaved, account([two(1, ref=7)], []).interleaved) == (1, 0)


def test_reports_that_say_the_same_again_are_counted_but_not_wrong() -> None:
    taken = account([air(1, "a")], [row(1, "a", "sent", "sent", "delivered", "delivered")])
    assert (taken.repeated_reports, taken.without_sent, taken.is_clean) == (2, 0, True)


def received(text: str, *, tpdu: str, part: tuple[int, int] = (1, 1), ref: int | None = None) -> Record:
    return {
        "event": "inbound", "modem": 0, "sender": "+491", "text": text, "ref": ref, "seq": part[0],
        "total": part[1], "tpdu": tpdu,
    }  # fmt: skip


def hook(message_id: str, text: str, status: int | None = 200) -> Record:
    data = {"message_id": message_id, "sender_number": "+491", "message": text}
    return {"body": {"event": "incoming", "data": data, "timestamp": ""}, "status": status}


PARTS = [
    received("World", tpdu="02", part=(2, 2), ref=5),
    received("Hello ", tpdu="01", part=(1, 2), ref=5),
    received("Hello ", tpdu="01", part=(1, 2), ref=5),
]


@pytest.mark.parametrize(
    ("sent", "hooks", "figures"),
    [
        pytest.param(PARTS, [hook("u", "Hello World")], (1, 1, 0, 0, 0, 0), id="parts out of order, one doubled"),
        pytest.param([received("a", tpdu="01")], [], (1, 0, 1, 0, 0, 0), id="missing"),
        pytest.param([received("a", tpdu="01")], [hook("u", "a"), hook("v", "a")], (1, 2, 0, 1, 0, 0), id="doubled"),
        pytest.param(
            [received("a", tpdu="01")],
            [hook("u", "a", None), hook("u", "a")],
            (1, 1, 0, 0, 0, 0),
            id="retried",
        ),
        pytest.param([received("a", tpdu="01")], [hook("u", "a"), hook("u", "a")], (1, 1, 0, 0, 0, 1), id="repeated"),
        pytest.param([], [hook("u", "x")], (0, 1, 0, 0, 1, 0), id="unexpected"),
        pytest.param(
            [received("a", tpdu="01"), received("a", tpdu="02")],
            [hook("u", "a"), hook("v", "a")],
            (2, 2, 0, 0, 0, 0),
            id="two equal texts",
        ),
    ],
)
def test_inbound_is_counted_by_message_id_and_text(
    sent: list[Record], hooks: list[Record], figures: tuple[int, ...]
) -> None:
    found = account([sent], [], hooks).inbound
    lists = (found.missing, found.doubled, found.unexpected)
    assert (found.expected, found.arrived, *map(len, lists), found.repeated) == figures


def test_one_message_id_with_two_contents_is_a_fault() -> None:
    taken = account([[received("a", tpdu="01")]], [], [hook("u", "a"), hook("u", "b")])
    assert (taken.inbound.changed, taken.is_clean) == (["u"], False)


@pytest.mark.parametrize(
    ("number", "same"),
    [("+49 170-12", "4917012"), ("004917012", "4917012"), ("Bank 24", "Bank24"), (None, "")],
)
def test_numbers_compare_by_their_digits(number: str | None, same: str) -> None:
    assert same_number(number) == same


def test_a_dump_is_made_again_from_the_servers_log() -> None:
    base = {"event": "message", "message_id": "m", "direction": "outbound", "status": "pending", "device": 1}
    message = {
        **base,
        "recipient": "+491",
        "sender": None,
        "text": "a",
        "created_at": "2026-06-08T10:00:00.000000Z",
    }
    report = {
        "event": "report",
        "id": 1,
        "status": "sent",
        "previous": "pending",
        "error_message": None,
        "at": 5,
    }
    dump = dump_of_log(
        [
            *({**message, "id": number} for number in (1, 2, 3)),
            report,
            {"event": "cancel", "id": 2},
            {"event": "delete", "id": 3},
            {"event": "request"},
        ]
    )
    assert [(m["id"], m["status"], m["deleted"]) for m in dump["messages"]] == [
        (1, "sent", False),
        (2, "cancelled", False),
        (3, "pending", True),
    ]
    assert dump["messages"][0]["reports"][0]["at"] == 5


def test_the_command_prints_a_table_and_says_by_its_exit_code_whether_all_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, dump = tmp_path / "air.log", tmp_path / "dump.json"
    log.write_text("".join(json.dumps(record) + "\n" for record in air(1, "a")) + '{"event": "torn')
    dump.write_text(json.dumps({"messages": [row(1, "a", *DONE)], "hooks": []}))
    assert accountant.main(["--air", str(log), "--server", str(dump)]) == 0
    assert "lost                      0" in capsys.readouterr().out
    dump.write_text(json.dumps({"messages": [row(1, "b")], "hooks": []}))
    assert accountant.main(["--air", str(log), "--server", str(dump), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["lost"] == [["4917012345", "b"]]
