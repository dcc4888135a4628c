"""The Yazsana driver: what is posted, what the answers mean, and what is found again after none."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from drivers.api import (
    DriverError,
    NoAnswer,
    NotReady,
    OutcomeUnknown,
    PartToSend,
    PersonNeeded,
    Refused,
    Registration,
    ReportOutcome,
    RouteRefused,
    SessionLost,
    Unplannable,
)
from drivers.settings import Secret
from drivers.yazsana import rows
from drivers.yazsana.driver import YazsanaDriver
from drivers.yazsana.ledger import Ledger
from drivers.yazsana.settings import YazsanaSettings
from tests.yazsana.conftest import NUMBER, Desk
from tests.yazsana.server import KEY, ORG, OTHER_SERVICE, SERVICE, USER, Fault, Item, Sending


@pytest.mark.parametrize(
    ("text", "is_carried"),
    [("a" * 160, True), ("a" * 161, False), ("ş" * 160, True), ("😀" * 80, True), ("😀" * 81, False), ("", False)],
    ids=["160", "161", "160 Turkish", "80 emoji are 160 UTF-16 units", "81 emoji", "empty"],
)
def test_a_text_goes_whole_or_not_at_all(text: str, is_carried: bool) -> None:
    if not is_carried:
        with pytest.raises(Unplannable):
            YazsanaDriver().plan(text, 25)
        return
    (part,) = YazsanaDriver().plan(text, 25)
    assert (part.alphabet, part.body.decode()) == ("text", text)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("+905550000000", "905550000000"), ("905550000000", "905550000000"), ("00905550000000", "905550000000"),
        ("05550000000", None), ("5550", None), ("+1234567890123456", None),
    ],
)  # fmt: skip
def test_numbers_go_without_plus_and_only_with_country_code(given: str, wanted: str | None) -> None:
    assert rows.number(given) == wanted


@pytest.mark.parametrize(
    ("service", "wanted"),
    [("BobSMS", SERVICE), ("bobsms plus", OTHER_SERVICE), (OTHER_SERVICE, OTHER_SERVICE)],
)
async def test_the_service_is_chosen_by_name_or_id(desk: Desk, service: str, wanted: str) -> None:
    session = await desk.open(service=service)
    bodies: list[Any] = []
    post = session._client.post

    async def noted(path: str, body: Any) -> Any:
        bodies.append(body)
        return await post(path, body)

    session._client.post = noted  # type: ignore[method-assign, assignment]
    await desk.submit(session)
    assert bodies == [{"to": "905550000000", "message": "Hello", "serviceId": wanted}]


async def test_price_and_credit_are_read_and_kept_fresh(desk: Desk) -> None:
    session = await desk.open(org_id=ORG, account_refresh_s=0.1)
    assert (session.link.operator, session.link.price, session.link.credit) == ("BobSMS", "1.000000 USD", "120.000000")
    assert session.sim.iccid == f"yazsana:{USER}:{ORG}"
    desk.run(session)
    await desk.submit(session)
    await desk.until(lambda: session.link.credit == "119.000000")
    assert desk.links()[-1].link.credit == "119.000000"
    assert (await desk.open()).link.credit is None


@pytest.mark.parametrize(
    ("keys", "fault", "error", "words"),
    [
        ({"api_key": Secret("wrong")}, None, PersonNeeded, "api_key"),
        ({"service": "Bob"}, None, PersonNeeded, '"BobSMS", "BobSMS Plus"'),
        ({"service": None}, None, PersonNeeded, "several"),
        ({"org_id": "0d1f0e2c-6a7f-4e53-a6a3-000000000000"}, None, PersonNeeded, "refuses the key"),
        ({"services_path": "/wrong"}, None, PersonNeeded, "/wrong"),
        ({"base_url": "http://127.0.0.1:1"}, None, NoAnswer, "cannot be reached"),
        ({}, Fault("/services", 500), NoAnswer, "failed (500)"),
        ({}, Fault("/services", 429), NoAnswer, "no more requests"),
        ({}, Fault("/users/me", "html"), NoAnswer, "base_url"),
        ({}, Fault("/users/me", "lost"), NoAnswer, "broke off"),
        ({}, Fault("/services", 200, body={"success": True, "data": {"a": 1}}), PersonNeeded, "list of services"),
    ],
    ids=["key", "service", "no service", "org", "path", "absent", "500", "429", "portal", "reset", "malformed"],
)
async def test_what_keeps_it_from_opening_is_said_and_sorted(
    desk: Desk, keys: dict[str, Any], fault: Fault | None, error: type[Exception], words: str
) -> None:
    desk.server.faults = [fault] if fault else []
    with pytest.raises(error) as caught:
        await desk.open(**keys)
    assert words in str(caught.value) and "wrong-key" not in str(caught.value) and KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("/one", 401), RouteRefused), (Fault("/one", 403), RouteRefused), (Fault("/one", 402), RouteRefused),
        (Fault("/one", 400, body={"success": False, "message": "Insufficient credit"}), RouteRefused),
        (Fault("/one", 200, body={"success": False, "message": "Yetersiz bakiye"}), RouteRefused),
        (Fault("/one", 404, body={}), RouteRefused), (Fault("/one", 302), NotReady),
        (Fault("/one", 429, headers={"Retry-After": "1"}), NotReady), (Fault("/one", 503), NotReady),
        (Fault("/one", 400, body={"success": False, "message": ["to must be valid"]}), Refused),
        (Fault("/one", 422), Refused), (Fault("/one", 200, body={"success": False, "message": "blocked"}), Refused),
    ],
    ids=["401", "403", "402", "credit", "kredi", "path", "302", "429", "503", "400", "422", "success false"],
)  # fmt: skip
async def test_answers_that_send_nothing_are_sorted_by_what_to_do(
    desk: Desk, fault: Fault, error: type[DriverError]
) -> None:
    session = await desk.open()
    desk.server.faults = [fault]
    with pytest.raises(error):
        await desk.submit(session)
    assert desk.server.sendings == [] and desk.memory.facts == {}


async def test_a_wrong_number_or_a_foreign_plan_is_refused_before_anything_is_asked(desk: Desk) -> None:
    session = await desk.open()
    asked = len(desk.server.requests)
    with pytest.raises(Refused):
        await desk.submit(session, to="5550")
    with pytest.raises(Refused):
        await session.submit(PartToSend(NUMBER, "gsm7", b"abc"), asyncio.sleep(0))
    assert len(desk.server.requests) == asked


async def test_nothing_is_posted_where_the_claim_does_not_become_durable(desk: Desk) -> None:
    session = await desk.open()

    async def full_disk() -> None:
        raise OSError("no space")

    with pytest.raises(OSError):
        await session.submit(PartToSend(NUMBER, "text", b"Hello"), full_disk())
    assert desk.server.sendings == [] and desk.memory.facts == {}


@pytest.mark.parametrize(
    ("course", "told"),
    [
        (["pending", "waiting", "sent"], [(ReportOutcome.PENDING, "The service has sent it.")]),
        (["pending", "not_sent"], [(ReportOutcome.FAILED, "The service could not send it; its price was refunded.")]),
        (
            ["no_signal", "no_signal", "sent"],
            [
                (ReportOutcome.PENDING, "The recipient's phone has no signal; the service may still reach it."),
                (ReportOutcome.PENDING, "The service has sent it."),
            ],
        ),
        (["no_signal"], [(ReportOutcome.FAILED, "The recipient's phone had no signal; its price was refunded.")]),
        (["", "what", "sent"], [(ReportOutcome.PENDING, "The service has sent it.")]),
    ],
    ids=["sent", "not_sent", "no_signal for now", "no_signal refunded", "unknown words"],
)
async def test_items_are_asked_for_until_they_are_final(
    desk: Desk, course: list[str], told: list[tuple[ReportOutcome, str]]
) -> None:
    desk.server.course["905550000000"] = course
    session = await desk.open()
    desk.run(session)
    submitted = await desk.submit(session)
    await desk.until(lambda: not desk.memory.facts)
    seen = list(dict.fromkeys((report.outcome, report.sentence) for report in desk.reports()))
    assert seen == told
    assert {report.tp_mr for report in desk.reports()} == {submitted.tp_mr} and 0 < (submitted.tp_mr or 0) < 2**53
    assert {report.recipient for report in desk.reports()} == {NUMBER}
    asked = len(desk.server.requests)
    await asyncio.sleep(0.1)
    assert len(desk.server.requests) == asked


async def test_sent_counts_as_delivered_where_the_owner_says_so(desk: Desk) -> None:
    session = await desk.open(sent_is_delivered=True)
    desk.run(session)
    await desk.submit(session)
    await desk.until(desk.reports)
    assert desk.reports()[0].outcome is ReportOutcome.DELIVERED


async def test_polling_goes_on_in_the_next_life_and_slows_down(desk: Desk) -> None:
    desk.server.default_course = ["pending"]
    submitted = await desk.submit(await desk.open())
    await desk.close()
    session = await desk.open(poll_longest_s=0.08)
    desk.run(session)
    path = f"/sms-sendings/{desk.server.sendings[0].id}"
    await desk.until(lambda: sum(request[1] == path for request in desk.server.requests) >= 3)
    desk.server.course["905550000000"] = ["sent"]
    await desk.until(desk.reports)
    assert desk.reports()[-1].tp_mr == submitted.tp_mr


@pytest.mark.parametrize("effect", ["late", 500, 502])
async def test_a_post_whose_answer_is_lost_is_found_in_the_list(desk: Desk, effect: int | str) -> None:
    session = await desk.open()
    await desk.submit(session, "Hello")
    if isinstance(effect, int):
        # The server fails after the work: the post goes through, the answer is an error.
        answer = desk.server._answer

        def failing(request: Any) -> Any:
            found = answer(request)
            if request.method == "POST":
                found.status = effect
            return found

        desk.server._answer = failing  # type: ignore[method-assign]
    else:
        desk.server.faults = [Fault("/one", effect)]
    submitted = await desk.submit(session, "Hello")
    assert len(desk.server.sendings) == 2
    entry = session._ledger.get(submitted.tp_mr or 0)
    assert entry is not None and entry.sending == desk.server.sendings[1].id and entry.text is None


async def test_a_post_that_is_not_in_the_list_is_unknown_and_found_when_it_appears(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.yazsana.session._LOOKS_AT_ONCE_S", (0.01,))
    session = await desk.open()
    desk.run(session)
    desk.server.faults = [Fault("/one", "lost"), Fault("/sms-sendings", "html", count=2, method="GET")]
    with pytest.raises(OutcomeUnknown):
        await desk.submit(session, "Hello")
    other = await desk.submit(session, "Something else", "+905550000009")
    assert desk.server.texts() == ["Something else"]
    _arrives(desk, "Hello")
    await desk.until(lambda: any(r.recipient == NUMBER for r in desk.reports()))
    found = next(report for report in desk.reports() if report.recipient == NUMBER)
    assert found.outcome is ReportOutcome.PENDING and found.tp_mr != other.tp_mr


def _arrives(desk: Desk, text: str) -> None:
    """The service took a post after all, later than anyone looked."""
    now = datetime.now(UTC)
    desk.server.sendings.append(Sending([Item("905550000000", text, now)], now, Decimal(1), org=False))


async def test_a_crash_between_the_answer_and_the_commit_is_settled_from_the_list(desk: Desk) -> None:
    session = await desk.open()
    # The power goes when the service has taken it and nothing was written down of that.
    desk.server.faults = [Fault("/one", "hang")]
    task = asyncio.create_task(desk.submit(session, "Hello"))
    await desk.until(lambda: desk.server.sendings)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await session.close()
    (value,) = desk.memory.facts.values()
    assert '"text":"Hello"' in value and '"id"' not in value
    again = await desk.open(leftover=True)
    desk.run(again)
    await desk.until(desk.reports)
    assert (desk.reports()[0].outcome, desk.reports()[0].recipient) == (ReportOutcome.PENDING, NUMBER)
    await desk.until(desk.sweeps)
    # Evidence comes before the sweep that lets the agent's own policy begin.
    assert type(desk.events[0]).__name__ == "StatusReport"
    assert len(desk.server.sendings) == 1


async def test_a_sending_that_was_known_before_is_never_taken_for_another(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.yazsana.session._LOOKS_AT_ONCE_S", (0.01,))
    desk.server.default_course = ["pending"]
    session = await desk.open()
    await desk.submit(session, "Hello")
    desk.server.faults = [Fault("/one", "lost")]
    with pytest.raises(OutcomeUnknown):
        await desk.submit(session, "Hello")


async def test_a_busy_service_is_left_alone_and_the_route_has_no_service_meanwhile(desk: Desk) -> None:
    session = await desk.open()
    desk.run(session)
    desk.server.faults = [Fault("/one", 429, headers={"Retry-After": "0.3"})]
    with pytest.raises(NotReady):
        await desk.submit(session)
    assert desk.links()[-1].link.registration is Registration.SEARCHING
    assert "no more requests" in (desk.links()[-1].link.problem or "")
    await desk.until(lambda: session.link.registration is Registration.HOME)
    assert session.link.problem is None
    await desk.submit(session)


async def test_a_session_ends_when_the_service_is_gone_or_the_key_is_revoked(desk: Desk) -> None:
    session = await desk.open(account_refresh_s=0.1)
    task = desk.run(session)
    desk.server.faults = [Fault("/services", 401)]
    with pytest.raises(SessionLost, match="key"):
        async with asyncio.timeout(30):
            await task
    session = await desk.open(account_refresh_s=0.1)
    task = desk.run(session)
    await desk.server.http.close()
    with pytest.raises(SessionLost, match="cannot be reached"):
        async with asyncio.timeout(30):
            await task


async def test_without_status_reports_nothing_is_kept_or_asked(desk: Desk) -> None:
    session = await desk.open(reports=False)
    desk.run(session)
    await desk.submit(session)
    assert desk.memory.facts == {}
    with pytest.raises(DriverError):
        await session.terminal("AT", 1)


async def test_what_is_kept_survives_and_many_are_spread(desk: Desk) -> None:
    ledger = Ledger(desk.memory, "key")
    made = [await ledger.intend(f"+90555{n:07}", "text", n) for n in range(100)]
    for entry in made[:50]:
        await ledger.found(entry.number, f"id-{entry.number}")
    again = Ledger(desk.memory, "key")
    await again.load()
    assert again.entries() == ledger.entries() and len(desk.memory.facts) > 10
    for entry in made:
        await again.drop(entry.number)
    assert desk.memory.facts == {}


@pytest.mark.parametrize(
    "keys",
    [
        {"base_url": "ftp://x"}, {"base_url": "https://x?y"}, {"send_path": "no-slash"}, {"items_path": "/x"},
        {"api_key": None}, {"api_key_file": "/x"}, {"poll_first_s": 0},
    ],
)  # fmt: skip
def test_settings_that_cannot_work_are_refused(keys: dict[str, Any]) -> None:
    from pydantic import TypeAdapter, ValidationError

    good = {"base_url": "https://x/", "api_key": "k"}
    assert TypeAdapter(YazsanaSettings).validate_python(good).base_url == "https://x"
    with pytest.raises(ValidationError):
        TypeAdapter(YazsanaSettings).validate_python({**good, **keys})
