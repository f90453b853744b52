"""Problem details for HTTP APIs (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, Field

PROBLEM_MEDIA_TYPE = "application/problem+json"


class ProblemFault(BaseModel):
    """One thing to mend."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) into the document, the name of a part, or a parameter "
        "of the path, the query or the header.",
        examples=["/view", "image[1]", "path/number"],
    )
    detail: str = Field(examples=["is required"])


class Problem(BaseModel):
    """Problem details (RFC 9457): the fault, and what the sender can mend."""

    type: str = Field(examples=["urn:radstream:problem:invalid-metadata"])
    title: str = Field(examples=["Invalid metadata"])
    status: int = Field(examples=[422])
    detail: str
    instance: str | None = Field(None, description="This occurrence: its X-Request-ID.")
    errors: list[ProblemFault] | None = Field(None, description="Every fault, where they are many.")
