"""What a declaration makes of a request: parameters, bodies, and what is complained about. Spoken to as ASGI."""

from __future__ import annotations

from typing import Annotated, Any

import httpx
import pytest
from pydantic import BaseModel, Field, field_validator
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from agent.upstreams.local.description import document
from agent.upstreams.local.routing import Answers, Header, Invalid, Path, Query, Router


class Order(BaseModel):
    """What is wanted."""

    pieces: int = Field(ge=1)
    note: str | None = None

    @field_validator("note")
    @classmethod
    def _is_quiet(cls, value: str | None) -> str | None:
        if value is not None and "!" in value:
            raise ValueError(f"is too loud: {value}")
        return value


class Known(BaseModel):
    ok: bool


_MISSING: Answers = {404: {"model": Known, "description": "It is gone"}}
router = Router("/shop", responses={400: {"model": Known, "description": "Unreadable"}}, security="bearer")


@router.post(
    "/orders/{number}", response_model=Known, responses=_MISSING, status_code=201, tags=["Shop"], summary="Order"
)
async def order(
    number: Annotated[str, Path(max_length=3)],
    body: Order,
    request: Request,
    *,
    count: Annotated[int, Query(ge=1, description="How often")] = 2,
    mark: Annotated[str | None, Header("x-mark", max_length=2)] = None,
) -> Response:
    return JSONResponse([number, body.pieces, body.note, count, mark, request.method])


@router.put("/maybe")
async def maybe(body: Order | None = None) -> Response:
    return JSONResponse(None if body is None else body.pieces)


@router.get("/plain/{name}", include_in_schema=False)
async def plain(name: str) -> Response:
    return JSONResponse(name)


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, Invalid)
    return JSONResponse([[one["type"], *one["loc"]] for one in error.errors], 422)


async def _asked(method: str, path: str, **more: Any) -> tuple[int, Any]:
    app = Starlette(routes=router.routes(), exception_handlers={Invalid: _invalid})
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        answer = await client.request(method, path, **more)
    return answer.status_code, answer.json() if answer.headers.get("content-type") == "application/json" else None


_JSON = {"content-type": "application/json"}


