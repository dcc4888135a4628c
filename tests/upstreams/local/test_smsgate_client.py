"""SMSGate's official Python client, unchanged, against our server: every call that it has, both its forms."""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from android_sms_gateway import AsyncAPIClient, Encryptor, ahttp, domain, enums, errors
from android_sms_gateway import http as client_http
from android_sms_gateway.client import APIClient

from agent.hook_call import smsgate_signature
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import KEY, Receiver, Rig


class AsyncHttp(ahttp.HttpxAsyncHttpClient):
    """The client's own, but for a fault of 4.3.3: its asynchronous `refresh_token` posts without the payload that its
    own HTTP insists on, so it works with no server; the synchronous one has a default."""

    async def post(self, url: str, payload: Any = None, *, headers: Any = None) -> Any:
        return await super().post(url, payload, headers=headers)


_FORMS: dict[str, Any] = {
    "async": AsyncHttp, "requests": client_http.RequestsHttpClient,
    "httpx": client_http.HttpxHttpClient,
}  # fmt: skip
TO, OTHER = "+998901234567", "+998907654321"
PASSPHRASE = "correct horse"


class Client:
    """One client of either form, on one connection; `called` has the names of its methods that were used."""

    def __init__(self, rig: Rig, prefix: str, form: str) -> None:
        self._base_url = f"{rig.address}{prefix}"
        self._form = form
        self.is_phone = not prefix
        self._http = _FORMS[form]()
        self.called: set[str] = set()

    async def __aenter__(self) -> Client:
        await (self._http.__aenter__() if self._form == "async" else asyncio.to_thread(self._http.__enter__))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._form == "async":
            await self._http.__aexit__(None, None, None)
        else:
            self._http.__exit__(None, None, None)

    async def __call__(self, name: str, *args: Any, **more: Any) -> Any:
        return await self.as_("anybody", KEY, name, *args, **more)

    async def as_(self, login: str | None, password: str, name: str, *args: Any, **more: Any) -> Any:
        """One call with other credentials."""
        self.called.add(name)
        keys: dict[str, Any] = {"base_url": self._base_url, "encryptor": more.pop("encryptor", None)}
        if self._form == "async":
            return await getattr(AsyncAPIClient(login, password, http_client=self._http, **keys), name)(*args, **more)
        client = APIClient(login, password, http=self._http, **keys)
        return await asyncio.to_thread(getattr(client, name), *args, **more)

    async def until(self, key: str, state: enums.ProcessState) -> domain.MessageState:
        async with asyncio.timeout(30):
            while (found := await self("get_state", key)).state is not state:
                await asyncio.sleep(0.02)
        assert isinstance(found, domain.MessageState)
        return found


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        running = Rig(box, passphrase=PASSPHRASE)
        await running.start()
        yield running
        await running.stop()


@pytest.mark.parametrize(
    ("prefix", "form"),
    [("", "async"), ("/3rdparty/v1", "requests"), ("/api/3rdparty/v1", "httpx")],
    ids=["phone async", "server requests", "server below /api httpx"],
)
async def test_every_call_of_the_official_client(rig: Rig, receiver: Receiver, prefix: str, form: str) -> None:
    async with Client(rig, prefix, form) as client:
        for part in (_messages, _inbox, _webhooks, _tokens, _the_rest):
            await part(client, rig, receiver)
    methods = {name for name, _ in inspect.getmembers(AsyncAPIClient, inspect.isfunction) if not name.startswith("_")}
    assert len(methods) == 24
    assert client.called == methods


def _status(error: BaseException) -> int | None:
    found = error.response.status_code if isinstance(error, requests.HTTPError) else getattr(error, "status_code", None)
    return None if found is None else int(found)


