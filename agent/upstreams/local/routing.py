"""How operations of the API are declared and served: a decorated coroutine with typed parameters is a route.

    router = Router("/api", responses={404: …}, security="bearer", admission=…)

    @router.get("/sms/{id}", response_model=Document, summary="Get a message")
    async def get_message(id: str, request: Request, page: Annotated[int, Query(ge=1)] = 1) -> Response: …

A parameter is the request, one of the path (a plain `str`, or marked with `Path`), one marked with `Query` or
`Header`, or the JSON body: a pydantic model, or `Model | None = None` where it may be absent. What does not fit is
raised as `Invalid` with all complaints before the coroutine is called. `response_model` is for the description only.

The declarations are FastAPI's, which does much more than is needed here, and whose import alone takes 10 MB of the 65
that a gateway with a server may. Must not know a dialect.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from drivers.values import dataclass

Admit = Callable[[Request], Awaitable[Response | None]]
"""Looks at a request before its body is looked at; an answer ends it there."""
Admission = Callable[[str, str], Admit]
"""Makes the admission of one operation, from its method and its path without the router's prefix."""
Answers = Mapping[int | str, Mapping[str, Any]]
"""Status → "model" and "description"."""

_Handler = TypeVar("_Handler", bound=Callable[..., Awaitable[Response]])
_Serve = Callable[[Request], Awaitable[Response]]
_Place = Literal["path", "query", "header"]
# Made ready at the first use, as the bodies are.
_LAZY = ConfigDict(defer_build=True)


class Invalid(Exception):
    """What a client sent is not as declared. `errors` are pydantic's, each `loc` beginning with its place."""

    def __init__(self, errors: list[dict[str, Any]]) -> None:
        super().__init__(f"{len(errors)} complaints")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Marker:
    """Says in an `Annotated` where a parameter comes from. `field` is pydantic's."""

    place: _Place
    field: Any
    alias: str | None = None


def Query(alias: str | None = None, **constraints: Any) -> Marker:
    """From the query, there by the name `alias` or the argument's; constraints are those of `pydantic.Field`."""
    return Marker("query", Field(**constraints), alias)


def Path(**constraints: Any) -> Marker:
    """From the path."""
    return Marker("path", Field(**constraints))


def Header(alias: str, **constraints: Any) -> Marker:
    """From the header `alias`."""
    return Marker("header", Field(**constraints), alias)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of path, query or header. `name` is the client's, `argument` ours."""

    place: _Place
    name: str
    argument: str
    kind: Any
    is_required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class JsonBody:
    """The body of an operation."""

    argument: str
    model: type[BaseModel]
    is_required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, as declared. `request` names the coroutine's argument for the request, if any."""

    method: str
    path: str
    handler: Callable[..., Awaitable[Response]]
    parameters: tuple[Parameter, ...]
    body: JsonBody | None
    request: str | None
    admit: Admit | None
    status: int
    model: Any
    media_type: str
    responses: Answers
    security: str | None
    tags: tuple[str, ...]
    summary: str
    is_described: bool


