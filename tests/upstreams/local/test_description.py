"""The description that is generated from the code agrees with the published ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from agent.config import parse
from agent.upstreams.local import LocalUpstream
from agent.upstreams.local.app import build
from agent.upstreams.local.guard import Hosts
from agent.upstreams.local.mobsms.abilities import NEEDED
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local import seed
from tests.upstreams.local.documented import EXAMPLES, YAZSANA

SEED = seed.mobsms()


@pytest.fixture
async def description(tmp_path: Path) -> dict[str, Any]:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        upstream = LocalUpstream(parse({"upstream": [{"type": "local"}]}).upstreams[0], box.gateway)
        guard = build(upstream._local, Hosts(("localhost",), any_address=False))
        transport = httpx.ASGITransport(guard)  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            document: dict[str, Any] = (await client.get("/openapi.json")).json()
        return document


def test_the_nested_examples_are_the_published_lines() -> None:
    assert len(SEED) == 30
    published = {
        (operation.method, operation.path, status): lines
        for operation in SEED
        for status, lines in operation.examples.items()
    }
    assert {key: [seed.flat(one) for one in nested] for key, nested in EXAMPLES.items()} == published


@pytest.mark.parametrize("key", YAZSANA, ids=" ".join)
def test_the_yazsana_examples_are_the_published_ones(key: tuple[str, str]) -> None:
    assert "".join(json.dumps(YAZSANA[key]).split()) in seed.yazsana()


async def test_paths_parameters_bodies_and_keys_are_the_documented_ones(description: dict[str, Any]) -> None:
    for wanted in SEED:
        where = f"{wanted.method} {wanted.path}"
        found = description["paths"][wanted.path][wanted.method]
        parameters = {(one["in"], one["name"]) for one in found.get("parameters", ())}
        assert wanted.parameters <= parameters, where
        assert not {one["name"] for one in found.get("parameters", ()) if one["required"]} - {"id"}, where
        assert ("security" not in found) == wanted.is_public, where
        assert set(wanted.examples) <= {int(status) for status in found["responses"]}, where
        assert ("requestBody" in found) == wanted.has_body, where
        if wanted.has_body:
            body = found["requestBody"]["content"]["application/json"]["schema"]
            assert _required(description, body) == wanted.required, where
            assert wanted.fields <= _fields(description, body), where


async def test_every_documented_answer_fits_the_generated_schema(description: dict[str, Any]) -> None:
    for (method, path, status), examples in EXAMPLES.items():
        schema = description["paths"][path][method]["responses"][str(status)]["content"]["application/json"]["schema"]
        for example in examples:
            assert _faults(description, schema, example) == [], (method, path, status)
    for (method, path), example in YAZSANA.items():
        status = "201" if method == "post" else "200"
        found = description["paths"][f"/yazsana{path}"][method]
        schema = found["responses"][status]["content"]["application/json"]["schema"]
        assert _faults(description, schema, example) == [], (method, path)


async def test_the_event_stream_is_described_by_its_events(description: dict[str, Any]) -> None:
    content = description["paths"]["/api/devices/{id}/events"]["get"]["responses"]["200"]["content"]
    schema = content["text/event-stream"]["schema"]
    assert _faults(description, schema, {"event": "message", "data": '{"pending": 1}'}) == []
    assert _faults(description, schema, {"event": "other", "data": "x"})


async def test_every_operation_says_what_a_key_needs(description: dict[str, Any]) -> None:
    private = {
        (method.upper(), path.removeprefix("/api"))
        for path, operations in description["paths"].items()
        for method, operation in operations.items()
        if "security" in operation and path.startswith("/api/")
    }
    assert private == set(NEEDED)


def _faults(description: dict[str, Any], schema: Any, example: Any) -> list[str]:
    """Fields that the schema does not know, and values of another kind. Ours may be missing in an example."""
    loose = _loosened({"components": description["components"], **schema})
    return [error.message for error in jsonschema_rs.validator_for(loose).iter_errors(example)]


def _loosened(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_loosened(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _loosened(value) for name, value in schema.items() if name != "required"}
    if isinstance(schema.get("properties"), dict) and schema.get("type") == "object":
        found["additionalProperties"] = False
    return found


def _resolved(description: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """A schema's alternatives without references."""
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return [one for part in schema["anyOf"] for one in _resolved(description, part)] if "anyOf" in schema else [schema]


def _required(description: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    return {name for one in _resolved(description, schema) for name in one.get("required", ())}


def _fields(description: dict[str, Any], schema: dict[str, Any]) -> set[str]:
    """Names of all fields, those of items too."""
    names = set[str]()
    for one in _resolved(description, schema):
        for name, value in one.get("properties", {}).items():
            names |= {name} | _fields(description, value)
        if isinstance(one.get("items"), dict):
            names |= _fields(description, one["items"])
    return names
