"""Senders of the routing document: by AE title and address, key, token or folder."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING

from gateway.access.callers import DROP_FOLDER_LABEL, Caller, CallerKind, Scope

if TYPE_CHECKING:
    from gateway.schemas.routing import RoutingDocument, Sender


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
        folders = {each.prefix: each.name for each in others if each.prefix}
        self._folders = sorted(folders.items(), key=lambda item: -len(item[0]))

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
        names = (name for folder, name in self._folders if path.startswith(folder))
        return next(names, DROP_FOLDER_LABEL)

    def named(self, name: str) -> Sender | None:
        """Return the sender of this name; None if there is none."""
        return self._by_name.get(name)


def caller_of(sender: Sender) -> Caller:
    """Return the sender as a caller."""
    correcting = {Scope.STUDIES_CORRECT} if sender.corrects_identity else set()
    return Caller(sender.name, frozenset({Scope.STUDIES_WRITE} | correcting), CallerKind.SENDER)
