"""Devices, keys and webhooks of an account."""

from __future__ import annotations

from starlette.responses import RedirectResponse, Response

from agent.hooks import problem_of
from agent.upstreams.local import telling
from agent.upstreams.local.devices import DeviceView, NoSuchDevice
from agent.upstreams.local.ui.messages import page_number
from agent.upstreams.local.ui.page import ROOT
from agent.upstreams.local.ui.reading import PER_PAGE
from agent.upstreams.local.ui.site import Site, Stop, Visit
from agent.upstreams.local.ui.words import HOOK_WORDS

_LONGEST_NAME = 100
# A remote agent polls at least this often, or keeps a stream that is noted as often.
_PRESENT_MS = 90_000


def add(site: Site) -> None:
    _add_devices(site)
    _add_keys(site)
    _add_webhooks(site)


# --- devices ----------------------------------------------------------------------------------------


def _add_devices(site: Site) -> None:
    local = site.local

    async def devices(visit: Visit) -> Response:
        account = await local.accounts.account(visit.caller.account)
        now_ms = local.gateway.clock.utc_ms()
        rows = [
            (device, seen, seen is not None and now_ms - seen < _PRESENT_MS)
            for device in await local.devices.visible(visit.caller)
            for seen in (local.last_seen.get(device.number),)
        ]
        return await site.show(
            visit,
            "devices",
            rows=rows,
            default=account.default_device if account else None,
            queued=await local.gateway.queue_length() if visit.caller.is_owner else {},
        )

    async def make_default(visit: Visit) -> Response:
        device = await _device(site, visit)
        account = await local.accounts.account(visit.caller.account)
        is_default = account is not None and account.default_device == device.number
        await local.accounts.change(visit.caller.account, {"default_device": None if is_default else device.number})
        visit.said(f"{device.name} is {'no longer ' if is_default else ''}the default device.")
        return RedirectResponse(f"{ROOT}devices", 303)

    async def switch(visit: Visit) -> Response:
        device = await _device(site, visit)
        if device.route is not None and not visit.caller.is_owner:
            raise Stop(403, "This device belongs to the gateway; only its owner may change it.")
        await local.accounts.change_device(device.number, {"is_active": not device.is_enabled})
        visit.said(f"{device.name} is switched {'off' if device.is_enabled else 'on'}.")
        return RedirectResponse(f"{ROOT}devices", 303)

    site.get("/devices", devices)
    site.post("/devices/{id}/default", make_default)
    site.post("/devices/{id}/switch", switch)


async def _device(site: Site, visit: Visit) -> DeviceView:
    try:
        return await site.local.devices.find(visit.caller, str(visit.number("id")))
    except NoSuchDevice as error:
        raise Stop(404, "There is no such device.") from error


# --- keys -------------------------------------------------------------------------------------------


def _add_keys(site: Site) -> None:
    accounts = site.local.accounts

    async def keys(visit: Visit) -> Response:
        fresh, visit.session.fresh_key = visit.session.fresh_key, None
        return await site.show(
            visit,
            "keys",
            keys=await accounts.tokens(visit.caller.account),
            fresh=fresh,
            own=visit.caller.token,
        )

    async def create(visit: Visit) -> Response:
        name = visit.form.get("name", "").strip()
        if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
            visit.said(f"A key needs a name of 1 to {_LONGEST_NAME} characters.", "bad")
        else:
            visit.session.fresh_key = await accounts.create_token(visit.caller.account, name)
        return RedirectResponse(f"{ROOT}keys", 303)

    async def revoke(visit: Visit) -> Response:
        if not await accounts.revoke(visit.caller.account, visit.number("id")):
            raise Stop(404, "There is no such key.")
        visit.said("The key is revoked. Nobody is let in by it any more.")
        return RedirectResponse(f"{ROOT}keys", 303)

    site.get("/keys", keys)
    site.post("/keys", create)
    site.post("/keys/{id}/revoke", revoke)


# --- webhooks ---------------------------------------------------------------------------------------


def _add_webhooks(site: Site) -> None:
    accounts, hooks = site.local.accounts, site.local.gateway.hooks

    async def show(visit: Visit, *, problem: str | None = None, status: int = 200) -> Response:
        account = await accounts.account(visit.caller.account)
        group = visit.request.query_params.get("state", "")
        number = page_number(visit)
        found = await hooks.deliveries(
            visit.caller.account, state=group if group in HOOK_WORDS else None, page=number, per_page=PER_PAGE
        )
        return await site.show(
            visit,
            "webhooks",
            status,
            incoming=visit.form.get("incoming", (account and account.webhook_incoming) or ""),
            state=visit.form.get("state", (account and account.webhook_status) or ""),
            secret=await hooks.secret(visit.caller.account),
            calls=found.deliveries,
            group=group if group in HOOK_WORDS else "",
            older=f"?state={group}&page={number + 1}" if found.total > number * PER_PAGE else None,
            is_first=number == 1,
            problem=problem,
        )

    async def save(visit: Visit) -> Response:
        given = {name: visit.form.get(name, "").strip() or None for name in ("incoming", "state")}
        for url in given.values():
            if url is not None and (problem := problem_of(url)) is not None:
                return await show(visit, problem=f"{url[:80]}: {problem}.", status=422)
        values = {"webhook_incoming": given["incoming"], "webhook_status": given["state"]}
        await accounts.change(visit.caller.account, values)
        visit.said("The addresses are saved.")
        return RedirectResponse(f"{ROOT}webhooks", 303)

    async def replay(visit: Visit) -> Response:
        if await hooks.replay(visit.caller.account, visit.number("id")) is None:
            raise Stop(404, "There is no such call.")
        visit.said("It is called again, at once and with all its tries.")
        return RedirectResponse(f"{ROOT}webhooks", 303)

    async def test(visit: Visit) -> Response:
        account = await accounts.account(visit.caller.account)
        event = visit.form.get("event", "")
        urls = {"incoming": account and account.webhook_incoming, "status": account and account.webhook_status}
        if not (url := urls.get(event)):
            visit.said("Save an address first.", "warn")
        else:
            body = telling.test_body(event, site.local.gateway.clock.utc_ms())
            done = await hooks.test(visit.caller.account, url, body)
            if done.last_error is None:
                visit.said(f"It answered {done.last_status}.")
            else:
                visit.said(f"It did not take the test: {done.last_error}.", "bad")
        return RedirectResponse(f"{ROOT}webhooks", 303)

    site.get("/webhooks", show)
    site.post("/webhooks", save)
    site.post("/webhooks/test", test)
    site.post("/webhooks/{id}/replay", replay)
