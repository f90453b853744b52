"""Senders over DICOM: known by calling AE title and address, from the routing document."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from pydantic import ValidationError

from gateway.access.callers import Caller, CallerKind, Scope
from gateway.schemas.routing import RoutingDocument

if TYPE_CHECKING:
    from pathlib import Path

    from gateway.schemas.routing import Sender

_MOST_BYTES = 4 * 2**20


class RoutingFileError(Exception):
    """The file is no routing document; the message says why, and quotes nothing of it."""


class Senders:
    """The senders of a routing document.

    Parameters
    ----------
    document
        The document; of two senders that fit, the first counts.
    """

    def __init__(self, document: RoutingDocument) -> None:
        self._by_title: dict[str, list[Sender]] = {}
        for sender in document.senders:
            self._by_title.setdefault(sender.ae_title, []).append(sender)
        self._by_name = {sender.name: sender for sender in document.senders}

    def __len__(self) -> int:
        return len(self._by_name)

    def find(self, ae_title: str, address: str) -> Sender | None:
        """Return the sender of this AE title and address; None if there is none.

        Parameters
        ----------
        ae_title
            Calling AE title, without the blanks around it.
        address
            Of the peer; an IPv4 address may come in its IPv6 form.
        """
        peer = ip_address(address.partition("%")[0])  # a link-local address names its interface
        if isinstance(peer, IPv6Address) and peer.ipv4_mapped is not None:
            peer = peer.ipv4_mapped
        for sender in self._by_title.get(ae_title, ()):
            if any(peer in network for network in sender.addresses):
                return sender
        return None

    def named(self, name: str) -> Sender | None:
        """Return the sender of this name; None if there is none."""
        return self._by_name.get(name)


def caller_of(sender: Sender) -> Caller:
    """Return the sender as a caller."""
    correcting = {Scope.STUDIES_CORRECT} if sender.corrects_identity else set()
    return Caller(sender.name, frozenset({Scope.STUDIES_WRITE} | correcting), CallerKind.SENDER)


def read_routing(path: Path) -> RoutingDocument:
    """Return the document in the file.

    Raises
    ------
    RoutingFileError
        It cannot be read, or is no routing document.
    """
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
