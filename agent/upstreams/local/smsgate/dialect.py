"""All of the dialect, as routers."""

from __future__ import annotations

from dataclasses import replace

from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Operation, Router
from agent.upstreams.local.smsgate import (
    access,
    auth,
    devices,
    documents,
    health,
    inbox,
    messages,
    preferences,
    sending,
    webhooks,
)
from agent.upstreams.local.smsgate.paths import PREFIX

_LOCAL_TAG = "SMSGate, local mode"


def routers(local: Local) -> tuple[Router, Router]:
    """With a key or token, and without."""
    private = access.router(local)
    for part in (sending, inbox, messages, webhooks, devices, preferences, auth):
        part.add(private, local)
    health.add(private, local)
    public = Router(PREFIX, responses=documents.REFUSALS)
    health.add_public(public, local)
    refreshing = Router(PREFIX, security="bearer")
    auth.add_public(refreshing, local)
    public.operations += refreshing.operations
    return private, public


def as_of_a_phone(operations: list[Operation]) -> list[Operation]:
    """The same once more as the phone's local mode has them, to be described: `paths` leads there."""
    return [
        replace(one, path=one.path.removeprefix(PREFIX), tags=(_LOCAL_TAG,), status=_local_status(one))
        for one in operations
        if one.path.startswith(f"{PREFIX}/")
    ]


def _local_status(operation: Operation) -> int:
    return 200 if operation.path.endswith("/auth/token/refresh") else operation.status
