"""The API's description: `/openapi.json`, generated from the routes, and `/docs`, a page made of it.

The page is plain HTML without scripts, so that it needs no other host.
"""

from __future__ import annotations

import json
from functools import cache
from html import escape
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.responses import HTMLResponse

_TEXT = (
    "phonebridge's own server: the MobSMS API under /api, with a few operations of ours marked as extensions, and "
    "the Yazsana API under /yazsana. Keys go in `Authorization: Bearer KEY` and in `x-api-key`."
)
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;border:1px solid #8886;"
    "padding:.5rem}summary{cursor:pointer;padding:.3rem 0}td,th{text-align:left;padding:0 1rem 0 0;"
    "vertical-align:top}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def add(app: FastAPI) -> None:
    """`/docs`, and the description's finish. Behind all routes."""

    @cache
    def described() -> dict[str, Any]:
        document = get_openapi(title=app.title, version=app.version, description=_TEXT, routes=app.routes)
        document.setdefault("components", {})["securitySchemes"] = _SCHEMES
        return document

    # FastAPI asks this for its own /openapi.json.
    app.openapi = described  # type: ignore[method-assign]

    @cache
    def page() -> str:
        return _page(described())

    @app.get("/docs", include_in_schema=False)
    async def docs(_: Request) -> Response:
        return HTMLResponse(page(), headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})


def _page(document: dict[str, Any]) -> str:
    groups: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation.get("tags", ["Other"])[0], []).append(_operation(path, method, operation))
    schemas = "".join(
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>'
        for name, schema in sorted(document["components"]["schemas"].items())
    )
    body = "".join(f"<h2>{escape(tag)}</h2>{''.join(found)}" for tag, found in groups.items())
    title = escape(f"{document['info']['title']} {document['info']['version']}")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style><h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a></p>{body}<h2>Schemas</h2>{schemas}</html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{_json(one['schema'])}"
        for one in operation.get("parameters", ())
    )
    parameters = f"<table><tr><th>Parameter<th>In<th>Schema{rows}</table>" if rows else ""
    body = _contents(operation.get("requestBody", {}))
    answers = "".join(
        f"<li>{escape(status)}: {escape(answer['description'])}{_contents(answer)}"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f"<details><summary><code>{escape(method.upper())} {escape(path)}</code> {escape(operation['summary'])}"
        f"</summary>{parameters}{body and '<p>Body</p>' + body}<p>Answers</p><ul>{answers}</ul></details>"
    )


def _contents(holder: dict[str, Any]) -> str:
    return "".join(_json(media["schema"]) for media in holder.get("content", {}).values() if media.get("schema"))


def _json(schema: dict[str, Any]) -> str:
    """A schema; a plain reference is a link."""
    if list(schema) == ["$ref"]:
        name = escape(str(schema["$ref"]).rpartition("/")[2])
        return f' <a href="#{name}"><code>{name}</code></a>'
    return f"<pre>{escape(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"
