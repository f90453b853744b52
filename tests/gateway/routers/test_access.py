"""Every route asks for the scope it stands for, or is open on purpose."""

from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from gateway.app import create_app
from gateway.routers.access import require
from gateway.services.callers import Scope
from gateway.settings import Settings

OPEN = {"/", "/docs", "/docs/start.js", "/livez", "/readyz"}


def routes() -> list[RouteContext]:
    found = iter_route_contexts(create_app(Settings()).routes)
    return [route for route in found if isinstance(route.original_route, APIRoute)]


def scope_of(route: RouteContext) -> Scope | None:
    dependencies = {dependency.call for dependency in route.dependant.dependencies}
    scopes = [scope for scope in Scope if require(scope) in dependencies]
    assert len(scopes) <= 1, route.path
    return scopes[0] if scopes else None


def expected_scope(path: str, method: str) -> Scope | None:
    match path.split("/")[1:]:
        case ["v1", "parked", *_] | ["metrics"]:
            return Scope.OPERATE
        case ["v1", "studies", _] if method == "DELETE":
            return Scope.OPERATE
        case ["v1", "events", *_]:
            return Scope.EVENTS_WRITE
        case ["v1", "studies", *_] if method != "GET":
            return Scope.STUDIES_WRITE
        case ["v1", *_]:
            return Scope.STUDIES_READ
    return None


def test_every_route_names_its_scope_or_is_open_on_purpose():
    assert {route.path for route in routes() if scope_of(route) is None} == OPEN
    for route in routes():
        [method] = route.methods
        assert scope_of(route) is expected_scope(route.path, method), (method, route.path)


def test_the_caller_is_known_before_the_body_is_read():
    # FastAPI reads a body that is a parameter of the route before it asks the dependencies.
    assert [route.path for route in routes() if route.body_field is not None] == []
