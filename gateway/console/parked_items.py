"""Parked items that a form names, retried or discarded together."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway import errors
from gateway.audit.trail import note_partial
from gateway.console.access import check_form
from gateway.console.forms import read_form
from gateway.schemas.patterns import PARKED_ID_PATTERN

if TYPE_CHECKING:
    from fastapi import Request

    from gateway.http.dependencies import Gateway

PAGE = 50
"""Items on a page, and of one form."""

_PARKED_ID = re.compile(PARKED_ID_PATTERN)


async def settle_ticked(request: Request, gateway: Gateway, *, discards: bool) -> str:
    """Retry or discard each of the form's items; return the outcome as the next page's query.

    One that fails stays parked and is counted.

    Raises
    ------
    StaleFormError, ForeignOriginError, BodyTooLargeError, MalformedRequestError
    """
    form = await read_form(request, gateway)
    check_form(request, gateway, form.get("csrf"))
    done = failed = 0
    for parked_id in dict.fromkeys(form.all("item")[:PAGE]):
        try:
            if not _PARKED_ID.fullmatch(parked_id):
                raise errors.ParkedItemNotFoundError
            if discards:
                await gateway.parked.discard(parked_id)
            else:
                await gateway.parked.retry(parked_id)
            done += 1
        except errors.RadStreamError:
            failed += 1
    if failed:
        note_partial()
    return f"done={done}&failed={failed}"
