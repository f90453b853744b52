"""Who calls, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Scope(StrEnum):
    """What a caller may do; each scope stands alone, none includes another."""

    STUDIES_WRITE = "studies:write"
    STUDIES_READ = "studies:read"
    EVENTS_WRITE = "events:write"
    OPERATE = "operate"


class CallerKind(StrEnum):
    """How a caller made themselves known."""

    ANONYMOUS = "anonymous"
    KEY = "key"
    TOKEN = "token"  # noqa: S105 - no secret
    GATEWAY = "gateway"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from, once that is proven.

    Parameters
    ----------
    name
        The key's name, or the token's subject; unique among callers of its kind. It may be a
        person's: it goes to the audit trail, never into a log or a metric.
    scopes
        What they may do.
    kind
        How they made themselves known.
    """

    name: str
    scopes: frozenset[Scope]
    kind: CallerKind


ANONYMOUS = Caller("anonymous", frozenset(Scope), CallerKind.ANONYMOUS)
