"""Answers to STOW-RS and QIDO-RS: the standing of one object in them (PS3.18, annex I.2.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_REFERENCED_SOP_SEQUENCE = "00081199"
_FAILED_SOP_SEQUENCE = "00081198"
_OTHER_FAILURES_SEQUENCE = "0008119A"
_REFERENCED_SOP_INSTANCE_UID = "00081155"
_SOP_INSTANCE_UID = "00080018"
_FAILURE_REASON = "00081197"
_WARNING_REASON = "00081196"


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """Answer to the storage of one object.

    Parameters
    ----------
    failure
        Failure Reason (0008,1197) of the object, 0 where it failed without one; None where no item
        says that it failed.
    warning
        Warning Reason (0008,1196); None where it was stored without.
    is_stored
        True if an item says that it was stored.
    """

    failure: int | None = None
    warning: int | None = None
    is_stored: bool = False


def store_answer(body: bytes, sop_instance_uid: str) -> StoreAnswer | None:
    """Return what an answer says of the object, by each of its items; None where it is none.

    Parameters
    ----------
    body
        In the DICOM JSON Model.
    sop_instance_uid
        Of the only object of the request.
    """
    answer = _json(body)
    if not isinstance(answer, dict):
        return None
    for item in _items(answer, _FAILED_SOP_SEQUENCE):
        if _value(item, _REFERENCED_SOP_INSTANCE_UID) in {sop_instance_uid, None}:
            return StoreAnswer(failure=_number(item, _FAILURE_REASON) or 0)
    for item in _items(answer, _OTHER_FAILURES_SEQUENCE):  # one without a UID: it is ours
        return StoreAnswer(failure=_number(item, _FAILURE_REASON) or 0)
    for item in _items(answer, _REFERENCED_SOP_SEQUENCE):
        if _value(item, _REFERENCED_SOP_INSTANCE_UID) == sop_instance_uid:
            return StoreAnswer(warning=_number(item, _WARNING_REASON), is_stored=True)
    return StoreAnswer()


def lists(body: bytes, sop_instance_uid: str) -> bool | None:
    """Return True if a search's answer lists the object; None where it is no such answer."""
    if not body:
        return False
    answer = _json(body)
    if not isinstance(answer, list):
        return None
    return any(_value(item, _SOP_INSTANCE_UID) == sop_instance_uid for item in answer)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _items(answer: dict[str, Any], tag: str) -> Iterator[dict[str, Any]]:
    element = answer.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    if isinstance(values, list):
        yield from (item for item in values if isinstance(item, dict))


def _value(item: Any, tag: str) -> Any:
    element = item.get(tag) if isinstance(item, dict) else None
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _number(item: dict[str, Any], tag: str) -> int | None:
    value = _value(item, tag)
    return value if isinstance(value, int) else None
