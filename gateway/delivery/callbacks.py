"""Callbacks: webhooks that tell a sender that what it sent has come to its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from gateway.delivery.webhook_client import signed_headers
from gateway.errors import (
    CallbackUnansweredError,
    InvalidCallbackError,
    StudyBeingDeletedError,
)
from gateway.results.links import Links
from gateway.schemas.callback import CallbackBody
from gateway.schemas.result import Status, study_path
from gateway.work.documents import PendingCallback
from gateway.work.keys import to_the_second
from gateway.work.states import Standing, WorkStates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.observability.metrics import Metrics
    from gateway.results.store import ResultStore
    from gateway.runtime.deadline import Deadline
    from gateway.schemas.not_processed import NotProcessed
    from gateway.schemas.problem import Problem
    from gateway.work.entries import Entries
    from gateway.work.keys import WorkId
    from gateway.work.worker import Worker

_URL_CHARACTERS = 2048
_HTTPS = 443


class WebhookSender(Protocol):
    """A client that posts webhooks."""

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Send the body.

        Raises
        ------
        InvalidCallbackError, CallbackUnansweredError
        """
        ...


class Callbacks:
    """The intake of notices, which a worker sends.

    Parameters
    ----------
    entries, worker
        Keep the notices, and send them.
    hosts
        Those that may be called, each ``name`` or ``name:port``.
    """

    def __init__(
        self,
        entries: Entries[PendingCallback],
        worker: Worker[PendingCallback],
        *,
        hosts: frozenset[str],
    ) -> None:
        self._entries = entries
        self._worker = worker
        self._hosts = hosts

    def check(self, url: str) -> None:
        """Refuse a URL that is not called from here.

        Raises
        ------
        InvalidCallbackError
        """
        check_url(url, self._hosts)

    async def announce(
        self,
        work: WorkId,
        url: str,
        problem: Problem | None,
        not_processed: Sequence[NotProcessed] = (),
    ) -> None:
        """Keep the notice of a submission's end; it has the submission's id, however often."""
        notice = PendingCallback(
            url=url, problem=problem, not_processed=tuple(not_processed) or None
        )
        entry = await self._entries.add(work, notice)
        self._worker.take(work, to_the_second(work.received_at), entry)


class SendNotice:
    """The job of sending a notice.

    Parameters
    ----------
    sender
        Posts it.
    secret
        Signs it.
    hosts
        Those that may be called now; the setting may have changed since the notice was taken in.
    links
        Make the path that the notice names.
    """

    def __init__(
        self,
        sender: WebhookSender,
        *,
        secret: str,
        hosts: frozenset[str],
        metrics: Metrics,
        links: Links = Links(),  # noqa: B008 - frozen
    ) -> None:
        self._sender = sender
        self._secret = secret
        self._hosts = hosts
        self._metrics = metrics
        self._links = links

    async def perform(self, work: WorkId, document: PendingCallback, deadline: Deadline) -> None:
        """Send it once."""
        del deadline  # the sender has a shorter one of its own
        check_url(document.url, self._hosts)
        body = CallbackBody(
            delivery=work.id,
            study_id=work.study_id,
            study=self._links.path(study_path(work.study_id)),
            status=_status(document),
            problem=document.problem,
            not_processed=document.not_processed,
        )
        data = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        try:
            headers = signed_headers(self._secret, work.id, data)
            await self._sender.post(document.url, data, headers)
        except CallbackUnansweredError:
            self._metrics.backlog.callbacks.labels("refused").inc()
            raise
        self._metrics.backlog.callbacks.labels("delivered").inc()

    async def failed(self, work: WorkId, document: PendingCallback, problem: Problem) -> None:
        """Count it; the parked item tells the operator."""
        del work, document, problem
        self._metrics.backlog.callbacks.labels("given_up").inc()

    async def ended(self, work: WorkId, document: PendingCallback) -> None:
        """Do nothing: it was taken."""


class CallbackStates(WorkStates):
    """States of callbacks: each waits for as long as its study is there."""

    def __init__(self, results: ResultStore) -> None:
        self._results = results

    async def standing(self, work: WorkId, *, tried: bool) -> Standing:
        """See `WorkStates.standing`."""
        del tried
        try:
            record = await self._results.record(work.study_id)
        except StudyBeingDeletedError:
            return Standing.DELETED
        return Standing.DELETED if record is None else Standing.PENDING


def _status(notice: PendingCallback) -> Status:
    if notice.problem is not None:
        return Status.FAILED
    return Status.PARTIAL if notice.not_processed else Status.COMPLETED


def check_url(url: str, hosts: frozenset[str]) -> None:
    """Refuse a URL that is none for these hosts.

    Raises
    ------
    InvalidCallbackError
    """
    if not hosts:
        raise InvalidCallbackError("no host may be called from here")
    if len(url) > _URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise InvalidCallbackError("it is no URL of at most 2048 printable ASCII characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidCallbackError("it is no URL") from None
    if parts.scheme != "https" or parts.hostname is None:
        raise InvalidCallbackError("it does not begin with https://")
    if "@" in parts.netloc or "\\" in url or parts.fragment:
        raise InvalidCallbackError("it has credentials, a fragment or a backslash")
    name = parts.hostname.lower()
    named = f"{name}:{port}" if port not in {None, _HTTPS} else name
    if named not in hosts:
        raise InvalidCallbackError("its host is not among those that may be called from here")
