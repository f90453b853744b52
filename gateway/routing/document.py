"""The routing document as it lies in its file, or in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gateway.errors import Fault, InvalidMetadataError
from gateway.routing.tenants import tenant_faults
from gateway.schemas.routing import RoutingDocument
from gateway.schemas.strict_json import parse_json, pointer
from gateway.schemas.validation_faults import sentence

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

MOST_BYTES = 4 * 2**20


class RoutingFileError(Exception):
    """The content is no routing document; the message says why, and quotes nothing of it."""


@dataclass(eq=False)
class InvalidRoutingError(Exception):
    """The text is no routing document; every fault is listed, and quotes nothing of it."""

    faults: tuple[Fault, ...]


def parse_routing(text: bytes | str) -> RoutingDocument:
    """Return the routing document in a text.

    Raises
    ------
    InvalidRoutingError
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        document = RoutingDocument.model_validate_json(data)
        parse_json(data)  # of a name that stands twice in one object the last would count
    except ValidationError as error:
        found = error.errors(include_input=False)
        value = json.loads(data) if found[0]["loc"] else None
        faults = (Fault(_place(each["loc"], each["type"], value), sentence(each)) for each in found)
        raise InvalidRoutingError(tuple(dict.fromkeys(faults))) from error
    except InvalidMetadataError as error:
        raise InvalidRoutingError(error.faults) from error
    return document


def _place(location: tuple[int | str, ...], kind: str, value: Any) -> str:
    """Return the way to a fault as the text has it: pydantic adds the kinds of a union."""
    steps: list[int | str] = []
    for step in location:
        is_item = isinstance(value, list) and isinstance(step, int)
        if is_item or (isinstance(value, dict) and step in value):
            steps.append(step)
            value = value[step]
    if kind == "missing":
        steps.append(location[-1])
    return pointer(tuple(steps))


def read_routing(path: Path, tenants: Collection[str] | None = ()) -> RoutingDocument:
    """Return the document in the file; see `judged`.

    Raises
    ------
    RoutingFileError
        It cannot be read, is no routing document, or is none for these tenants.
    """
    return judged(read_file(path), tenants)


def read_file(path: Path) -> bytes:
    """Return what the file holds.

    Raises
    ------
    RoutingFileError
        It cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise RoutingFileError(error.strerror or "input/output error") from error
    if len(data) > MOST_BYTES:
        raise too_long()
    return data


def too_long() -> RoutingFileError:
    """Return the fault of a content that is too long to be read."""
    return RoutingFileError(f"it has more than {MOST_BYTES} bytes")


def judged(data: bytes, tenants: Collection[str] | None) -> RoutingDocument:
    """Return the document that a content is, which may be in force.

    Parameters
    ----------
    tenants
        Tenants of the gateway, of which it names no other; see `tenant_faults`.

    Raises
    ------
    RoutingFileError
        It is no routing document, or none for these tenants.
    """
    try:
        document = parse_routing(data)
    except InvalidRoutingError as error:
        [first, *_] = error.faults
        raise RoutingFileError(f"{first.pointer or '/'}: {first.detail}") from error
    for fault in tenant_faults(document, tenants):
        raise RoutingFileError(fault)
    return document
