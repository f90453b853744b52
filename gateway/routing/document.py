"""The routing document as it lies in its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.routing.tenants import tenant_faults
from gateway.schemas.routing import RoutingDocument

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

_MOST_BYTES = 4 * 2**20


class RoutingFileError(Exception):
    """The file is no routing document; the message says why, and quotes nothing of it."""


def read_routing(path: Path, tenants: Collection[str] | None = ()) -> RoutingDocument:
    """Return the document in the file.

    Parameters
    ----------
    tenants
        Tenants of the gateway, of which it names no other; see `tenant_faults`.

    Raises
    ------
    RoutingFileError
        It cannot be read, is no routing document, or is none for these tenants.
    """
    document = _read(path)
    for fault in tenant_faults(document, tenants):
        raise RoutingFileError(fault)
    return document


def _read(path: Path) -> RoutingDocument:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise RoutingFileError(error.strerror or "input/output error") from error
    if len(data) > _MOST_BYTES:
        raise RoutingFileError(f"it has more than {_MOST_BYTES} bytes")
    try:
        return RoutingDocument.model_validate_json(data)
    except ValidationError as error:
        [first, *_] = error.errors(include_input=False)
        place = "/".join(str(step) for step in first["loc"])
        raise RoutingFileError(f"/{place}: {first['msg']}") from error
