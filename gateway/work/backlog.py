"""Work that was promised, kept in the store until it is done; any gateway on the store may do it.

Under ``{root}{study_id}/{id}/``, where the id begins with the time it came:

``work.json``
    What is to be done. It is written last: with it the work is promised, without it never was.
other names of the work's own
    What it needs, such as images.
``progress.json``
    A `Progress`, replaced with every attempt.
``failed.json``
    A `Failure`: nobody begins the work any more until an operator has it tried again.
``claims/…``
    Who is at it now; see `gateway.work.leases`.

All of it goes when the work is done. Doing it twice must do no harm: a gateway that has lost its
lease may still be at it.

Not Celery, arq or SQS: each keeps its work with a broker, and state is to lie in the store alone.
"""

from __future__ import annotations

import datetime as dt
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from pydantic import BaseModel

from gateway.errors import UnreadableDocumentError
from gateway.runtime.concurrency import together
from gateway.storage.documents import create_document, read_or_none, replace_document
from gateway.work.documents import Failure, Progress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from gateway.storage.protocol import ObjectStore
    from gateway.work.leases import Leases

T = TypeVar("T", bound=BaseModel)

_TIME = "%Y%m%dT%H%M%SZ"
_WORK, _PROGRESS, _FAILED = "work.json", "progress.json", "failed.json"
# Whoever has been writing a piece of work for so long has died over it.
_ABANDONED_S = 3600.0


@dataclass(frozen=True, slots=True)
class Work:
    """A piece of work, by its name.

    Parameters
    ----------
    study_id
        The study that it is for.
    id
        Its own.
    failed
        Whether it had failed for good when it was looked up.
    """

    study_id: str
    id: str
    failed: bool = False

    @property
    def path(self) -> str:
        """Its keys, less the root."""
        return f"{self.study_id}/{self.id}"

    @property
    def came_at(self) -> dt.datetime | None:
        """Return when it came, to the second; None where its id was not made here."""
        try:
            moment = dt.datetime.strptime(self.id.partition("-")[0], _TIME)  # noqa: DTZ007 - its Z
        except ValueError:
            return None
        return moment.replace(tzinfo=dt.UTC)


