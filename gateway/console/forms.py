"""Forms that pages of the console send.

Not Starlette's: it takes a body of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gateway.errors import (
    BodyTooLargeError,
    ForeignOriginError,
    MalformedRequestError,
    StaleFormError,
)
from gateway.http.requests.access import is_local
from gateway.http.requests.body import body_pieces

if TYPE_CHECKING:
    from fastapi import Request

    from gateway.http.dependencies import Gateway

_MOST_BYTES = 64 * 2**10
_MOST_FIELDS = 500
# Values of Sec-Fetch-Site, which a page cannot write, for forms of these pages and for addresses
# that a person typed. Browsers send it over TLS and on loopback.
_OWN = {"same-origin", "none"}


class Form(dict[str, str]):
    """The fields of a form; of a name that comes several times the last one counts here.

    Attributes
    ----------
    pairs : list of tuple of str
        All of them, in their order.
    """

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs

    def all(self, name: str) -> list[str]:
        """Return every value of a name."""
        return [value for field, value in self.pairs if field == name]


async def read_form(request: Request, gateway: Gateway, *, most_bytes: int = _MOST_BYTES) -> Form:
    """Return the fields of a form in application/x-www-form-urlencoded.

    Raises
    ------
    ForeignOriginError
        Without keys: the form is of another site.
    StaleFormError
        The form is of another site, also where there is no session yet that it could be of: it
        would sign a person in as somebody else.
    BodyTooLargeError, MalformedRequestError
    """
    if not gateway.authentication.is_asked and not is_local(request):
        raise ForeignOriginError
    if request.headers.get("sec-fetch-site", "none") not in _OWN:
        raise StaleFormError
    body = bytearray()
    async for piece in body_pieces(request, gateway.settings.http):
        body += piece
        if len(body) > most_bytes:
            raise BodyTooLargeError(most_bytes)
    try:
        return Form(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError as error:
        raise MalformedRequestError("The form is not encoded as one.") from error