class Router:
    """Collects operations. `prefix` comes before each path; `responses` are described with each operation."""

    def __init__(
        self,
        prefix: str = "",
        *,
        responses: Answers | None = None,
        security: str | None = None,
        admission: Admission | None = None,
    ) -> None:
        self.operations: list[Operation] = []
        self._prefix = prefix
        self._responses = responses or {}
        self._security = security
        self._admission = admission

    def get(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self._declare("GET", path, **more)

    def post(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self._declare("POST", path, **more)

    def put(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self._declare("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self._declare("PATCH", path, **more)

    def delete(self, path: str, **more: Any) -> Callable[[_Handler], _Handler]:
        return self._declare("DELETE", path, **more)

    def include_router(self, other: Router) -> None:
        """Its operations so far, below our prefix and with our answers too."""
        self.operations += [
            replace(one, path=self._prefix + one.path, responses={**self._responses, **one.responses})
            for one in other.operations
        ]

    def routes(self) -> list[Route]:
        """For Starlette: one per path, those without parameters first, so that no name is taken for an id."""
        paths: dict[str, dict[str, _Serve]] = {}
        for operation in self.operations:
            paths.setdefault(operation.path, {})[operation.method] = _serving(operation)
        return [_route(path, serving) for path, serving in sorted(paths.items(), key=lambda one: "{" in one[0])]

    def _declare(
        self,
        method: str,
        path: str,
        *,
        response_model: Any = None,
        media_type: str = "application/json",
        responses: Answers | None = None,
        status_code: int = 200,
        tags: Iterable[str] = (),
        summary: str = "",
        include_in_schema: bool = True,
    ) -> Callable[[_Handler], _Handler]:
        def decorated(handler: _Handler) -> _Handler:
            parameters, body, request = _arguments(handler, path)
            operation = Operation(
                method=method,
                path=self._prefix + path,
                handler=handler,
                parameters=parameters,
                body=body,
                request=request,
                admit=None if self._admission is None else self._admission(method, path),
                status=status_code,
                model=response_model,
                media_type=media_type,
                responses={**self._responses, **(responses or {})},
                security=self._security,
                tags=tuple(tags),
                summary=summary,
                is_described=include_in_schema,
            )
            self.operations.append(operation)
            return handler

        return decorated


# --- what a coroutine asks for ----------------------------------------------------------------------


def _arguments(handler: Callable[..., Any], path: str) -> tuple[tuple[Parameter, ...], JsonBody | None, str | None]:
    """Parameters, body, and the name of the argument for the request. Raises: TypeError, the declaration's fault."""
    kinds = typing.get_type_hints(handler, include_extras=True)
    parameters: list[Parameter] = []
    body: JsonBody | None = None
    request: str | None = None
    for name, argument in inspect.signature(handler).parameters.items():
        kind = kinds[name]
        is_required = argument.default is inspect.Parameter.empty
        default = None if is_required else argument.default
        marker = next((one for one in getattr(kind, "__metadata__", ()) if isinstance(one, Marker)), None)
        if kind is Request:
            request = name
        elif marker is not None:
            constrained = Annotated.__class_getitem__((kind.__origin__, marker.field))  # type: ignore[attr-defined]
            parameters.append(Parameter(marker.place, marker.alias or name, name, constrained, is_required, default))
        elif kind is str and f"{{{name}}}" in path:
            parameters.append(Parameter("path", name, name, str, True, None))
        elif (model := _model(kind)) is not None and body is None:
            body = JsonBody(name, model, is_required)
        else:
            raise TypeError(f"{handler.__qualname__}: mark {name} with Query, Path or Header")
    return tuple(parameters), body, request


def _model(kind: Any) -> type[BaseModel] | None:
    """The model of a body, which may be optional."""
    found = kind
    if isinstance(kind, types.UnionType) or typing.get_origin(kind) is typing.Union:
        (found,) = [one for one in typing.get_args(kind) if one is not types.NoneType] or (None,)
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


# --- serving ----------------------------------------------------------------------------------------


def _route(path: str, serving: Mapping[str, _Serve]) -> Route:
    allowed = ", ".join(sorted(serving))

    async def dispatch(request: Request) -> Response:
        serve = serving.get(request.method)
        if serve is None:
            raise HTTPException(405, headers={"Allow": allowed})
        return await serve(request)

    route = Route(path, dispatch)
    # All methods come here, where a path with a parameter would be tried else.
    route.methods = None
    return route


def _serving(operation: Operation) -> _Serve:
    # Fetched once: this runs for each request.
    checks = [(one, TypeAdapter(one.kind, config=_LAZY).validate_python) for one in operation.parameters]
    admit, body, handler, request_name = operation.admit, operation.body, operation.handler, operation.request

    async def serve(request: Request) -> Response:
        if admit is not None and (refused := await admit(request)) is not None:
            return refused
        arguments: dict[str, Any] = {} if request_name is None else {request_name: request}
        errors: list[dict[str, Any]] = []
        for parameter, check in checks:
            given = _given(request, parameter)
            try:
                arguments[parameter.argument] = parameter.default if given is None else check(given)
            except ValidationError as error:
                errors += _placed(error, parameter.place, parameter.name)
        if body is not None:
            try:
                arguments[body.argument] = _checked(body, given := await _parsed(request))
                # Behind the check, whose complaint names the field where it can.
                _spellable(given, await request.body())
            except ValidationError as error:
                errors += _placed(error, "body")
            except Invalid as error:
                errors += error.errors
        if errors:
            raise Invalid(errors)
        return await handler(**arguments)

    return serve


def _given(request: Request, parameter: Parameter) -> str | None:
    """None where it is absent; of several the last."""
    if parameter.place == "path":
        return str(request.path_params[parameter.name])
    return (request.query_params if parameter.place == "query" else request.headers).get(parameter.name)


async def _parsed(request: Request) -> Any:
    """JSON, or whatever else was sent as it is; None for no body. Raises: Invalid; HTTPException 400, where it is no
    text at all."""
    raw = await request.body()
    if not raw or not _is_json(request.headers.get("content-type", "")):
        return raw or None
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        complaint = {"type": "json_invalid", "loc": ("body", error.pos), "msg": error.msg, "input": {}}
        raise Invalid([complaint]) from error
    except (ValueError, RecursionError) as error:
        # In no encoding of JSON, a number of thousands of digits, or nested without end.
        raise HTTPException(400) from error


def _spellable(given: Any, raw: bytes) -> None:
    """Raises: HTTPException 400, where a text has half a surrogate pair: nobody could keep or answer it."""
    if raw.isascii() and b"\\" not in raw:
        return
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError) as error:
        raise HTTPException(400) from error


def _checked(body: JsonBody, given: Any) -> BaseModel | None:
    """Raises: Invalid; ValidationError; HTTPException 400, where a complaint quotes what no UTF-8 spells."""
    if given is not None:
        try:
            return body.model.model_validate(given)
        except UnicodeEncodeError as error:
            raise HTTPException(400) from error
    if body.is_required:
        raise Invalid([{"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}])
    return None


def _placed(error: ValidationError, *place: str) -> list[dict[str, Any]]:
    return [{**one, "loc": (*place, *one["loc"])} for one in error.errors(include_url=False)]


def _is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
