"""SMSGate's official Python client, unchanged, against a running daemon with a simulated modem: every call it has.

The daemon is a process of its own, the modem an emulated one on a pty; both forms of the client, and both spellings of
the API. The finer points of each answer are in tests/upstreams/local/test_smsgate_client.py.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from android_sms_gateway import APIClient, AsyncAPIClient, Encryptor, ahttp, domain, enums, errors
from android_sms_gateway import http as client_http

from agent import e2e
from tests.prove.local_server_operations import KEY, serving
from tests.prove.measured import Figures

_TO = ("+998901234567", "+998901234568")
_PASSPHRASE = "correct horse battery staple"
_PATIENCE_S = 20.0

# The reference's vectors: (passphrase, value, clear); the first is the client's own test.
_VECTORS = (
    ("passphrase", "$aes-256-cbc/pbkdf2-sha1$i=75000$obSTW6ittQvTtdAxonQKIw==$g3QFAC9CtBcPxoKlouqsyQ==", "hello"),
    ("passphrase", "$aes-256-cbc/pbkdf2-sha1$i=1000$AAECAwQFBgcICQoLDA0ODw==$3lA2PIN8VBJuGrcAtVHykw==", "+19162255887"),
)
Call = Callable[..., Awaitable[Any]]


class _AsyncHttp(ahttp.HttpxAsyncHttpClient):
    """4.3.3's asynchronous `refresh_token` leaves out the payload that its own HTTP insists on."""

    async def post(self, url: str, payload: Any = None, *, headers: Any = None) -> Any:
        return await super().post(url, payload, headers=headers)


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Both forms; the short one has the asynchronous form as of a phone only."""
    for passphrase, value, clear in _VECTORS:
        client = Encryptor(passphrase)
        sealed = e2e.encrypt(clear, passphrase)
        both = (e2e.decrypt(value, passphrase), client.decrypt(sealed), e2e.decrypt(client.encrypt(clear), passphrase))
        figures.expect(f"vector of {clear!r}, read by us and by the client", both, set(both) == {clear})
    forms = [("as of a phone, asynchronous", "", _asynchronous)]
    if not short:
        forms.append(("as of a server, synchronous", "/3rdparty/v1", _synchronous))
    for name, prefix, run in forms:
        place = directory / run.__name__
        place.mkdir(parents=True)
        with serving(place) as (http, _, _):
            called = asyncio.run(run(f"{str(http.base_url).rstrip('/')}{prefix}"))
        figures.expect(f"calls that work, {name}", f"{len(called)} of {len(_methods())}", called == _methods())


def _methods() -> set[str]:
    return {name for name, _ in inspect.getmembers(AsyncAPIClient, inspect.isfunction) if not name.startswith("_")}


async def _asynchronous(base_url: str) -> set[str]:
    called: set[str] = set()
    async with _AsyncHttp() as http:

        async def call(name: str, *args: Any, encryptor: Any = None, **more: Any) -> Any:
            called.add(name)
            client = AsyncAPIClient("anybody", KEY, base_url=base_url, encryptor=encryptor, http_client=http)
            return await getattr(client, name)(*args, **more)

        await _everything(call)
    return called


async def _synchronous(base_url: str) -> set[str]:
    called: set[str] = set()
    with client_http.HttpxHttpClient() as http:

        async def call(name: str, *args: Any, encryptor: Any = None, **more: Any) -> Any:
            called.add(name)
            client = APIClient("anybody", KEY, base_url=base_url, encryptor=encryptor, http=http)
            return await asyncio.to_thread(getattr(client, name), *args, **more)

        await _everything(call)
    return called


async def _everything(call: Call) -> None:
    """Each call once at least. Raises: AssertionError; what the client raises."""
    far = datetime.now(UTC) + timedelta(hours=1)
    text = domain.TextMessage("Hello ☂")
    await call("send", domain.Message(id="one", phone_numbers=list(_TO), text_message=text, ttl=600))
    found = await _until(call, "one", enums.ProcessState.Delivered)
    assert {one.state for one in found.recipients} == {enums.ProcessState.Delivered}, found
    await call("patch_settings", domain.DeviceSettings(encryption=domain.SettingsEncryption(_PASSPHRASE)))
    encryptor = Encryptor(_PASSPHRASE, iterations=1000)
    sealed = domain.Message(id="sealed", phone_numbers=list(_TO), text_message=text)
    sent = await call("send", sealed, encryptor=encryptor)
    assert [one.phone_number for one in sent.recipients] == list(_TO), sent
    await _until(call, "sealed", enums.ProcessState.Delivered, encryptor=encryptor)
    listed = await call("get_messages", pagination=domain.QueryPagination(limit=1), encryptor=encryptor)
    assert [one.id for one in listed] == ["sealed"], listed
    await call("patch_settings", domain.DeviceSettings(messages=domain.SettingsMessages(send_interval_min=86_400)))
    await call("send", domain.Message(id="waits", phone_numbers=list(_TO), text_message=text, valid_until=far))
    await call("cancel_message", "waits")
    await _until(call, "waits", enums.ProcessState.Cancelled)
    await call("update_settings", domain.DeviceSettings())
    assert (await call("get_settings")).messages is None
    (device,) = await call("list_devices")
    await _refused(call("remove_device", device.id), 400)
    made = await call("create_webhook", domain.Webhook(None, "http://127.0.0.1:9/x", enums.WebhookEvent.SMS_RECEIVED))
    assert [one.id for one in await call("get_webhooks")] == [made.id]
    await call("delete_webhook", made.id)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert await call("refresh_inbox", domain.InboxRefreshRequest(since, far)) == {}
    assert await call("export_inbox", domain.MessagesExportRequest(device.id, since, far)) == {}
    assert await call("list_inbox_messages") == []
    await _refused(call("download_attachment", "none", 1), 404)
    token = await call("generate_token", domain.TokenRequest(["messages:read"], ttl=60))
    renewed = await call("refresh_token", token.refresh_token)
    await _refused(call("refresh_token", token.refresh_token), 401)
    await call("revoke_token", renewed.id)
    assert await call("get_logs")
    for name in ("health_check", "readiness_check", "liveness_check", "startup_check"):
        assert (await call(name)).status is enums.HealthStatus.PASS, name


async def _until(call: Call, key: str, state: enums.ProcessState, **more: Any) -> Any:
    async with asyncio.timeout(_PATIENCE_S):
        while (found := await call("get_state", key, **more)).state is not state:
            await asyncio.sleep(0.05)
    return found


async def _refused(answer: Awaitable[Any], status: int) -> None:
    try:
        await answer
    except errors.APIError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError(f"it was taken, and should be {status}")