@pytest.mark.parametrize(
    ("method", "path", "more", "expected"),
    [
        ("POST", "/shop/orders/a", {"json": {"pieces": 1}}, (200, ["a", 1, None, 2, None, "POST"])),
        (
            "POST", "/shop/orders/a%20b?count=1&count=7",
            {"json": {"pieces": 2, "note": "n"}, "headers": {"X-Mark": "m"}},
            (200, ["a b", 2, "n", 7, "m", "POST"]),
        ),
        ("POST", "/shop/orders/a", {}, (422, [["missing", "body"]])),
        ("POST", "/shop/orders/a", {"content": b"null", "headers": _JSON}, (422, [["missing", "body"]])),
        ("POST", "/shop/orders/a", {"content": b'{"pieces": 1}'}, (422, [["model_type", "body"]])),
        ("POST", "/shop/orders/a", {"content": b'{"pieces"', "headers": _JSON}, (422, [["json_invalid", "body", 9]])),
        ("POST", "/shop/orders/a", {"content": b"\xff\xff\xff", "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b"[" * 100_000, "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b"1" * 10_000, "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b'{"note": "\\ud800!"}', "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b'{"pieces": 1, "x": "\\ud800"}', "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b'{"pieces": 1, "x": "\xed\xa0\x80"}', "headers": _JSON}, (400, None)),
        ("POST", "/shop/orders/a", {"content": b'{"pieces": 1, "x": "\\ud83d\\ude00"}', "headers": _JSON},
         (200, ["a", 1, None, 2, None, "POST"])),
        (
            "POST", "/shop/orders/long?count=0", {"json": {"pieces": "x"}, "headers": {"X-Mark": "abc"}},
            (422, [
                ["string_too_long", "path", "number"],
                ["int_parsing", "body", "pieces"],
                ["greater_than_equal", "query", "count"],
                ["string_too_long", "header", "x-mark"],
            ]),
        ),
        ("PUT", "/shop/maybe", {}, (200, None)),
        ("PUT", "/shop/maybe", {"content": b"null", "headers": _JSON}, (200, None)),
        (
            "PUT", "/shop/maybe",
            {"content": b'{"pieces":3}', "headers": {"content-type": "application/vnd.shop+json; v=1"}}, (200, 3),
        ),
        ("PUT", "/shop/maybe", {"json": {"pieces": 0}}, (422, [["greater_than_equal", "body", "pieces"]])),
        ("GET", "/shop/plain/x", {}, (200, "x")),
        ("HEAD", "/shop/plain/x", {}, (405, None)),
        ("GET", "/shop/maybe", {}, (405, None)),
    ],
)  # fmt: skip
async def test_a_request_is_read_as_declared(method: str, path: str, more: Any, expected: tuple[int, Any]) -> None:
    status, found = await _asked(method, path, **more)
    if isinstance(found, list) and status == 422:
        found, expected = sorted(map(str, found)), (expected[0], sorted(map(str, expected[1])))
    assert (status, found) == expected


async def test_a_name_is_not_taken_for_an_id_and_only_its_own_methods_are_allowed() -> None:
    rows = Router("/rows")
    for method in (rows.get, rows.delete):

        @method("/{id}")
        async def row(id: str) -> Response:
            return JSONResponse(id)

    @rows.get("/newest")
    async def newest() -> Response:
        return JSONResponse("the newest")

    transport = httpx.ASGITransport(Starlette(routes=rows.routes()))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get("/rows/newest")).json() == "the newest"
        assert (await client.get("/rows/older")).json() == "older"
        found = [await client.request(*call) for call in (("DELETE", "/rows/newest"), ("OPTIONS", "/rows/older"))]
    assert [(one.status_code, one.headers["allow"]) for one in found] == [(405, "GET"), (405, "DELETE, GET")]


async def test_who_is_not_admitted_is_told_before_the_body_is_looked_at() -> None:
    seen: list[tuple[str, str]] = []

    def admission(method: str, path: str) -> Any:
        async def admit(request: Request) -> Response | None:
            seen.append((method, path))
            return JSONResponse("no", 401) if "key" not in request.headers else None

        return admit

    closed = Router("/closed", admission=admission)

    @closed.post("/door/{id}")
    async def door(id: str, body: Order) -> Response:
        return JSONResponse([id, body.pieces])

    app = Starlette(routes=closed.routes(), exception_handlers={Invalid: _invalid})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop") as client:
        assert (await client.post("/closed/door/1", content=b"{")).status_code == 401
        assert (await client.post("/closed/door/1", json={}, headers={"key": "k"})).status_code == 422
        assert (await client.post("/closed/door/1", json={"pieces": 1}, headers={"key": "k"})).json() == ["1", 1]
    assert seen == [("POST", "/door/{id}")] * 3


def test_what_cannot_be_meant_is_refused_when_it_is_declared() -> None:
    with pytest.raises(TypeError, match="mark page with Query"):

        @Router().get("/x")
        async def unmarked(page: int = 1) -> Response:
            return JSONResponse(page)


def test_a_declaration_is_its_own_description() -> None:
    above = Router("/v1", responses={503: {"model": Known, "description": "Full"}})
    above.include_router(router)
    found = document(above.operations)
    assert set(found["paths"]) == {"/v1/shop/orders/{number}", "/v1/shop/maybe"}
    described = found["paths"]["/v1/shop/orders/{number}"]["post"]
    assert described["summary"] == "Order"
    assert described["tags"] == ["Shop"]
    assert described["security"] == [{"bearer": []}]
    assert {status: answer["description"] for status, answer in described["responses"].items()} == {
        "201": "Created", "400": "Unreadable", "404": "It is gone", "503": "Full",
    }  # fmt: skip
    assert described["responses"]["201"]["content"] == {
        "application/json": {"schema": {"$ref": "#/components/schemas/Known"}}
    }
    assert described["requestBody"]["required"] is True
    parameters = {one["name"]: one for one in described["parameters"]}
    assert parameters["count"] == {
        "name": "count", "in": "query", "required": False, "description": "How often",
        "schema": {"type": "integer", "minimum": 1, "default": 2, "description": "How often"},
    }  # fmt: skip
    assert parameters["number"]["in"] == "path"
    assert parameters["number"]["required"] is True
    assert parameters["x-mark"]["in"] == "header"
    assert "required" not in found["paths"]["/v1/shop/maybe"]["put"]["requestBody"]
