"""The table of documented operations, and how a request finds its own: 404, 405, 401, then the operation."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import account, extensions, sms
from .answers import Refused, no_method, no_route, unauthenticated
from .cloud import Cloud
from .http1 import Request, Response
from .store import User

Operation = Callable[[Cloud, Any, Request, str], Response]


class Undocumented(enum.Enum):
    """What `POST /api/devices` and `POST /api/sms/inbound`, which no one has documented, are answered."""

    NOT_FOUND = "404"
    NOT_ALLOWED = "405"  # as Laravel does, because other methods of these paths exist
    EXTENSIONS = "extensions"


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: re.Pattern[str]
    operation: Operation
    public: bool = False


def _route(method: str, path: str, operation: Operation, *, public: bool = False) -> Route:
    return Route(method, re.compile(path.replace("{id}", "([^/]+)") + "/?"), operation, public)


# Fixed paths stand before `/api/sms/{id}`, which would take them too.
DOCUMENTED = (
    _route("POST", "/api/register", account.register, public=True),
    _route("POST", "/api/login", account.login, public=True),
    _route("POST", "/api/auth/google", account.google, public=True),
    _route("GET", "/api/app/latest", account.latest_app, public=True),
    _route("POST", "/api/logout", account.logout),
    _route("GET", "/api/user", account.current_user),
    _route("GET", "/api/tokens", account.tokens),
    _route("POST", "/api/tokens", account.new_token),
    _route("DELETE", "/api/tokens/{id}", account.delete_token),
    _route("GET", "/api/account", account.overview),
    _route("GET", "/api/balance", account.overview),
    _route("POST", "/api/contacts/import", account.import_contacts),
    _route("GET", "/api/devices", account.devices),
    _route("POST", "/api/devices/default-device", account.default_device),
    _route("GET", "/api/settings", account.settings),
    _route("PUT", "/api/settings", account.change_settings),
    _route("GET", "/api/webhooks", account.webhooks),
    _route("PUT", "/api/webhooks", account.change_webhooks),
    _route("GET", "/api/subscription", account.subscription),
    _route("POST", "/api/subscriptions/redeem-promo", account.redeem),
    _route("GET", "/api/sms", sms.index),
    _route("POST", "/api/sms", sms.send),
    _route("POST", "/api/sms/bulk", sms.bulk),
    _route("GET", "/api/sms/delivery-stats", sms.stats),
    _route("GET", "/api/sms/outbox", sms.outbox),
    _route("GET", "/api/sms/inbox", sms.inbox),
    _route("POST", "/api/sms/{id}/cancel", sms.cancel),
    _route("GET", "/api/sms/{id}", sms.show),
    _route("PUT", "/api/sms/{id}", sms.update),
    _route("DELETE", "/api/sms/{id}", sms.delete),
)
EXTENSIONS = (
    _route("POST", "/api/devices", extensions.register_device),
    _route("POST", "/api/sms/inbound", extensions.inbound),
)


def answer(cloud: Cloud, request: Request, undocumented: Undocumented) -> Response:
    """What the API answers to a request that no fault and no limit touches."""
    extra = [route for route in EXTENSIONS if _matches(route, request)]
    if extra and undocumented is Undocumented.NOT_FOUND:
        return no_route(request.path)
    known = [*extra, *DOCUMENTED] if undocumented is Undocumented.EXTENSIONS else DOCUMENTED
    route = next((route for route in known if _matches(route, request)), None)
    if route is None:
        return _no_operation(request)
    owner = authenticate(cloud, request)
    if owner is None and not route.public:
        return unauthenticated()
    match = route.path.fullmatch(request.path)
    reference = match.group(1) if match and match.groups() else ""
    try:
        return route.operation(cloud, owner, request, reference)
    except Refused as refused:
        return refused.response


def authenticate(cloud: Cloud, request: Request) -> User | None:
    """The account of the request's bearer token, or None."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    for token in cloud.store.tokens.values():
        if token.secret == secret and not token.revoked:
            return cloud.store.users[token.user_id]
    return None


def _matches(route: Route, request: Request) -> bool:
    method = "GET" if request.method == "HEAD" else request.method
    return route.method == method and route.path.fullmatch(request.path) is not None


def _no_operation(request: Request) -> Response:
    methods = [route.method for route in DOCUMENTED if route.path.fullmatch(request.path)]
    if "GET" in methods:
        methods.insert(methods.index("GET") + 1, "HEAD")
    return no_method(request.method, request.path, methods) if methods else no_route(request.path)
