"""Documents in the store for work that was promised and is not done yet."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from pydantic import AwareDatetime, Base64Bytes, Field

from gateway.schemas.not_processed import NotProcessed
from gateway.schemas.problem import Problem
from gateway.schemas.stored_document import Identity, Names, StoredDocument


class SubmittedPart(StoredDocument):
    """An image that waits to be read."""

    part: str = Field(description="What the sender knows it by.")
    object: str = Field(description="The last part of its key.")


class Submission(StoredDocument):
    """A study that was accepted and is yet to be read."""

    schema_: Literal["radstream.submission/1"] = Field("radstream.submission/1", alias="schema")
    received_at: AwareDatetime
    metadata: Base64Bytes | None = Field(None, description="The document, byte for byte.")
    identity: Identity = Field(description="Who the study is about, as far as it says.")
    parts: tuple[SubmittedPart, ...]
    image_bytes: int = Field(description="Of all its images: room is made for them at once.")
    callback: str | None = Field(None, description="Whom to tell of the end.")
    caller: str = Field("unknown", description="Label of whoever sent it.")
    route: str = Field("rest", description="The way in which it came.")
    context: Names = Field(description="Ids of the request, for the log.")
    traceparent: str | None = Field(None, description="Of the request, whose trace goes on.")


class PendingCallback(StoredDocument):
    """A callback that is yet to be taken."""

    schema_: Literal["radstream.notice/1"] = Field("radstream.notice/1", alias="schema")
    url: str
    problem: Problem | None = Field(None, description="Why the study failed; None if it did not.")
    not_processed: tuple[NotProcessed, ...] | None = Field(
        None, description="Images that could not be processed, though others were."
    )


class Progress(StoredDocument):
    """Attempts at a piece of work so far; replaced as it goes on."""

    schema_: Literal["radstream.progress/1"] = Field("radstream.progress/1", alias="schema")
    attempts: int = Field(0, description="How often it was begun.")
    broken_off: int = Field(0, description="How often in a row it was begun and never ended.")
    tried_since: AwareDatetime | None = Field(
        None, description="When it was first begun, or begun again after an operator's retry."
    )
    not_before: AwareDatetime | None = Field(None, description="When it is tried again.")
    problem: Problem | None = Field(None, description="Why the last attempt did not end it.")

    def wait_s(self) -> float:
        """Seconds until it may be tried, 0 at the least."""
        if self.not_before is None:
            return 0.0
        return max(0.0, (self.not_before - dt.datetime.now(dt.UTC)).total_seconds())


class Failure(StoredDocument):
    """Permanent failure of a piece of work, with its problem."""

    schema_: Literal["radstream.failure/1"] = Field("radstream.failure/1", alias="schema")
    failed_at: AwareDatetime
    attempts: int
    parked: str = Field(description="The parked item's id.")
    problem: Problem


class Lease(StoredDocument):
    """A piece of work that one gateway is at now."""

    schema_: Literal["radstream.claim/1"] = Field("radstream.claim/1", alias="schema")
    key: str
    owner: str
    expires_at: AwareDatetime
