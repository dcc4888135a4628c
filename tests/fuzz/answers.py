"""What other servers answer, octet by octet, through the real clients over a socket: those of MobSMS, SMSGate and
Yazsana, and the call of a webhook. What becomes a message is accepted by a real gateway.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from agent.hook_call import Caller, Letter
from agent.upstreams.api import LaneBusy, UpstreamDown
from agent.upstreams.mobsms import client as mobsms
from agent.upstreams.mobsms import rows
from agent.upstreams.smsgate import rows as smsgate_rows
from agent.upstreams.smsgate.credentials import Device
from agent.upstreams.smsgate.device import DeviceLoop
from agent.upstreams.smsgate.settings import SmsGateSettings
from agent.upstreams.smsgate.shared import Shared
from agent.upstreams.wire import tls_context
from drivers.yazsana import client as yazsana
from drivers.yazsana import rows as yazsana_rows
from tests.fuzz import own
from tests.fuzz.engine import Ready, Target
from tests.fuzz.own import Own

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_TIMEOUT_S = 5.0
_DEVICE = rows.Device(1, None, 0.0, None, True)


def _raw(*lines: str) -> bytes:
    """An answer with plain line ends."""
    return "\n".join(lines).encode()


class _Peer:
    """Answers whatever it is asked with the same octets, and hangs up."""

    def __init__(self) -> None:
        self.answer = b""
        self.address = ""

    @contextmanager
    def serving(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        server = loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield
        finally:
            server.close()
            loop.run_until_complete(server.wait_closed())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            if length := _LENGTH.search(head):
                await reader.readexactly(int(length[1]))
            writer.write(self.answer)
            writer.close()
            await writer.wait_closed()


@contextmanager
def _asked(ask: Callable[[Own, str], Awaitable[None]], corpus: tuple[bytes, ...], *upstreams: str) -> Iterator[Ready]:
    peer = _Peer()
    with own.gateway(*upstreams) as there, peer.serving(there.loop):

        def execute(data: bytes) -> None:
            peer.answer = _of_http(data)
            there.run(_in_time(ask(there, peer.address)))

        yield Ready(execute, (*corpus, *_SHARED))


async def _in_time(asking: Awaitable[None]) -> None:
    """The peer is never late, so that whoever waits for longer waits for nothing."""
    async with asyncio.timeout(4 * _TIMEOUT_S):
        await asking


def _of_http(data: bytes) -> bytes:
    """Recorded answers stand with plain line ends; a head that has none of HTTP's gets them."""
    head, blank, body = data.partition(b"\n\n")
    return data if b"\r\n" in head or not blank else head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body


# --- who asks ---------------------------------------------------------------------------------------


async def _mobsms(there: Own, address: str) -> None:
    client = mobsms.Client(address, "1|key", ca_file=None, timeout_s=_TIMEOUT_S, concurrency=1)
    try:
        with suppress(UpstreamDown):
            answer = await client.ask("GET", "/api/devices")
            with suppress(rows.Malformed):
                rows.own_device(rows.devices(answer.data), "phonebridge")
            with suppress(rows.Malformed):
                jobs = rows.pending(rows.page(answer.data).rows, _DEVICE, "phonebridge").jobs
                await there.gateway.accept("mobsms", jobs)
            str(client.refusal(answer, "GET", "/api/devices"))
        with suppress(UpstreamDown):
            await client.listen("/api/devices/1/events", lambda name: None, silence_s=_TIMEOUT_S)
        with suppress(LaneBusy):
            await client.post_outside(address, {"event": "incoming"})
    finally:
        await client.close()


async def _smsgate(there: Own, address: str) -> None:
    settings = SmsGateSettings(
        type="smsgate", base_url=f"{address}/mobile/v1", register="anonymous", timeout_s=_TIMEOUT_S
    )
    shared = Shared(settings, there.gateway, "smsgate", "smsgate")
    device = Device("device", "token", None, 0)
    shared.credentials._devices[0] = device
    life = DeviceLoop(shared, 0, lambda: True)
    client = shared.client
    try:
        # Everything that it asks for is answered with this: the list, the settings, the webhooks.
        for step in (life._look, life._settings, life._webhooks):
            with suppress(UpstreamDown):
                await step(device)
        with suppress(UpstreamDown, smsgate_rows.Malformed):
            smsgate_rows.registration((await client.ask("POST", "/device", body={})).document)
        with suppress(UpstreamDown):
            await client.listen("/events", "Bearer x", lambda: None, life._heard, silence_s=_TIMEOUT_S)
        while life._cancels:
            await life._pull.cancel(f"device:{life._cancels.popleft()}")
        while life._exports:
            await life._export.run(life._exports.popleft(), device.id, {})
    finally:
        await client.close()


async def _yazsana(there: Own, address: str) -> None:
    client = yazsana.Client(address, "key", None, tls=tls_context(None), timeout_s=_TIMEOUT_S)
    try:
        with suppress(yazsana.Fault):
            await client.post("/sms-sendings/one", {"to": "905550000000"})
        with suppress(yazsana.Fault):
            data = await client.get("/sms-sendings", page=0)
            for read in (
                yazsana_rows.user_id, yazsana_rows.services, yazsana_rows.organisations, yazsana_rows.sending_id,
                yazsana_rows.sendings, yazsana_rows.items,
            ):  # fmt: skip
                with suppress(yazsana_rows.Malformed):
                    read(data)
        client.server_ms()
    finally:
        await client.close()


async def _hook(there: Own, address: str) -> None:
    outcome = await Caller().call(Letter(1, 1, f"{address}/hook", "{}", "secret", is_owner=True), 0)
    # It goes into the journal as it is.
    f"{outcome.error}{outcome.answer}".encode()


