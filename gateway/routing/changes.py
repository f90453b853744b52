"""Differences between two routing documents, as the audit trail and the command list them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from gateway.schemas.audit import AuditChange
from gateway.schemas.strict_json import pointer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.schemas.routing import RoutingDocument

_MOST_CHANGES = 100
_LONGEST = 500


def changes(old: RoutingDocument, new: RoutingDocument) -> tuple[AuditChange, ...]:
    """Return what differs, by JSON pointer; entries with a name are told apart by it.

    Of very many differences the last ones are left out, which the last entry says.
    """
    before, after = (
        each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in (old, new)
    )
    found = list(_differences((), before, after))
    if len(found) > _MOST_CHANGES:
        left_out = f"{len(found) - _MOST_CHANGES} more changes"
        return (*found[:_MOST_CHANGES], AuditChange(pointer="", after=left_out))
    return tuple(found)


def _differences(place: tuple[str | int, ...], before: Any, after: Any) -> Iterator[AuditChange]:
    if before == after:
        return
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from _differences((*place, key), before.get(key), after.get(key))
        return
    olds, news = _by_name(before), _by_name(after)
    if olds is None or news is None:
        yield AuditChange(pointer=pointer(place), before=_shown(before), after=_shown(after))
        return
    yield from _differences(place, olds, news)
    if list(olds) != list(news) and olds.keys() == news.keys():
        order = AuditChange(
            pointer=pointer(place), before=_shown(list(olds)), after=_shown(list(news))
        )
        yield order


def _by_name(value: Any) -> dict[str, Any] | None:
    """Return the entries of a list by their names; None of what is no list of named entries."""
    if value is None:
        return {}
    if not isinstance(value, list):
        return None
    named = {item["name"]: item for item in value if isinstance(item, dict) and "name" in item}
    return named if len(named) == len(value) else None


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
