"""Early refusal: a flood's studies are refused before the application sees them.

The application takes several times as long to say the same, most of it on the way to the route and
back. Under a flood that time is taken from the studies that were accepted.
"""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from gateway.errors import OverloadedError
from gateway.http.middleware import security_headers
from gateway.problems import kind_of, problem_of
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gateway.http.dependencies import Gateway
    from gateway.observability.metrics import Metrics

_ROUTES = ("/v1/studies", "/dicomweb/studies")
_STUDY_ROUTE, _STUDY_PATH = "/dicomweb/studies/{study_instance_uid}", "/dicomweb/studies/"
_MOST_KNOWN = 1024
_CREDENTIALS = frozenset({b"authorization", b"x-api-key"})


class EarlyRefusal:
    """Middleware that refuses studies of known callers whose share is used up.

    A caller is known by the credentials and the address of a request that the application let in;
    all it can lose by that is a place it would not have got. No other caller is told anything.

    Parameters
    ----------
    app
        The application. Its route leaves the caller's share in the request's state.
    metrics
        Count the refusals as the application would.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._refused = {
            route: metrics.http.requests.labels(route, "POST", "503")
            for route in (*_ROUTES, _STUDY_ROUTE)
        }
        self._shares: dict[int, str] = {}
        error = OverloadedError("")
        kind = kind_of(error)
        body = problem_of(error, "@").model_dump(exclude_none=True)
        self._body = json.dumps(body, separators=(",", ":")).encode()
        self._headers = [
            *(
                (name.lower().encode(), value.encode())
                for name, value in security_headers.ALL.items()
            ),
            (b"content-type", PROBLEM_MEDIA_TYPE.encode()),
            (b"content-length", str(len(self._body) + 31).encode()),  # an id for the @
            (b"retry-after", str(kind.retry_after_s).encode()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, unless its caller has its share."""
        route = _route_of(scope)
        if route is None:
            await self._app(scope, receive, send)
            return
        sign = self._sign(scope)
        share = self._shares.get(sign)
        gateway: Gateway = scope["state"]["gateway"]
        if share is not None and not gateway.admission.studies.has_room(share):
            gateway.admission.refuse_study()
            await self._refuse(route, scope, send)
            return
        await self._app(scope, receive, send)
        if share is None and "share" in scope["state"]:
            if len(self._shares) >= _MOST_KNOWN:
                del self._shares[next(iter(self._shares))]
            self._shares[sign] = scope["state"]["share"]

    @staticmethod
    def _sign(scope: Scope) -> int:
        """Return a number that stands for the credentials and the address; no secret is kept."""
        shown = [item for item in scope["headers"] if item[0] in _CREDENTIALS]
        return hash((scope["client"] and scope["client"][0], *shown))

    async def _refuse(self, route: str, scope: Scope, send: Send) -> None:
        self._refused[route].inc()
        request_id = b"%032x" % random.getrandbits(128)
        fields = [*self._headers, (b"x-request-id", request_id)]
        if any(name == b"expect" for name, _ in scope["headers"]):
            fields.append((b"connection", b"close"))  # as `UnsentBodies` does, and why
        await send({"type": "http.response.start", "status": 503, "headers": fields})
        body = self._body.replace(b"@", request_id)
        await send({"type": "http.response.body", "body": body})


def _route_of(scope: Scope) -> str | None:
    """Return the route by which a request brings studies; None where it brings none."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return None
    path = scope["path"]
    if path in _ROUTES:
        route: str = path
        return route
    is_of_study = path.startswith(_STUDY_PATH) and path.count("/") == _STUDY_PATH.count("/")
    return _STUDY_ROUTE if is_of_study else None
