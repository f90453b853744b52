"""The check of HL7 v2 messages, FHIR transactions and notices before they are sent.

As that of DICOM objects it is no validator: it looks for what a receiver needs to file a result,
and for what would make a physician's of it.

References
----------
HL7 2.5.1, chapter 2: 2.14.9 (MSH); chapter 7: 7.4.1 (OBR-25), 7.4.2 (OBX-11). hl7.org/fhir:
DiagnosticReport, Observation, 3.2.0.13 (transaction).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gateway.renderings.fhir import ENTERED_IN_ERROR
from gateway.renderings.fhir_transaction import report_identifiers
from gateway.renderings.words import NOT_REVIEWED
from gateway.schemas.callback import CallbackBody

if TYPE_CHECKING:
    from collections.abc import Iterator

_SEGMENT = re.compile(rb"(MSH\|\^~\\&|[A-Z][A-Z0-9]{2})\|.*")
# What ends a segment for some receiver, or a frame of MLLP.
_NO_TEXT = re.compile(rb"[\x00-\x0c\x0e-\x1f]")
_RESULT, _PRELIMINARY = {b"P", b"C"}, {b"P", b"D", b"W", b"O"}
_CONTROL_ID, _ORDER_STATUS, _OBSERVATION_STATUS, _COMMENT = 9, 25, 11, 3


def message_faults(data: bytes, control_id: str) -> Iterator[str]:
    """Yield each fault of an ORU message that is known by this control ID."""
    if not data.startswith(b"MSH|") or not data.endswith(b"\r"):
        yield "it is no message"
        return
    lines = data.removesuffix(b"\r").split(b"\r")
    if _NO_TEXT.search(data) or not all(map(_SEGMENT.fullmatch, lines)):
        yield "a segment is broken"
        return
    segments = [line.split(b"|") for line in lines]
    if _field(segments[0], _CONTROL_ID) != control_id.encode():
        yield "MSH-10 is not that of the rendering"
    orders = [each for each in segments if each[0] == b"OBR"]
    if [_field(each, _ORDER_STATUS) in _RESULT for each in orders] != [True]:
        yield "OBR-25 is not preliminary"
    observations = (each for each in segments if each[0] == b"OBX")
    if not all(_field(each, _OBSERVATION_STATUS) in _PRELIMINARY for each in observations):
        yield "OBX-11 is not preliminary"
    comments = {_field(each, _COMMENT) for each in segments if each[0] == b"NTE"}
    if NOT_REVIEWED.encode() not in comments:
        yield "it does not say that nobody has reviewed it"


def notice_faults(data: bytes, delivery: str) -> Iterator[str]:
    """Yield each fault of a notice that is known by this delivery's id."""
    try:
        body = CallbackBody.model_validate_json(data)
    except ValidationError:
        yield "it is no notice"
        return
    if body.delivery != delivery:
        yield "its delivery is not that of the rendering"


def transaction_faults(data: bytes, told: str) -> Iterator[str]:
    """Yield each fault of a FHIR transaction whose report has this second identifier."""
    try:
        transaction = json.loads(data)
        entries = transaction["entry"]
        report, *others = (entry["resource"] for entry in entries)
        known = {entry["fullUrl"] for entry in entries}
        identifiers = report_identifiers(transaction)
        conditions = [entry["request"].get("ifNoneExist") for entry in entries]
        kinds = [resource["resourceType"] for resource in (report, *others)]
    except (AttributeError, KeyError, TypeError, ValueError):
        yield "it is no transaction of results"
        return
    if identifiers[1] != told:
        yield "its report is not that of the rendering"
    if None in conditions or len(set(conditions)) != len(conditions):
        yield "a resource has no condition of its own"
    if set(_references(transaction)) - known:
        yield "a reference leads nowhere"
    if report.get("status") not in {"preliminary", "registered", ENTERED_IN_ERROR}:
        yield "DiagnosticReport.status is not preliminary"
    for kind, resource in zip(kinds, (report, *others), strict=True):
        status = resource.get("status")
        if kind == "Observation" and status not in {"preliminary", ENTERED_IN_ERROR}:
            yield "Observation.status is not preliminary"
            break
    if NOT_REVIEWED not in str(report.get("conclusion")):
        yield "it does not say that nobody has reviewed it"


def _field(segment: list[bytes], position: int) -> bytes:
    return segment[position] if position < len(segment) else b""


def _references(node: Any) -> Iterator[str]:
    """Yield the literal references in a resource."""
    if isinstance(node, list):
        for item in node:
            yield from _references(item)
    elif isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for item in node.values():
            yield from _references(item)
