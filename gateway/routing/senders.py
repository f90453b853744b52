"""Senders of the routing document: by AE title and address, key, token or folder."""

from __future__ import annotations

import unicodedata
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from gateway.access.callers import DROP_FOLDER_LABEL, Caller, CallerKind, Scope

if TYPE_CHECKING:
    from gateway.schemas.routing import RoutingDocument, Sender
    from gateway.schemas.routing_senders import NamedSender


class Senders:
    """The senders of a routing document.

    Parameters
    ----------
    document
        The document; of two senders that fit, the first counts.
    """

    def __init__(self, document: RoutingDocument) -> None:
        self._by_title: dict[str, list[Sender]] = {}
        for sender in document.dicom_senders:
            self._by_title.setdefault(sender.ae_title, []).append(sender)
        self._by_name = {sender.name: sender for sender in document.dicom_senders}
        others = document.named_senders
        self._names = {
            **{(CallerKind.KEY, each.key): each.name for each in others if each.key},
            **{
                (CallerKind.TOKEN, each.token_subject): each.name
                for each in others
                if each.token_subject
            },
        }
        folders = {_composed(each.prefix): each for each in others if each.prefix}
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0]))
        self._tenants = {each.name: each.tenant for each in document.senders if each.tenant}

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

    def name_of(self, caller: Caller) -> str:
        """Return the configured name of a caller; its label where none is configured."""
        return self._names.get((caller.kind, caller.name), caller.label)

    def name_of_object(self, path: str) -> str:
        """Return the configured name of whoever drops files here.

        Parameters
        ----------
        path
            Of a file, below the drop folder's root.
        """
        sender = self._at(path)
        return DROP_FOLDER_LABEL if sender is None else sender.name

    def tenant_of(self, caller: Caller) -> str | None:
        """Return the tenant of a caller; None for one that belongs to none."""
        name = self._names.get((caller.kind, caller.name))
        return None if name is None else self._tenants.get(name)

    def tenant_of_name(self, name: str) -> str | None:
        """Return the tenant of the senders of a configured name; None for none."""
        return self._tenants.get(name)

    def tenant_of_object(self, path: str) -> str | None:
        """Return the tenant of whoever drops files here; None where nobody's folder fits.

        Parameters
        ----------
        path
            See `name_of_object`.
        """
        sender = self._at(path)
        return None if sender is None else sender.tenant

    def _at(self, path: str) -> NamedSender | None:
        """Return the sender of the longest folder that the path lies in."""
        path = _composed(path)
        return next((each for folder, each in self._folders if path.startswith(folder)), None)

    def named(self, name: str) -> Sender | None:
        """Return the sender of this name; None if there is none."""
        return self._by_name.get(name)


def _composed(path: str) -> str:
    """Return the spelling that names of files are compared in: macOS gives them decomposed."""
    return unicodedata.normalize("NFC", path)


def caller_of(sender: Sender) -> Caller:
    """Return the sender as a caller."""
    correcting = {Scope.STUDIES_CORRECT} if sender.corrects_identity else set()
    return Caller(sender.name, frozenset({Scope.STUDIES_WRITE} | correcting), CallerKind.SENDER)
