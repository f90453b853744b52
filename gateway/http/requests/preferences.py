"""How a caller wants to be answered: at once or when the study is read, and whom to tell then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import InvalidCallbackError

if TYPE_CHECKING:
    from starlette.datastructures import Headers

    from gateway.delivery.webhooks import Callbacks

CALLBACK_HEADER = "RadStream-Callback"
RESPOND_ASYNC = "respond-async"


def wants_async(headers: Headers) -> bool:
    """Whether the caller asks to be answered before the study is read (RFC 7240, section 4.1)."""
    preferences = ",".join(headers.getlist("prefer")).split(",")
    names = (preference.partition(";")[0].partition("=")[0] for preference in preferences)
    return any(name.strip().lower() == RESPOND_ASYNC for name in names)


def callback_of(headers: Headers, callbacks: Callbacks) -> str | None:
    """The URL to call when the study is read; None where nobody wants to be told.

    Raises
    ------
    InvalidCallbackError
        It is none that is called from here, or the caller waits for the answer anyway.
    """
    url = headers.get(CALLBACK_HEADER)
    if url is None:
        return None
    if not wants_async(headers):
        raise InvalidCallbackError("it goes with 'Prefer: respond-async' alone")
    callbacks.check(url)
    return url
