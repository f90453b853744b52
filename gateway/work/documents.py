"""Documents in the store for work that was accepted and is not done yet."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import AwareDatetime, Base64Bytes, Field

from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.stored_document import Identity, Names, StoredDocument


class SubmittedPart(StoredDocument):
    """An image that waits to be processed."""

    part: str = Field(description="Name of the part in the sender's request.")
    object: str = Field(description="Last part of its key.")


class Submission(StoredDocument):
    """A study that was accepted and waits to be processed."""

    schema_: Literal["radstream.submission/1"] = Field("radstream.submission/1", alias="schema")
    received_at: AwareDatetime
    metadata: Base64Bytes | None = Field(None, description="Metadata document, byte for byte.")
    identity: Identity = Field(description="Patient and study identifiers, as far as given.")
    parts: tuple[SubmittedPart, ...]
    image_bytes: int = Field(description="Bytes of all its images, admitted at once.")
    callback: str | None = Field(None, description="URL to call at the end.")
    caller: str = Field("unknown", description="Label of the sender.")
    route: str = Field("rest", description="Route by which it came.")
    context: Names = Field(description="Log fields of the request.")
    traceparent: str | None = Field(None, description="Trace context of the request.")


class PendingCallback(StoredDocument):
    """A callback that waits to be delivered."""

    schema_: Literal["radstream.notice/1"] = Field("radstream.notice/1", alias="schema")
    url: str
    problem: Problem | None = Field(None, description="Problem of a failed study.")
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None, description="Images that could not be processed, though others were."
    )


class Progress(StoredDocument):
    """Attempts at a piece of work so far; replaced as it goes on."""

    schema_: Literal["radstream.progress/1"] = Field("radstream.progress/1", alias="schema")
    attempts: int = Field(0, description="Number of attempts.")
    broken_off: int = Field(0, description="Number of latest attempts in a row without an end.")
    tried_since: AwareDatetime | None = Field(
        None, description="Start of the first attempt, or of the first after an operator's retry."
    )
    not_before: AwareDatetime | None = Field(None, description="Earliest time of the next attempt.")
    problem: Problem | None = Field(None, description="Problem of the last attempt.")

    def wait_s(self) -> float:
        """Return the seconds until the next attempt may begin, at least 0."""
        if self.not_before is None:
            return 0.0
        return max(0.0, (self.not_before - dt.datetime.now(dt.UTC)).total_seconds())


class Failure(StoredDocument):
    """Permanent failure of a piece of work, with its problem."""

    schema_: Literal["radstream.failure/1"] = Field("radstream.failure/1", alias="schema")
    failed_at: AwareDatetime
    attempts: int
    parked: str = Field(description="Id of the parked item.")
    problem: Problem


class Lease(StoredDocument):
    """A piece of work held by one gateway."""

    schema_: Literal["radstream.claim/1"] = Field("radstream.claim/1", alias="schema")
    key: str
    owner: str
    expires_at: AwareDatetime
