"""Whatever the server answers: one clear sentence, no storm, nothing lost, nothing sent twice."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.mobsms_server.process import MobSmsServer, make_certificates
from tests.upstreams.mobsms.conftest import Start, all_told, of, told, until

NO_ROUTE = '{"message": "The route x could not be found."}'
NO_LIST = '{"success": true, "data": {"data": 7}}'

LIST_FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "premium": ({"kind": "status", "status": 403}, ""),
    "wrong base_url": ({"kind": "status", "status": 404, "body": NO_ROUTE}, "base_url"),
    "proxy 404": ({"kind": "status", "status": 404, "body": "<html>404 Not Found</html>"}, "base_url"),
    "validation": ({"kind": "status", "status": 422}, "422"),
    "too many": ({"kind": "status", "status": 429, "retry_after_s": 1}, "429"),
    "server error": ({"kind": "status", "status": 500}, "500"),
    "bad gateway": ({"kind": "status", "status": 502}, "502"),
    "captive portal": ({"kind": "html"}, "captive portal"),
    "half json": ({"kind": "half_json"}, "not its API"),
    "no list": ({"kind": "status", "status": 200, "body": NO_LIST}, "no list of messages"),
    "success false": ({"kind": "status", "status": 200, "body": '{"success": false, "message": "no"}'}, "no"),
    "deep json": ({"kind": "status", "status": 200, "body": "[" * 100_000}, "not its API"),
    "truncated": ({"kind": "truncated"}, "cannot be reached"),
    "reset": ({"kind": "reset"}, "cannot be reached"),
    "closed": ({"kind": "close"}, "cannot be reached"),
    "hang": ({"kind": "hang", "delay_s": 3}, "did not answer within 1 s"),
    "drip": ({"kind": "drip", "delay_s": 8}, "did not answer within 1 s"),
}  # fmt: skip
SLOW = {"premium"}  # a person has to act, so it is asked again only after a minute

REPORT_FAULTS: dict[str, dict[str, Any]] = {
    name: fault for name, (fault, _) in LIST_FAULTS.items() if name not in ("validation", "no list", *SLOW)
}


def _timeout_s(fault: dict[str, Any]) -> float:
    """The others answer, but on a busy machine not within a second."""
    return 1 if fault["kind"] in ("hang", "drip") else 20


async def test_every_fault_of_the_list_is_a_sentence_and_passes(server: MobSmsServer, start: Start) -> None:
    async def one(name: str, fault: dict[str, Any], sentence: str) -> None:
        row = server.add_device(f"list {name}")
        server.fault(**fault, count=1, path=rf"/api/sms\?.*device_id={row['id']}&.*")
        (number,) = server.enqueue(1, device=row["id"])
        rig = await start(device_id=f"list {name}", directory=f"list {name}", timeout_s=_timeout_s(fault))
        await until(lambda: rig.problem)
        assert sentence in rig.problem, name
        assert "\n" not in rig.problem and len(rig.problem) < 400
        if name in SLOW:
            assert rig.modem.sent == []
            return
        await until(lambda: told(server, number) == ["sent"], 12)
        assert (rig.problem, len(rig.modem.sent)) == ("", 1), name

    await asyncio.gather(*(one(name, fault, sentence) for name, (fault, sentence) in LIST_FAULTS.items()))


async def test_every_fault_of_a_report_is_retried_until_it_is_told(server: MobSmsServer, start: Start) -> None:
    async def one(name: str, fault: dict[str, Any]) -> None:
        row = server.add_device(f"report {name}")
        (number,) = server.enqueue(1, device=row["id"])
        server.fault(**fault, count=1, method="PUT", path=f"/api/sms/{number}")
        rig = await start(device_id=f"report {name}", directory=f"report {name}", timeout_s=_timeout_s(fault))
        await until(lambda: told(server, number)[-1:] == ["sent"] and rig.feed.waiting == 0, 30)
        assert set(told(server, number)) == {"sent"}
        assert len(rig.modem.sent) == 1, name
        assert rig.feed.parked == 0 and rig.feed.problem is None, name

    await asyncio.gather(*(one(name, fault) for name, fault in REPORT_FAULTS.items()))


async def test_a_wrong_key_is_asked_for_once_and_then_left_alone(
    server: MobSmsServer, device: str, start: Start
) -> None:
    before = len(server.log("request"))
    rig = await start(key="2|wrong-key")
    await until(lambda: rig.problem)
    await asyncio.gather(*(rig.upstream.refresh() for _ in range(5)))
    await asyncio.sleep(0.8)
    assert "does not accept our key (401)" in rig.problem and "api_key" in rig.problem
    assert [line["status"] for line in server.log("request")[before:]] == [401]
    assert "wrong-key" not in str(rig.upstream.status()) + rig.upstream.identity()


async def test_a_rate_limit_is_waited_out_and_not_run_into_again(
    server: MobSmsServer, device: str, start: Start
) -> None:
    ids = server.enqueue(5, device=device)
    server.limit(6, window_s=2)
    before = len(server.log("request"))
    rig = await start()
    await until(lambda: len(rig.modem.sent) == 5)
    await until(lambda: any(line["status"] == 429 for line in server.log("request")[before:]))
    await until(lambda: all(states == ["sent"] for states in all_told(server, ids)), 15)
    refused = [line["status"] for line in server.log("request")[before:]].count(429)
    # One per window at most, and those that were already under way.
    assert refused <= 6


async def test_an_outage_stops_no_sending_and_reports_come_later_in_order(
    server: MobSmsServer, device: str, start: Start
) -> None:
    ids = server.enqueue(12, device=device)
    rig = await start()
    rig.modem.radio_s = 0.05
    await until(lambda: rig.modem.sent)
    server.away()
    await until(lambda: len(rig.modem.sent) == 12)
    rows = of(server, device)
    for number in ids:
        await rig.deliver(rows[number]["recipient_number"])
    for number in range(1, 13):
        await rig.box.until(number, "delivered")
    await until(lambda: "cannot be reached" in rig.problem)
    server.back()
    await until(lambda: all(states[-1:] == ["delivered"] for states in all_told(server, ids)), 12)
    for states in all_told(server, ids):
        assert states == sorted(states, key=["sent", "delivered"].index), states
    assert len(rig.modem.sent) == 12


async def test_what_was_deleted_on_the_server_is_done_with(server: MobSmsServer, device: str, start: Start) -> None:
    (number,) = server.enqueue(1, device=device)
    rig = await start()
    rig.modem.radio_s = 0.3
    await until(lambda: rig.modem.sent)
    server.api("DELETE", f"/api/sms/{number}")
    assert await rig.box.until(1, "sent") == "sent"
    await until(lambda: rig.feed.waiting == 0)
    assert rig.feed.problem is None and rig.feed.parked == 0


async def test_a_refused_report_is_parked_and_blocks_nothing(server: MobSmsServer, device: str, start: Start) -> None:
    first, second = server.enqueue(2, device=device)
    server.fault("status", status=422, method="PUT", path=f"/api/sms/{first}")
    rig = await start()
    await until(lambda: told(server, second) == ["sent"] and rig.feed.parked == 1)
    await asyncio.sleep(0.3)
    asked = [line for line in server.log("request") if line["path"] == f"/api/sms/{first}" and line["method"] == "PUT"]
    assert len(asked) == 1


async def test_failures_are_told_in_plain_language(server: MobSmsServer, device: str, start: Start) -> None:
    numbers = server.enqueue(
        messages=[
            {"recipient_number": "call me", "message": "no number"},
            {"recipient_number": "+998901112233", "message": ""},
            {"recipient_number": "+998901112244", "message": "|" * 30},
        ],
        device=device,
    )
    server.enqueue(1, device=device)
    rig = await start()
    await until(lambda: len(rig.modem.sent) == 1)
    await until(lambda: all(states == ["failed"] for states in all_told(server, numbers)))
    rows = of(server, device)
    assert [rows[number]["error_message"] for number in numbers] == [
        '"call me" is not a phone number: 3 to 15 digits with an optional + are',
        "the text is empty",
        "the text needs 31 parts, 25 are allowed",
    ]


async def test_what_is_cancelled_here_is_told_as_failed(server: MobSmsServer, device: str, start: Start) -> None:
    (number,) = server.enqueue(1, device=device)
    rig = await start(has_service=False)
    await until(lambda: rig.upstream.status()["pending"] == 1)
    assert await rig.box.gateway.cancel(1)
    await until(lambda: told(server, number) == ["failed"])
    assert of(server, device)[number]["error_message"] == "cancelled on the gateway"


async def test_a_private_ca_is_trusted_where_it_is_named(tmp_path: Path, start: Start) -> None:
    certificates = make_certificates(tmp_path / "ca")
    with MobSmsServer(tmp_path / "server", certificates=certificates) as server:
        server.add_device("pi")
        server.enqueue(1, device="pi")
        stranger = await start(base_url=server.url, device_id="pi", directory="stranger")
        await until(lambda: "ca_file" in stranger.problem)
        rig = await start(base_url=server.url, device_id="pi", ca_file=certificates.ca)
        await until(lambda: rig.modem.sent and server.counts()["status"].get("sent") == 1)
        assert stranger.modem.sent == []
        await rig.box.stop()
        await stranger.box.stop()


async def test_a_fault_that_stays_is_asked_for_less_and_less(server: MobSmsServer, device: str, start: Start) -> None:
    server.fault("status", status=500, path=r"/api/sms\?.*")
    before = len(server.log("request"))
    rig = await start()
    await asyncio.sleep(3.5)
    asked = [line for line in server.log("request")[before:] if line["path"] == "/api/sms"]
    assert 2 <= len(asked) <= 4
    assert "fault of its own (500)" in rig.problem