class Backlog(Generic[T]):
    """All work of one kind on one store.

    Parameters
    ----------
    objects
        The store.
    root
        What the keys begin with, ending in a slash.
    document
        What `work.json` is.
    leases
        On this root.
    abandoned_s
        Seconds after which work that was begun to be written is taken for abandoned.
    """

    def __init__(
        self,
        objects: ObjectStore,
        *,
        root: str,
        document: type[T],
        leases: Leases,
        abandoned_s: float = _ABANDONED_S,
    ) -> None:
        self.root = root
        self._objects = objects
        self._document = document
        self._leases = leases
        self._abandoned_s = abandoned_s
        self._begun: dict[str, float] = {}

    async def add(
        self,
        study_id: str,
        document: T,
        blobs: Mapping[str, bytes | memoryview],
        *,
        work_id: str | None = None,
    ) -> Work:
        """The work, which is durable from now on.

        Parameters
        ----------
        study_id, document
            What it is for, and what is to be done.
        blobs
            What it needs, by name.
        work_id
            That of the work it follows from: added again, it is the same work. A new one if None.
        """
        fresh_id = f"{dt.datetime.now(dt.UTC):{_TIME}}-{secrets.token_hex(8)}"
        work = Work(study_id, work_id or fresh_id)
        await together(
            self._objects.create(self._key(work, name), data, media_type="application/octet-stream")
            for name, data in blobs.items()
        )
        await create_document(self._objects, self._key(work, _WORK), document)
        return work

    async def survey(self) -> list[Work]:
        """All work there is, oldest first.

        What was never promised is removed meanwhile, once its writer must have died over it.
        """
        listed = await self._listed(self.root)
        now = time.monotonic()  # a clock that is set must not cost what is being written
        begun = [work.path for work, names in listed.items() if _WORK not in names]
        self._begun = {path: self._begun.get(path, now) for path in begun}
        for path, since in self._begun.items():
            if now - since >= self._abandoned_s:
                await self._objects.purge(f"{self.root}{path}/")
        return sorted(_promised(listed), key=lambda work: work.id)

    async def of(self, study_id: str) -> list[Work]:
        """All work there is for a study, oldest first."""
        return _promised(await self._listed(f"{self.root}{study_id}/"))

    async def studies(self, *, after: str, limit: int) -> list[str]:
        """Ids of studies that there is work for, beyond `after`."""
        return list(await self._objects.folders(self.root, after=after, limit=limit))

    async def document(self, work: Work) -> T | None:
        """Return the document of the work; None where it is done."""
        return await read_or_none(self._objects, self._document, self._key(work, _WORK))

    async def blob(self, work: Work, name: str) -> bytes:
        """Return the bytes that the work has under this name.

        Raises
        ------
        ObjectNotFoundError
            The work is done.
        """
        return await self._objects.read(self._key(work, name))

    async def begun(self, work: Work) -> tuple[T, Progress] | None:
        """Return the work's document and progress; None once it is done or failed for good."""
        names = (await self._listed(f"{self.root}{work.path}/")).get(Work(work.study_id, work.id))
        if not names or _WORK not in names or _FAILED in names:
            return None
        document = await self.document(work)
        progress = await self.progress(work) if _PROGRESS in names else Progress()
        return None if document is None else (document, progress)

    async def progress(self, work: Work) -> Progress:
        """Return how far it has come; not at all where the note of it cannot be read."""
        try:
            key = self._key(work, _PROGRESS)
            return await read_or_none(self._objects, Progress, key) or Progress()
        except UnreadableDocumentError:
            return Progress()

    async def note(self, work: Work, progress: Progress) -> None:
        """Keep how far it has come."""
        await replace_document(self._objects, self._key(work, _PROGRESS), progress)

    async def failure(self, work: Work) -> Failure | None:
        """Return the reason why it failed for good; None unless it did."""
        return await read_or_none(self._objects, Failure, self._key(work, _FAILED))

    async def fail(self, work: Work, failure: Failure) -> None:
        """Keep that it failed for good."""
        await create_document(self._objects, self._key(work, _FAILED), failure)

    async def revive(self, work: Work) -> None:
        """Have it done after all."""
        before = await self.progress(work)
        await self.note(work, Progress(attempts=before.attempts))
        await self._objects.delete(self._key(work, _FAILED))

    async def finish(self, work: Work) -> None:
        """Forget it, and all that it needed."""
        await self._objects.delete(self._key(work, _WORK))  # first, so that nobody begins it
        await self._objects.purge(f"{self.root}{work.path}/")

    def held(self, work: Work) -> AbstractAsyncContextManager[None]:
        """Hold the lease on the work during the block.

        Raises
        ------
        DeliveryUnfinishedError
            Another gateway is at it.
        """
        return self._leases.held(f"{work.path}/claims", f"{self.root}{work.path}")

    def key(self, work: Work) -> str:
        """Return the key that a parked item has for the work."""
        return f"{self.root}{work.path}"

    def named(self, key: str) -> Work | None:
        """The work that `key` is of; None where it is none of this kind."""
        study_id, _, work_id = key.removeprefix(self.root).partition("/")
        return Work(study_id, work_id) if key.startswith(self.root) and work_id else None

    async def _listed(self, prefix: str) -> dict[Work, set[str]]:
        """Names of objects by the work they are of."""
        listed: dict[Work, set[str]] = {}
        for key in await self._objects.keys(prefix):
            study_id, work_id, *names = key.removeprefix(self.root).split("/")
            listed.setdefault(Work(study_id, work_id), set()).update(names[:1])
        return listed

    def _key(self, work: Work, name: str) -> str:
        return f"{self.root}{work.path}/{name}"


def _promised(listed: Mapping[Work, set[str]]) -> list[Work]:
    return [
        Work(work.study_id, work.id, failed=_FAILED in names)
        for work, names in listed.items()
        if _WORK in names
    ]
