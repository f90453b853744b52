"""Notices of complete studies to a webhook of the routing document, signed as callbacks are."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp

from gateway.delivery.client_tls import client_context
from gateway.delivery.secret_files import secret_in
from gateway.delivery.webhook_client import signed_headers, webhooks
from gateway.errors import (
    CallbackUnansweredError,
    DeliveryRefusedError,
    DeliveryUnansweredError,
    InvalidCallbackError,
)
from gateway.schemas.routing_destinations import DestinationTls

if TYPE_CHECKING:
    import ssl

    from gateway.delivery.transport import Rendering
    from gateway.delivery.webhook_client import WebhookAnswer
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.routing_destinations import WebhookDestination

_FEWEST_CHARACTERS = 32
# What the receiver will answer again, however often it is told: it understands no such notice.
_REFUSALS = frozenset({400, 410, 413, 415, 422})
_DENIED = frozenset({401, 403})
_SERVER_ERRORS = 500


class WebhookTransport:
    """The way to one webhook.

    Parameters
    ----------
    destination
        The webhook. Its host may be on a private address, which the operator chose, and never on a
        link-local one.
    """

    def __init__(self, destination: WebhookDestination) -> None:
        self._destination = destination

    def close(self) -> None:
        """Do nothing: no connection is open."""

    async def send(self, rendering: Rendering, deadline: Deadline) -> None:
        """Post the notice; see `Transport.send`."""
        answer = await self._ask("POST", rendering.uid, rendering.data, deadline)
        if answer.is_success:
            return
        reason = f"it answered {answer.status}"
        if answer.status in _REFUSALS:
            raise DeliveryRefusedError(reason)
        raise DeliveryUnansweredError(reason, is_sent=True, retry_after_s=answer.retry_after_s)

    async def is_held(self, rendering: Rendering, deadline: Deadline) -> bool | None:
        """Return None: a webhook has no question for what it was told."""
        del rendering, deadline
        return None

    async def check(self, deadline: Deadline) -> str:
        """Ask by HEAD, signed as a notice is; an answer that takes no HEAD is one, too."""
        answer = await self._ask("HEAD", "check", b"", deadline)
        if answer.status in _DENIED:
            raise DeliveryRefusedError(f"it refused the signature with status {answer.status}")
        if answer.status >= _SERVER_ERRORS:
            raise DeliveryRefusedError(f"it answered HEAD with status {answer.status}")
        return f"it answers: status {answer.status} to HEAD"

    async def _ask(
        self, method: str, delivery: str, body: bytes, deadline: Deadline
    ) -> WebhookAnswer:
        context, secret = await asyncio.to_thread(self._opening)
        async with webhooks(
            context=context, private_addresses=True, timeout_s=deadline.remaining_s()
        ) as webhook:
            headers = signed_headers(secret, delivery, body)
            try:
                return await webhook.ask(method, self._destination.url, body, headers)
            except InvalidCallbackError as error:
                raise DeliveryRefusedError(error.reason) from error
            except CallbackUnansweredError as error:
                if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                    raise DeliveryUnansweredError("no connection came about") from error
                reason = "it did not answer in time"
                raise DeliveryUnansweredError(reason, is_sent=True) from error

    def _opening(self) -> tuple[ssl.SSLContext, str]:
        """Return the TLS context and the secret, from their files.

        Raises
        ------
        DeliveryUnansweredError
        """
        secret = secret_in(self._destination.secret_file)
        if len(secret) < _FEWEST_CHARACTERS:
            raise DeliveryUnansweredError(f"its secret has under {_FEWEST_CHARACTERS} characters")
        return client_context(self._destination.tls or DestinationTls()), secret