async def _messages(client: Client, rig: Rig, _: Receiver) -> None:
    far = datetime.now(UTC) + timedelta(days=1)
    sent = await client(
        "send",
        domain.Message(
            id="order-1", phone_numbers=[TO, OTHER], text_message=domain.TextMessage("Hello"), sim_number=1, ttl=60,
            priority=enums.MessagePriority.BYPASS_THRESHOLD,
        ),
        device_active_within=12,
    )  # fmt: skip
    assert (sent.id, sent.is_encrypted, sent.is_hashed) == ("order-1", False, False)
    assert [one.phone_number for one in sent.recipients] == [TO, OTHER]
    found = await client.until("order-1", enums.ProcessState.Sent)
    assert found.states is not None and {"Pending", "Sent"} <= set(found.states)
    assert found.created_at is not None and found.created_at.tzinfo is not None
    await rig.deliver(1, TO)
    await rig.deliver(2, OTHER)
    found = await client.until("order-1", enums.ProcessState.Delivered)
    assert {one.state for one in found.recipients} == {enums.ProcessState.Delivered}
    with pytest.raises(errors.APIError) as taken:
        await client("send", domain.Message(id="order-1", phone_numbers=[TO], text_message=domain.TextMessage("x")))
    assert taken.value.status_code == 409
    assert rig.modem.texts() == ["Hello", "Hello"]
    await client(
        "send",
        domain.Message(
            id="data-1", phone_numbers=["12345"], data_message=domain.DataMessage.with_bytes(b"\x00\xff", 53739),
            with_delivery_report=False, valid_until=far,
        ),
        skip_phone_validation=True,
    )  # fmt: skip
    await client.until("data-1", enums.ProcessState.Sent)
    assert rig.modem.sent[-1][1].status_report is False
    await client("send", domain.Message(id="bad", phone_numbers=["x"], text_message=domain.TextMessage("x")),
                 skip_phone_validation=True)  # fmt: skip
    assert (await client.until("bad", enums.ProcessState.Failed)).recipients[0].error
    with pytest.raises(errors.BadRequestError):
        await client("send", domain.Message(phone_numbers=["x"], text_message=domain.TextMessage("x")))
    await rig.box.gateway.pause("a", is_paused=True)
    await client("send", domain.Message(id="waits", phone_numbers=[TO], text_message=domain.TextMessage("later")))
    await client("cancel_message", "waits")
    await client.until("waits", enums.ProcessState.Cancelled)
    # The one on requests lets its library's error through where it deletes.
    with pytest.raises((errors.APIError, requests.HTTPError)) as late:
        await client("cancel_message", "waits")
    assert _status(late.value) == (400 if client.is_phone else 409)
    with pytest.raises(errors.NotFoundError):
        await client("get_state", "nowhere")
    await rig.box.gateway.pause("a", is_paused=False)
    listed = await client(
        "get_messages",
        query=domain.MessagesQueryFilter(from_=datetime.now(UTC) - timedelta(hours=1), to=far, state="Delivered"),
        pagination=domain.QueryPagination(limit=10, offset=0),
        sort="created_at",
    )
    assert [one.id for one in listed] == ["order-1"]
    assert [one.id for one in await client("get_messages")] == ["waits", "bad", "data-1", "order-1"]
    await _encrypted(client, rig)


async def _encrypted(client: Client, rig: Rig) -> None:
    encryptor = Encryptor(PASSPHRASE, iterations=1000)
    message = domain.Message(id="sealed", phone_numbers=[TO, OTHER], text_message=domain.TextMessage("secret ☂"))
    sent = await client("send", message, encryptor=encryptor)
    assert [one.phone_number for one in sent.recipients] == [TO, OTHER]
    async with asyncio.timeout(30):
        while rig.modem.texts().count("secret ☂") < 2:
            await asyncio.sleep(0.01)
    listed = await client("get_messages", pagination=domain.QueryPagination(limit=1), encryptor=encryptor)
    assert [one.phone_number for one in listed[0].recipients] == [TO, OTHER]
    raw = (await rig.api("GET", "/messages/sealed"))[1]
    assert raw["isEncrypted"] is True and raw["textMessage"]["text"].startswith("$aes-256-cbc/")
    assert all(one["phoneNumber"].startswith("$aes-256-cbc/") for one in raw["recipients"])


async def _inbox(client: Client, rig: Rig, receiver: Receiver) -> None:
    await client("create_webhook", domain.Webhook("in", receiver.url("/in"), enums.WebhookEvent.SMS_RECEIVED))
    await rig.receive("Hi there", TO)
    ((_, told),) = await receiver.until(1)
    assert told["payload"]["message"] == "Hi there"
    since, until = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    (device,) = await client("list_devices")
    assert await client("refresh_inbox", domain.InboxRefreshRequest(since, until)) == {}
    await receiver.until(2)
    assert await client("export_inbox", domain.MessagesExportRequest(device.id, since, until)) == {}
    got = await receiver.until(3)
    assert {body["payload"]["messageId"] for _, body in got} == {told["payload"]["messageId"]}
    assert len({body["id"] for _, body in got}) == 3
    await client(
        "refresh_inbox", domain.InboxRefreshRequest(since, until, webhook_delivery=enums.WebhookDelivery.DISABLED)
    )
    found = await client(
        "list_inbox_messages",
        inbox_filter=domain.InboxQueryFilter(message_type="SMS", from_=since, to=until, device_id=device.id,
                                             include_attachments=True),
        pagination=domain.QueryPagination(limit=500),
    )  # fmt: skip
    assert [(one.id, one.sender, one.content_preview, one.sim_number) for one in found] == [
        (told["payload"]["messageId"], TO, "Hi there", 1)
    ]
    with pytest.raises(errors.NotFoundError):
        await client("download_attachment", found[0].id, 1)
    await client("delete_webhook", "in")
    assert len(receiver.got) == 3