# --- what they are told -----------------------------------------------------------------------------

_OK, _STREAM = "HTTP/1.1 200 OK\nContent-Type: application/json\n", "HTTP/1.1 200 OK\nContent-Type: text/event-stream\n"
_SHARED = (
    _raw("HTTP/1.1 401 Unauthorized", "", '{"message": "Unauthenticated."}'),
    _raw("HTTP/1.1 429 Too Many", "Retry-After: 3", "X-RateLimit-Limit: 60", "X-RateLimit-Remaining: 0", "", "{}"),
    _raw(
        "HTTP/1.1 503 Busy", "Retry-After: Wed, 25 Nov 2026 10:00:00 GMT", "Date: Wed, 25 Nov 2026 09:59:00 GMT", "", ""
    ),
    _raw("HTTP/1.1 302 Found", "Location: http://portal.example/login?next=/", "", "<html>"),
    _raw("HTTP/1.1 200 OK", "Content-Encoding: gzip", "Transfer-Encoding: chunked", "", "5", "hello", "0", "", ""),
    _raw("HTTP/1.1 404 Not Found", "", '{"message": "No query results for model [Sms]."}'),
    _raw("HTTP/1.1 204 No Content", "Content-Length: 0", "", ""),
)
_MOBSMS = (
    _raw(_OK, '{"success": true, "data": [{"id": 1, "device_id": "phonebridge", "send_delay_seconds": 3,'
         '"default_sim_slot": 0, "is_active": true}], "message": null}'),
    _raw(_OK, '{"data": {"data": [{"id": 7, "recipient_number": "+491701234567", "message": "hi", "device_id": 1,'
         '"status": "pending", "direction": "outbound", "created_at": "2026-11-25T10:00:00.000000Z", "priority": 9,'
         '"valid_for_s": 60, "sim_slot": 1}], "total": 51, "per_page": 50}}'),
    _raw(_STREAM, ": keep", "", "event: message", "id: 1", "retry: 10", 'data: {"id": 7}', "", ""),
    _raw("HTTP/1.1 403 Forbidden", "", '{"upgrade": true, "message": "Premium"}'),
)  # fmt: skip
_SMSGATE = (
    _raw(_OK, '[{"id": "m1", "phoneNumbers": ["+491701234567", "+491701234568"], "textMessage": {"text": "hi"},'
         '"simNumber": 1, "priority": 0, "withDeliveryReport": true, "ttl": 3600, "isEncrypted": false,'
         '"validUntil": "2026-11-25T10:00:00Z", "scheduleAt": "2026-11-25T10:00:00+01:00",'
         '"createdAt": "2026-11-25T09:00:00.000Z", "state": "Pending"}]'),
    _raw(_OK, '[{"id": "m2", "phoneNumbers": ["112"], "dataMessage": {"data": "AQID", "port": 53739}, "priority": 100},'
         '{"id": "m3", "phoneNumbers": ["112"], "message": "x", "state": "Cancelling"}]'),
    _raw(_OK, '{"messages": {"send_interval_min": 1, "send_interval_max": 5.5, "limit_period": "PerHour",'
         '"limit_value": 100, "sim_selection_mode": "RoundRobin", "work_hours_enabled": true,'
         '"work_hours_start": "08:00", "work_hours_end": "20:00"}, "ping": {"interval_seconds": 60},'
         '"webhooks": {"retry_count": 3, "signing_key": "k"}, "encryption": {"passphrase": "p"}}'),
    _raw(_OK, '[{"id": "w", "url": "https://example.com/h", "event": "sms:received", "deviceId": null}]'),
    _raw(_OK, '{"id": "d", "token": "t", "login": "L", "password": "P"}'),
    _raw(_STREAM, ":keepalive", "", "event: MessageCancelled", 'data: {"messageId": "m1"}', "",
         "event: MessagesExportRequested", 'data: {"since": "2026-11-01T00:00:00Z", "until": "2026-11-25T00:00:00Z",'
         '"messageTypes": "SMS,DATA_SMS", "webhookDelivery": "Batch"}', "", "event: SettingsUpdated", "data:", "", ""),
)  # fmt: skip
_YAZSANA = (
    _raw(_OK + "Date: Wed, 25 Nov 2026 09:59:00 GMT", "", '{"success": true, "data": {"id": "u", "username": "a"}}'),
    _raw(_OK, '[{"id": "s1", "name": "BobSMS", "type": "sms", "currency": "USD", "unitPrice": "1.000000"}]'),
    _raw(_OK, '{"success": true, "data": {"items": [{"id": "a", "sampleMessageText": "x",'
         '"createdAt": "2026-11-25T10:00:00.000Z"}], "total": 1, "page": 0, "limit": 10, "totalPages": 1}}'),
    _raw(_OK, '{"success": true, "data": [{"id": "i", "to": "905550000000", "message": "x", "status": "sent",'
         '"network": "n", "refunded": false, "createdAt": "2026-11-25T10:00:00Z"}]}'),
    _raw(_OK, '{"success": true, "data": "0f8fad5b-d9cb-469f-a165-70867728950e"}'),
    _raw("HTTP/1.1 400 Bad", "Retry-After: 9", "", '{"success": false, "message": "insufficient credit"}'),
)  # fmt: skip

TARGETS: dict[str, Target] = {
    "mobsms-server": partial(_asked, _mobsms, _MOBSMS, "mobsms"),
    "smsgate-server": partial(_asked, _smsgate, _SMSGATE, "smsgate"),
    "yazsana-server": partial(_asked, _yazsana, _YAZSANA),
    "hook-answer": partial(_asked, _hook, ()),
}
