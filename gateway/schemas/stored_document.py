"""The base of every document in the store, whichever version wrote it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

IDENTITY = ("patient_id", "accession_number")
"""Fields of the metadata document that say who a study is about.

Two documents of one study that differ in one of these speak of two patients or two orders.
"""


class StoredDocument(BaseModel):
    """A document in the store. It outlives the version that wrote it.

    Readers pass over fields that they do not know, so a newer version may add an optional field.
    That holds for the entries of a map as well. Any other change takes a new name of the schema,
    which the version before must read already.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


def _measured(entries: Any) -> Any:
    """Return the entries of a map that are numbers; leave anything else to the schema to refuse."""
    if not isinstance(entries, dict):
        return entries
    return {name: value for name, value in entries.items() if isinstance(value, int | float)}


def _identifying(entries: Any) -> Any:
    """Return the entries that identify. One of unknown kind stays, or patients would be one."""
    if not isinstance(entries, dict):
        return entries
    return {name: entries[name] for name in IDENTITY if name in entries}


def _counted(entries: Any) -> Any:
    if not isinstance(entries, dict):
        return entries
    return {name: value for name, value in entries.items() if isinstance(value, int)}


def _named(entries: Any) -> Any:
    if not isinstance(entries, dict):
        return entries
    return {name: value for name, value in entries.items() if isinstance(value, str)}


Milliseconds = Annotated[dict[str, float], BeforeValidator(_measured)]
"""Times by stage, of which a newer version may have more."""

Identity = Annotated[dict[str, str | None], BeforeValidator(_identifying)]
"""Identifying attributes; None where one is not known."""

Names = Annotated[dict[str, str], BeforeValidator(_named)]
"""Texts by name, of which a newer version may have more."""

Counts = Annotated[dict[str, int], BeforeValidator(_counted)]
"""Numbers by name, of which a newer version may have more."""
