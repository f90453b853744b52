"""The rule that holds for every document in the store, whoever wrote it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class StoredDocument(BaseModel):
    """A document in the store. It outlives the version that wrote it.

    Readers pass over fields that they do not know, so a newer version may add an optional field.
    Any other change takes a new name of the schema, which the version before must read already.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)
