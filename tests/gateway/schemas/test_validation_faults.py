"""Faults of validation, in RadStream's words and without what was validated."""

import datetime as dt
import json
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
)

from gateway.schemas.patterns import HTTPS_URL_PATTERN
from gateway.schemas.validation_faults import faults_of


class First(BaseModel):
    kind: Literal["first"]


class Second(BaseModel):
    kind: Literal["second"]


def _even(number: int) -> int:
    if number % 2:
        raise AssertionError("must be even")
    return number


class Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    number: int = Field(1, ge=1)
    share: float = 0.5
    name: str = Field("ab", min_length=2, max_length=3)
    ready: bool = True
    at: AwareDatetime | None = None
    day: dt.date | None = None
    parts: tuple[First, ...] = Field((), max_length=1)
    some: list[str] = Field(["a"], min_length=1)
    table: dict[str, str] = {}
    either: Annotated[First | Second, Field(discriminator="kind")] | None = None
    url: str = Field("https://a", pattern=HTTPS_URL_PATTERN)
    other: str = Field("a", pattern="^a$")
    file: Path = Path("a")
    network: IPv4Network | None = None
    word: Literal["one", "two"] = "one"
    wait: dt.timedelta | None = None
    pair: Annotated[int, AfterValidator(_even)] = 2


@pytest.mark.parametrize(
    ("document", "pointer", "detail"),
    [
        ({"no": 1}, "/no", "is not a field of this object"),
        ({"number": "MUSTERMANN"}, "/number", "must be a whole number"),
        ({"number": 1.5}, "/number", "must be a whole number"),
        ({"number": []}, "/number", "must be a whole number"),
        ({"number": 0}, "/number", "must be greater than or equal to 1"),
        ({"share": "MUSTERMANN"}, "/share", "must be a number"),
        ({"name": "a"}, "/name", "must have at least 2 characters"),
        ({"name": "MUSTERMANN"}, "/name", "must have at most 3 characters"),
        ({"name": 1}, "/name", "must be text"),
        ({"ready": "MUSTERMANN"}, "/ready", "must be true or false"),
        (
            {"at": "MUSTERMANN"},
            "/at",
            "must be a time that there is, such as 2026-01-31T08:15:00Z",
        ),
        (
            {"at": "2026-01-31T08:15:00"},
            "/at",
            "must have a zone, such as 2026-01-31T08:15:00Z",
        ),
        ({"day": "MUSTERMANN"}, "/day", "must be a date such as 2026-01-31"),
        ({"parts": [{"kind": "first"}] * 2}, "/parts", "must have at most 1 item, not 2"),
        ({"parts": [1]}, "/parts/0", "must be an object"),
        ({"parts": [{}]}, "/parts/0/kind", "is required"),
        ({"parts": 1}, "/parts", "must be a list"),
        ({"some": []}, "/some", "must have at least 1 item, not 0"),
        ({"table": []}, "/table", "must be an object"),
        ({"either": {}}, "/either", "needs 'kind'"),
        (
            {"either": {"kind": "MUSTERMANN"}},
            "/either",
            "has none of these as its 'kind': 'first', 'second'",
        ),
        ({"url": "http://a"}, "/url", "must be an https URL without user and fragment"),
        ({"other": "MUSTERMANN"}, "/other", "must match pattern '^a$'"),
        ({"file": 1}, "/file", "must be a path"),
        ({"network": "MUSTERMANN"}, "/network", "must be an IP address or network"),
        ({"word": "MUSTERMANN"}, "/word", "must be 'one' or 'two'"),
        ({"wait": "MUSTERMANN"}, "/wait", "must be a duration such as PT15M"),
        ({"wait": []}, "/wait", "must be a duration such as PT15M"),
        ({"pair": 3}, "/pair", "must be even"),
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_a_fault_is_told_in_plain_words(
    document: dict[str, Any], pointer: str, detail: str, *, is_json: bool
):
    text = json.dumps(document)
    with pytest.raises(ValidationError) as caught:
        Document.model_validate_json(text) if is_json else Document.model_validate(document)
    [fault] = faults_of(caught.value)
    assert fault.detail == detail
    assert fault.pointer.startswith(pointer)


def test_what_is_no_json_is_told_with_its_place():
    with pytest.raises(ValidationError) as caught:
        Document.model_validate_json("{")
    [fault] = faults_of(caught.value)
    assert (fault.pointer, fault.detail) == (
        "",
        "is not JSON: EOF while parsing an object at line 1 column 1",
    )
