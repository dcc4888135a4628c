"""The API's description: `/openapi.json`, generated from the routes, and `/docs`, a page made of it.

The page is plain HTML without scripts, so that it needs no other host.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Sequence
from functools import cache
from html import escape
from http import HTTPStatus
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import JsonSchemaMode
from starlette.responses import HTMLResponse, Response

import agent
from agent import memory
from agent.upstreams.local import answers
from agent.upstreams.local.routing import Operation, Parameter, Router

_TITLE = "phonebridge"
_TEXT = (
    "phonebridge's own server: the MobSMS API under /api, with a few operations of ours marked as extensions, and "
    "the Yazsana API under /yazsana. Keys go in `Authorization: Bearer KEY` and in `x-api-key`. SMSGate's client API "
    "is under /3rdparty/v1, and as of a phone in local mode at the root: Basic with any user name and a key as the "
    "password, or Bearer with a key or a token."
)
_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "key": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    "basic": {"type": "http", "scheme": "basic"},
}
_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;"
    "padding:0 1rem}code,pre{font:14px/1.4 ui-monospace,monospace}pre{overflow:auto;border:1px solid #8886;"
    "padding:.5rem}summary{cursor:pointer;padding:.3rem 0}td,th{text-align:left;padding:0 1rem 0 0;"
    "vertical-align:top}"
)
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def add(router: Router, others: Sequence[Operation] = ()) -> None:
    """`/openapi.json` and `/docs`, about the operations that the router has when they are first asked for, and
    others."""

    @cache
    def rendered() -> tuple[bytes, bytes]:
        """For programs and for people: as bytes, which take a tenth of the document's memory."""
        found = document([*router.operations, *others])
        texts = answers.Json(found).body, HTMLResponse(_page(found)).body
        del found
        memory.tidy()
        return bytes(texts[0]), bytes(texts[1])

    @router.get("/openapi.json", include_in_schema=False)
    async def openapi() -> Response:
        return Response((await asyncio.to_thread(rendered))[0], media_type="application/json")

    @router.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        headers = {"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"}
        return HTMLResponse((await asyncio.to_thread(rendered))[1], headers=headers)


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1.0 of what is declared. Takes some 100 ms: not for the event loop's thread."""
    shown = [operation for operation in operations if operation.is_described]
    schemas = _Schemas(shown)
    paths: dict[str, dict[str, Any]] = {}
    for operation in shown:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": _TITLE, "version": agent.__version__, "description": _TEXT},
        "paths": paths,
        "components": {"schemas": schemas.shared, "securitySchemes": _SCHEMES},
    }


class _Schemas:
    """JSON schemas of everything that is declared, made at once so that a model has one name everywhere."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        wanted: dict[tuple[Any, JsonSchemaMode], TypeAdapter[Any]] = {}
        for operation in operations:
            for kind in (*(one.kind for one in operation.parameters), *_bodies(operation)):
                wanted.setdefault((kind, "validation"), TypeAdapter(kind))
            for kind in (operation.model, *(answer.get("model") for answer in operation.responses.values())):
                if kind is not None:
                    wanted.setdefault((kind, "serialization"), TypeAdapter(kind))
        found, definitions = TypeAdapter.json_schemas(
            [(key, key[1], adapter) for key, adapter in wanted.items()], ref_template="#/components/schemas/{model}"
        )
        self.shared: dict[str, Any] = definitions.get("$defs", {})
        for schema in self.shared.values():
            for field in schema.get("properties", {}).values():
                # Absent is what it says; null is often not allowed to be sent.
                if field.get("default", ...) is None:
                    del field["default"]
        self._found = {key: schema for (key, _), schema in found.items()}

    def of(self, kind: Any, mode: JsonSchemaMode) -> dict[str, Any]:
        return dict(self._found[kind, mode])


def _bodies(operation: Operation) -> list[Any]:
    if operation.body is None:
        return []
    return [operation.body.model if operation.body.is_required else operation.body.model | None]


def _described(operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    found: dict[str, Any] = {"summary": operation.summary, "operationId": _operation_id(operation)}
    if operation.tags:
        found["tags"] = list(operation.tags)
    if operation.security is not None:
        # Names of schemes of which any does.
        found["security"] = [{scheme: []} for scheme in operation.security.split()]
    if operation.parameters:
        found["parameters"] = [_parameter(one, schemas) for one in operation.parameters]
    for body in _bodies(operation):
        found["requestBody"] = {"content": {"application/json": {"schema": schemas.of(body, "validation")}}}
        if operation.body is not None and operation.body.is_required:
            found["requestBody"]["required"] = True
    good: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.model is not None:
        good["content"] = {operation.media_type: {"schema": schemas.of(operation.model, "serialization")}}
    found["responses"] = {str(operation.status): good}
    for status, answer in operation.responses.items():
        schema = schemas.of(answer["model"], "serialization")
        content = {"application/json": {"schema": schema}}
        found["responses"][str(status)] = {"description": answer["description"], "content": content}
    return found


def _parameter(one: Parameter, schemas: _Schemas) -> dict[str, Any]:
    schema = schemas.of(one.kind, "validation")
    if one.default is not None:
        schema["default"] = one.default
    found = {"name": one.name, "in": one.place, "required": one.is_required, "schema": schema}
    if "description" in schema:
        found["description"] = schema["description"]
    return found


def _operation_id(operation: Operation) -> str:
    """Stable while path and coroutine keep their names; generators of clients make a method's name of it."""
    path = re.sub(r"\W", "_", operation.path)
    return f"{operation.handler.__name__}{path}_{operation.method.lower()}"


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
