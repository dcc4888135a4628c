"""Ways into an account, credentials in the journal and in no log, and when a device registers again."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.config import ConfigError, parse
from agent.operations import OPERATIONS
from agent.request import Fields, Refused
from agent.upstreams.smsgate import SmsGateUpstream, credentials
from tests.smsgate_server.process import SmsGateServer
from tests.upstreams.smsgate.conftest import Rig, Start, text, until


async def ask(rig: Rig, operation: str, **fields: Any) -> dict[str, Any]:
    """As the CLI asks the daemon."""

    async def tell(_: object) -> None:
        return None

    return await OPERATIONS[operation](rig.box.gateway, Fields(fields), tell)


def of(server: SmsGateServer, device: str) -> dict[str, Any]:
    return next(row for row in server.look()["devices"] if row["id"] == device)


async def test_anonymous_makes_an_account_that_is_kept_over_restarts_and_shown_to_its_owner(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    device = await rig.registered()
    row = of(server, device)
    assert row["pushToken"] is None and row["name"] == rig.box.settings.device_name
    shown = await ask(rig, "smsgate account")
    assert shown["login"] == row["login"] and len(shown["password"]) == 14 and len(shown["signing_key"]) == 32
    await rig.crash()
    assert await rig.registered() == device
    assert (await ask(rig, "smsgate account"))["password"] == shown["password"]
    assert shown["password"] not in f"{rig.facts} {rig.upstream._shared.credentials.account!r}"
    sims = of(server, device)["simCards"]
    assert sims == [{"slotIndex": 0, "simNumber": 1, "iccid": "*" * 15 + "0000"}]


async def test_private_token_is_needed_where_the_server_wants_one(tmp_path: Path, start: Start) -> None:
    with SmsGateServer(tmp_path / "private", private_token="let-me-in") as private:
        wrong = await start(url=private.url, register=None, private_token="no", directory="wrong")
        problem = await until(lambda: wrong.facts["problem"])
        assert "refuses to register this device: 401 (Invalid or expired API Key); check private_token" in problem
        right = await start(url=private.url, register=None, private_token="let-me-in", directory="right")
        await right.registered()
        assert len(private.look()["devices"]) == 1


async def test_login_joins_an_account_from_the_configuration_or_by_the_command(
    server: SmsGateServer, start: Start
) -> None:
    server.control("user", login="OWNER1", password="a-good-password")
    configured = await start(register=None, username="OWNER1", password="a-good-password", directory="a")
    assert of(server, await configured.registered())["login"] == "OWNER1"
    waiting = await start(register=None, directory="b")
    problem = await until(lambda: waiting.facts["problem"])
    assert "not paired" in problem and "phonebridge smsgate login USER" in problem
    with pytest.raises(Refused, match="does not accept this login and password"):
        await ask(waiting, "smsgate login", login="OWNER1", password="wrong")
    await ask(waiting, "smsgate login", login="OWNER1", password="a-good-password")
    assert of(server, await waiting.registered())["login"] == "OWNER1"
    await until(lambda: waiting.facts["problem"] is None)
    # The account's password is known now, so codes for others can be made.
    code = (await ask(waiting, "smsgate code"))["code"]
    third = await start(register=None, directory="c")
    await until(lambda: third.facts["problem"])
    await ask(third, "smsgate code", code=f" {code.upper()} ")
    assert of(server, await third.registered())["login"] == "OWNER1"
    with pytest.raises(Refused, match="does not accept this code"):
        await ask(third, "smsgate code", code=code)
    with pytest.raises(Refused, match="knows no password"):
        await ask(third, "smsgate code")


async def test_a_deleted_device_registers_again_in_its_account_once_and_never_on_a_fault(
    server: SmsGateServer, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = await start()
    device = await rig.registered()
    login = of(server, device)["login"]
    made = len(server.look()["devices"])
    for status in (503, 401):
        server.control("fault", status=status, path="/message")
    server.control("cut")
    await until(lambda: server.look()["requests"].get("GET /device", 0) >= 1, timeout_s=20)
    await until(lambda: rig.facts["problem"] is None and rig.device == device, timeout_s=20)
    assert len(server.look()["devices"]) == made
    # The server deletes it within an hour of its registration: that is waited for.
    server.control("delete_device", id=device)
    server.control("cut")
    await until(lambda: "within an hour" in (rig.facts["problem"] or ""), timeout_s=20)
    monkeypatch.setattr(credentials, "_AGAIN_MS", 0)
    await rig.crash()
    again = await rig.registered()
    assert again != device and of(server, again)["login"] == login
    (id_,) = server.enqueue(text("to the new one"), device=again)
    await until(lambda: server.messages()[id_]["state"] == "Sent")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        pytest.param({"base_url": "https://sms.example"}, "does not end in /mobile/v1", id="path is missing"),
        pytest.param({"register": "token"}, 'register = "token" needs private_token', id="token is missing"),
        pytest.param({"username": "A"}, "username and password .* together", id="password is missing"),
        pytest.param({"private_token": "t", "username": "A", "password": "p"}, "either private_token", id="two ways"),
        pytest.param({"private_token": "t", "register": "anonymous"}, "leave register out", id="contradiction"),
        pytest.param({"passphrse": "x"}, 'did you mean "passphrase"', id="misspelt"),
    ],
)
def test_keys_that_do_not_go_together_are_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    table = {"type": "smsgate", "base_url": "https://api.sms-gate.app/mobile/v1", **keys}
    with pytest.raises(ConfigError, match=sentence):
        parse({"upstream": [table]})


async def test_without_such_an_upstream_the_commands_say_so(start: Start) -> None:
    rig = await start(begin=False)
    rig.box.gateway.pairings.clear()
    with pytest.raises(Refused, match="no upstream of type"):
        await ask(rig, "smsgate account")
    rig.box.gateway.pairings.update(a=rig.upstream, b=rig.upstream)
    with pytest.raises(Refused, match="name one of a, b"):
        await ask(rig, "smsgate account")
    with pytest.raises(Refused, match='no SMSGate upstream "c"'):
        await ask(rig, "smsgate account", upstream="c")


async def test_doctor_sees_whether_the_server_is_one(server: SmsGateServer) -> None:
    async def look(url: str) -> str:
        (settings,) = parse({"upstream": [{"type": "smsgate", "base_url": url}]}).upstreams
        (check,) = await SmsGateUpstream.diagnose(settings, "pi")
        return f"{check.ok} {check.finding}"

    assert "True" in await look(server.url)
    assert "False" in (said := await look(server.url.replace("/api/", "/"))) and "GET /device" in said
    assert "cannot be reached" in await look("http://127.0.0.1:9/mobile/v1")


async def test_a_route_that_comes_later_brings_its_device_along(server: SmsGateServer, start: Start) -> None:
    rig = await start(modems=4, begin=False)
    late = rig.box.gateway.routes.pop("d")
    rig._build(rig.box)
    await rig.start()
    first = await rig.registered()
    assert "," not in first
    rig.box.gateway.routes["d"] = late
    rig.box.tasks.append(asyncio.create_task(late.run()))
    rig.box.gateway.committed()
    await until(lambda: rig.device.count(",") == 1)
    second = rig.device.split(", ")[1]
    assert of(server, second)["login"] == of(server, first)["login"]