async def _webhooks(client: Client, rig: Rig, receiver: Receiver) -> None:
    made = await client("create_webhook", domain.Webhook(None, receiver.url("/sent"), enums.WebhookEvent.SMS_SENT))
    assert made.id and [one.id for one in await client("get_webhooks")] == [made.id]
    await client("patch_settings", domain.DeviceSettings(webhooks=domain.SettingsWebhooks(signing_key="my key")))
    await client("send", domain.Message(id="hooked", phone_numbers=[TO], text_message=domain.TextMessage("x")))
    path, body = (await receiver.until(len(receiver.got) + 1))[-1]
    assert (path, body["event"], body["webhookId"]) == ("/sent", "sms:sent", made.id)
    payload = body["payload"]
    assert (payload["messageId"], payload["recipient"], payload["partsCount"]) == ("hooked", TO, 1)
    headers = receiver.headers[-1]
    assert headers["x-signature"] == smsgate_signature("my key", int(headers["x-timestamp"]), receiver.raw[-1])
    await client("delete_webhook", made.id)
    assert await client("get_webhooks") == []
    with pytest.raises((errors.APIError, requests.HTTPError)):
        await client("delete_webhook", made.id)


async def _tokens(client: Client, rig: Rig, _: Receiver) -> None:
    made = await client("generate_token", domain.TokenRequest(["messages:read", "tokens:manage"], ttl=3600))
    assert made.token_type == "Bearer" and made.refresh_token
    assert (await client.as_(None, made.access_token, "get_state", "hooked")).id == "hooked"
    with pytest.raises(errors.ForbiddenError):
        await client.as_(None, made.access_token, "get_webhooks")
    renewed = await client("refresh_token", made.refresh_token)
    with pytest.raises(errors.UnauthorizedError):
        await client("refresh_token", made.refresh_token)
    assert (await client.as_(None, renewed.access_token, "get_state", "hooked")).id == "hooked"
    await client("revoke_token", renewed.id)
    with pytest.raises(errors.UnauthorizedError):
        await client.as_(None, renewed.access_token, "get_state", "hooked")
    with pytest.raises(errors.UnauthorizedError):
        await client("refresh_token", renewed.refresh_token)
    with pytest.raises(errors.UnauthorizedError):
        await client.as_("anybody", "wrong", "get_webhooks")
    # A key does as a Bearer, too.
    assert await client.as_(None, KEY, "get_webhooks") == []


async def _the_rest(client: Client, rig: Rig, _: Receiver) -> None:
    agent = await rig.agent("pi-2")
    devices = await client("list_devices")
    assert [one.name for one in devices] == [rig.box.settings.device_name, "Pi 2"]
    assert devices[0].last_seen is not None
    await client("remove_device", "pi-2")
    assert agent and len(await client("list_devices")) == 1
    with pytest.raises((errors.APIError, requests.HTTPError)):
        await client("remove_device", devices[0].id)
    whole = domain.DeviceSettings(
        messages=domain.SettingsMessages(
            limit_period=enums.LimitPeriod.PER_DAY, limit_value=100, send_interval_min=1, send_interval_max=3,
            sim_selection_mode=enums.SimSelectionMode.ROUND_ROBIN,
        ),
        logs=domain.SettingsLogs(lifetime_days=7),
    )  # fmt: skip
    await client("update_settings", whole)
    assert await client("get_settings") == whole
    assert (await rig.box.gateway.device("local")).send_delay_s == 1.0
    await client("patch_settings", domain.DeviceSettings(ping=domain.SettingsPing(interval_seconds=3600)))
    assert (await client("get_settings")).logs == whole.logs
    await client("update_settings", domain.DeviceSettings())
    logs = await client("get_logs", from_="2020-01-01T00:00:00Z", to="2099-01-01T00:00:00+02:00")
    assert {one.priority for one in logs} >= {enums.LogEntryPriority.INFO}
    for name in ("health_check", "liveness_check", "readiness_check", "startup_check"):
        assert (await client(name)).status in (enums.HealthStatus.PASS, enums.HealthStatus.WARN)


async def test_the_lines_of_the_documentation_work_as_they_stand(rig: Rig, tmp_path: Path) -> None:
    text = (Path(__file__).parents[3] / "docs" / "smsgate-client.md").read_text()
    (lines,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    script = tmp_path / "lines.py"
    script.write_text(lines.replace("http://127.0.0.1:8080", rig.address))
    environment = {**os.environ, "PHONEBRIDGE_KEY": KEY}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    assert b"ProcessState." in printed
    async with asyncio.timeout(30):
        while rig.modem.texts() != ["Hello"]:
            await asyncio.sleep(0.01)
