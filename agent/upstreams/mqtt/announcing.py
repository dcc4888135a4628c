"""Announces gateway and routes to Home Assistant, and takes away what stands at the broker and is no more.

What was published retained outlives us: the journal has a list of it, so that a route that left the configuration
vanishes from the broker and from Home Assistant.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import structlog

from agent.gateway import Gateway
from agent.upstreams.mqtt import home_assistant
from agent.upstreams.mqtt.settings import MqttSettings
from drivers.mqtt.link import Link, PublishRefused
from drivers.mqtt.topics import Topics

_log = structlog.get_logger("mqtt")

_PAUSE_S = 2.0
"""Model and firmware of a modem are learned one after the other."""
_FACT = "retained"


class Announcements:
    """Of one upstream. Where `home_assistant` is off, only what was announced before is taken away."""

    def __init__(self, gateway: Gateway, name: str, own: Topics, settings: MqttSettings, identity: str) -> None:
        self._gateway = gateway
        self._name = name
        self._topics = own
        self._settings = settings
        self._owner = f"{name} {identity}"
        self._told: dict[str, bytes] = {}
        self._kept: list[str] | None = None
        self._changed = asyncio.Event()

    @property
    def birth_topic(self) -> str | None:
        """Where Home Assistant says that it has started."""
        return f"{self._settings.home_assistant_prefix}/status" if self._settings.home_assistant else None

    def born(self) -> None:
        """Home Assistant has started: announce all once more."""
        self._told.clear()
        self._changed.set()

    def sms_event(self, route: str | None, found: dict[str, Any]) -> tuple[str, bytes] | None:
        """Topic and payload of what Home Assistant is told of a received message."""
        if not self._settings.home_assistant or route is None:
            return None
        payload = home_assistant.sms_event(found, with_text=self._settings.home_assistant_texts)
        return home_assistant.event_topic(self._topics, route, "sms"), payload

    def call_event(self, route: str | None, found: dict[str, Any]) -> tuple[str, bytes] | None:
        """The same of a call."""
        if not self._settings.home_assistant or route is None:
            return None
        return home_assistant.event_topic(self._topics, route, "call"), home_assistant.call_event(found)

    async def serve(self, link: Link) -> None:
        """Announce until the link is lost. Raises: LinkDown, JournalError."""
        self._told.clear()
        self._gateway.watch(self._changed)
        try:
            while True:
                self._changed.clear()
                devices = self._devices()
                await self._tidy_up(link, devices)
                for topic, payload in devices.items():
                    if self._told.get(topic) != payload:
                        await self._publish(link, topic, payload)
                        self._told[topic] = payload
                await asyncio.sleep(_PAUSE_S)
                await self._changed.wait()
        finally:
            self._gateway.unwatch(self._changed)

    def _devices(self) -> dict[str, bytes]:
        if not self._settings.home_assistant:
            return {}
        own, prefix = self._topics, self._settings.home_assistant_prefix
        recipients = self._settings.home_assistant_recipients
        found = {
            home_assistant.config_topic(prefix, home_assistant.gateway_id(own)): home_assistant.gateway(own, recipients)
        }
        for view in self._gateway.route_views():
            topic = home_assistant.config_topic(prefix, home_assistant.route_id(own, view.name))
            found[topic] = home_assistant.route(own, view, recipients)
        return found

    async def _tidy_up(self, link: Link, devices: dict[str, bytes]) -> None:
        """Empty what stands retained from before; the list is written before anything new is published."""
        states = [self._topics.route_state(view.name) for view in self._gateway.route_views()]
        wanted = sorted([*devices, *states])
        if self._kept is None:
            self._kept = json.loads((await self._gateway.facts.recall(self._owner)).get(_FACT, "[]"))
        if self._kept == wanted:
            return
        for topic in sorted(set(self._kept) - set(wanted)):
            await self._publish(link, topic, b"")
        await self._gateway.facts.remember(self._owner, _FACT, json.dumps(wanted))
        self._kept = wanted

    async def _publish(self, link: Link, topic: str, payload: bytes) -> None:
        try:
            await link.publish(topic, payload, is_retained=True)
        except PublishRefused as error:
            _log.warning("announcement_refused", upstream=self._name, reason=str(error),
                         next="give this user the right to write below home_assistant_prefix")  # fmt: skip
