"""Hands received messages to the server, or, where it takes none, to the user's own webhook."""

from __future__ import annotations

import asyncio

import structlog

from agent.clock import iso_utc
from agent.gateway import Gateway
from agent.model import Message
from agent.supervise import backoff_s
from agent.upstreams.api import LaneBusy, LaneRefused
from agent.upstreams.mobsms import rows
from agent.upstreams.mobsms.client import Client
from agent.upstreams.mobsms.offer import Offer
from agent.upstreams.mobsms.rows import Device

_log = structlog.get_logger("mobsms")

_WEBHOOKS = "/api/webhooks"
_ADDRESS_FRESH_S = 180.0
_TARGET_LONGEST_S = 60.0


class InboundDelivery:
    """One per upstream. `where` is the way that the last message took."""

    def __init__(self, client: Client, gateway: Gateway, name: str, device_id: str, path: str) -> None:
        self.where: str | None = None
        self._client = client
        self._gateway = gateway
        self._name = name
        self._device_id = device_id
        self._path = path
        self._endpoint = Offer()
        self._address: str | None = None
        self._address_read_at: float | None = None
        self._no_address_said = False
        self._target_failures = 0
        self._target_due = 0.0
        self._target_sentence = ""

    async def deliver(self, message: Message, device: Device | None) -> None:
        """Returns once somebody has it, or nobody wants it. Raises: DeliveryError."""
        slots = {view.name: view.sim_slot for view in self._gateway.route_views()}
        body = rows.inbound(message, device, self._device_id, slots.get(message.route or ""))
        if not self._endpoint.is_missing() and await self._to_server(body):
            self.where = "server"
            return
        address = await self._webhook()
        if address is None:
            self.where = "nobody"
            if not self._no_address_said:
                self._no_address_said = True
                _log.warning("inbound_wanted_by_nobody", upstream=self._name,
                             reason="the server takes no inbound and has no webhook_url_incoming")  # fmt: skip
            return
        self.where = "webhook"
        now = self._gateway.clock.utc_ms()
        await self._to_webhook(address, {"event": "incoming", "data": body, "timestamp": iso_utc(now)})

    async def _to_server(self, body: dict[str, object]) -> bool:
        """False where the server has no operation for this."""
        answer = await self._client.ask("POST", self._path, body=body)
        if answer.is_ok:
            self._endpoint.found()
            return True
        if answer.is_no_such_path or answer.is_premium_only:
            await self._client.doubt()
            self._endpoint.found_missing()
            _log.info("inbound_by_webhook", upstream=self._name, status=answer.status)
            return False
        if answer.status == 422:
            raise LaneRefused(f"{self._client.host} refuses the inbound message: {answer.said}")
        if answer.status in (400, 404, 409, 410, 413):
            raise LaneBusy(f"{self._client.host} answers {answer.status} to the inbound message: {answer.said}")
        raise self._client.refusal(answer, "POST", self._path)

    async def _webhook(self) -> str | None:
        """The user's address for inbound, None where there is none. Raises: UpstreamDown."""
        now = asyncio.get_running_loop().time()
        if self._address_read_at is None or now - self._address_read_at > _ADDRESS_FRESH_S:
            answer = await self._client.ask("GET", _WEBHOOKS)
            if not answer.is_ok and not answer.is_premium_only:
                raise self._client.refusal(answer, "GET", _WEBHOOKS)
            data = answer.data if isinstance(answer.data, dict) else {}
            given = data.get("webhook_url_incoming")
            self._address = given if isinstance(given, str) and given.startswith(("http://", "https://")) else None
            self._address_read_at = now
        return self._address

    async def _to_webhook(self, address: str, body: dict[str, object]) -> None:
        """While the target fails, one message at a time tries it: it must not hold up the reports."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._target_due:
            raise LaneBusy(self._target_sentence)
        if self._target_failures:
            self._target_due = loop.time() + _TARGET_LONGEST_S
        try:
            await self._client.post_outside(address, body)
        except LaneBusy as error:
            if self._target_failures == 0:
                _log.warning("webhook_fails", upstream=self._name, reason=str(error))
            self._target_failures += 1
            self._target_due = loop.time() + backoff_s(self._target_failures, longest_s=_TARGET_LONGEST_S)
            self._target_sentence = str(error)
            # The user may have changed the address because of this very fault.
            self._address_read_at = None
            raise
        self._target_failures = 0
        self._target_due = 0.0
