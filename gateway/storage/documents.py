"""Documents of the store, read and written as JSON, with typed errors for unreadable ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import structlog
from pydantic import BaseModel, ValidationError

from gateway.errors import ObjectNotFoundError, UnreadableDocumentError
from gateway.storage.layout import ASKED, CALLBACKS, DELIVERIES, INSTANCES, RESULTS, SUBMISSIONS

if TYPE_CHECKING:
    from gateway.storage.protocol import ObjectStore

D = TypeVar("D", bound=BaseModel)

log = structlog.get_logger()

MEDIA_TYPE = "application/json"
_SCHEMA = re.compile(r"radstream\.[a-z-]{1,32}/[0-9]{1,4}")


def read_document(document: type[D], key: str, data: bytes) -> D:
    """Return the document that an object of the store holds.

    Parameters
    ----------
    document
        Class of the document.
    key
        Key of the object.
    data
        Bytes of the object.

    Raises
    ------
    UnreadableDocumentError
        The bytes are no such document; this is logged.
    """
    try:
        return document.model_validate_json(data)
    except ValidationError as error:
        raise unreadable(key, reason_of(error)) from error


async def read_or_none(objects: ObjectStore, document: type[D], key: str) -> D | None:
    """Return the document under a key; None where there is no such object.

    Raises
    ------
    UnreadableDocumentError
        The object is no such document; this is logged.
    """
    try:
        return read_document(document, key, (await objects.read_tagged(key)).data)
    except ObjectNotFoundError:
        return None


async def read_or_renew(
    objects: ObjectStore, document: type[D], key: str
) -> tuple[D | None, str | None]:
    """Return the document under a key that may begin anew, and the tag for a swap.

    Without an object both are None. One that is no such document, which is logged, gives its tag
    alone: a swap writes over it.
    """
    try:
        stored = await objects.read_tagged(key)
    except ObjectNotFoundError:
        return None, None
    try:
        return read_document(document, key, stored.data), stored.tag
    except UnreadableDocumentError:
        return None, stored.tag


async def swap_document(
    objects: ObjectStore, key: str, document: BaseModel, tag: str | None
) -> str | None:
    """Write the document where the key still has this tag; see `ObjectStore.swap`."""
    return await objects.swap(key, stored_form(document), tag=tag, media_type=MEDIA_TYPE)


async def create_document(objects: ObjectStore, key: str, document: BaseModel) -> bool:
    """Write the document; return False, without a change, where the key was taken."""
    return await objects.create(key, stored_form(document), media_type=MEDIA_TYPE)


async def replace_document(objects: ObjectStore, key: str, document: BaseModel) -> None:
    """Write the document over whatever the key held."""
    await objects.replace(key, stored_form(document), media_type=MEDIA_TYPE)


def unreadable(key: str, reason: str) -> UnreadableDocumentError:
    """Return the error of an unreadable object, and log it."""
    error = UnreadableDocumentError(_place(key), reason)
    log.error("store.document_unreadable", place=error.place, reason=reason)
    return error


def reason_of(fault: ValidationError) -> str:
    """Return the fault without the input: the document may hold a patient's name anywhere."""
    errors = fault.errors(include_url=False)
    if any(error["type"] == "json_invalid" for error in errors):
        return "it is not JSON"
    if not all(error["loc"] for error in errors):
        return "it is not a JSON object"
    for error in errors:
        if error["loc"] == ("schema",) and _SCHEMA.fullmatch(str(error["input"])):
            return f"its schema {error['input']} is not one that this version of RadStream reads"
    fields = dict.fromkeys(str(error["loc"][0]) for error in errors)
    return f"these fields are missing or malformed: {', '.join(fields)}"


def stored_form(document: BaseModel) -> bytes:
    """Return the document's bytes in the store."""
    return document.model_dump_json(by_alias=True, exclude_none=True).encode()


def _place(key: str) -> str:
    """Return the key with a star in place of a study_id or a UID, which stand in no log."""
    if key.startswith(INSTANCES):
        return f"{INSTANCES}*"
    if key.startswith(ASKED):
        return f"{ASKED}*"
    if key.startswith((SUBMISSIONS, CALLBACKS, DELIVERIES)):
        return f"{key.partition('.')[0]}.*"
    if not key.startswith(RESULTS):
        return key
    root, _, name = key.split("/", 2)
    return f"{root}/*/{name}"
