"""Contacts: imported in bulk. Their names fill `{name}` where a bulk message gives only a number."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from agent import numbers
from agent.accounts import Contact
from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import documents
from agent.upstreams.local.mobsms.access import caller_of
from agent.upstreams.local.mobsms.bodies import ImportContacts
from agent.upstreams.local.routing import Router


def add(router: Router, local: Local) -> None:
    """POST /api/contacts/import."""

    @router.post(
        "/contacts/import",
        status_code=201,
        response_model=documents.Said[documents.Imported],
        tags=["Contacts"],
        summary="Bulk-import contacts (e.g. from a parsed CSV).",
    )
    async def import_contacts(body: ImportContacts, request: Request) -> Response:
        found = [
            Contact(_number(row.phone_number, local), row.name, row.email, row.notes)
            for row in body.contacts
            if row.phone_number is not None and row.phone_number.strip()
        ]
        if found:
            await local.accounts.import_contacts(caller_of(request).account, found, body.group_id)
        counts = {"imported": len(found), "skipped": len(body.contacts) - len(found)}
        return answers.success(counts, f"Imported {len(found)} contacts", 201)


def _number(given: str, local: Local) -> str:
    """As messages have it, where it can be dialled; an address book may hold others."""
    try:
        return numbers.dialable(given, local.gateway.settings.default_region)
    except numbers.NotDialable:
        return given.strip()
