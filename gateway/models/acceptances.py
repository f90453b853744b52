"""Acceptances of model versions, kept in the store: what lets a version serve where one is needed.

The key of each has all that is asked while studies come, so that a look at the store is a list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal

import structlog
from pydantic import AwareDatetime, Base64Bytes, Field

from gateway.errors import StoreError
from gateway.schemas.stored_document import StoredDocument
from gateway.storage.documents import read_or_none, replace_document
from gateway.storage.layout import ACCEPTANCES

if TYPE_CHECKING:
    from gateway.models.served_model import ServedModel
    from gateway.storage.protocol import ObjectStore

log = structlog.get_logger()

_KEY = re.compile(r"(?P<name>[^/]+)/(?P<version>[0-9]+)/(?P<contract>[0-9a-f]{64})\.json")


class Acceptance(StoredDocument):
    """Acceptance of a model version by a person, with the page that it rests on."""

    schema_: Literal["radstream.accepted/1"] = Field("radstream.accepted/1", alias="schema")
    name: str
    version: str
    contract_sha256: str
    accepted_by: str = Field(description="Name of the person.")
    accepted_at: AwareDatetime
    caller: str = Field(description="Name of the caller that brought it.")
    page: str = Field(description="Page as it was written, in JSON.")
    signature: Base64Bytes | None = Field(None, description="Ed25519 signature of the page.")


class Acceptances:
    """Acceptances of all gateways on one store.

    Parameters
    ----------
    objects
        The store.
    required
        True if a version without one does not serve.
    """

    def __init__(self, objects: ObjectStore, *, required: bool) -> None:
        self._objects = objects
        self.required = required
        self._accepted: frozenset[tuple[str, str, str]] = frozenset()

    async def refresh(self) -> None:
        """Look at the store; where it does not answer, what was known holds on."""
        try:
            keys = await self._objects.keys(ACCEPTANCES)
        except StoreError as error:
            log.warning("models.acceptances_unknown", error=error.label)
            return
        found = (_KEY.fullmatch(key.removeprefix(ACCEPTANCES)) for key in keys)
        self._accepted = frozenset(
            (each["name"], each["version"], each["contract"]) for each in found if each
        )

    async def add(self, acceptance: Acceptance) -> None:
        """Store an acceptance, in the place of an earlier one of the same version and contract."""
        key = _key(acceptance.name, acceptance.version, acceptance.contract_sha256)
        await replace_document(self._objects, key, acceptance)
        await self.refresh()

    async def of(self, model: ServedModel) -> Acceptance | None:
        """Return the acceptance of the version under the contract that it has now.

        Raises
        ------
        StoreError
        """
        if not self.holds(model):
            return None
        key = _key(model.name, model.version, model.contract.sha256)
        return await read_or_none(self._objects, Acceptance, key)

    def holds(self, model: ServedModel) -> bool:
        """Return True if the version is accepted under the contract that it has now."""
        return (model.name, model.version, model.contract.sha256) in self._accepted

    def known(self, model: ServedModel) -> bool | None:
        """Return True if the version is accepted; None if that is unknown, as none is needed."""
        if self.holds(model):
            return True
        return False if self.required else None

    def lets_serve(self, model: ServedModel) -> bool:
        """Return True if the version is accepted, or needs no acceptance."""
        return not self.required or self.holds(model)


def _key(name: str, version: str, contract_sha256: str) -> str:
    return f"{ACCEPTANCES}{name}/{version}/{contract_sha256}.json"
