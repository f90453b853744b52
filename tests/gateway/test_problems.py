"""Every error is a kind of problem, and no problem tells what was sent."""

from collections.abc import Iterator
from dataclasses import fields

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient

from gateway import errors, problems
from gateway.errors import Fault, RadStreamError
from gateway.http.problems import install, response_of
from tests.gateway.http.requests.test_study_request import BAD
from tests.support.gateway import LiveGateway, metadata, multipart
from tests.support.models import flat_png

MARK = "Mustermann^Erika"


def subclasses(kind: type[RadStreamError]) -> Iterator[type[RadStreamError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from subclasses(subclass)


ERRORS = sorted(set(subclasses(RadStreamError)), key=lambda kind: kind.__name__)


def example(kind: type[RadStreamError]) -> RadStreamError:
    """An error with something in each of its fields."""
    values: dict[str, object] = {
        "faults": (Fault("/view", "is required"),),
        "accepted": ("chest: DX, CHEST, AP",),
        "served": ("chest",),
        "limit": 16,
        "limit_bytes": 64,
        "number": 3,
        "images": 2,
    }
    return kind(*(values.get(field.name, "a reason") for field in fields(kind)))


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_has_a_kind_of_its_own_or_of_its_base(kind: type[RadStreamError]):
    assert problems.kind_of(example(kind)) in problems.KINDS.values()


@pytest.mark.parametrize("kind", ERRORS)
def test_every_error_becomes_a_whole_problem(kind: type[RadStreamError]):
    error = example(kind)
    response = response_of(error, "r-1")
    assert response.status_code == problems.kind_of(error).status
    assert response.media_type == "application/problem+json"
    body = bytes(response.body).decode()
    assert "{" not in body.partition('"detail":')[2].partition('"instance"')[0]
    assert '"instance":"urn:radstream:request:r-1"' in body
    assert ("errors" in body) == hasattr(error, "faults")


def test_kinds_of_one_name_say_the_same():
    by_name: dict[str, set[tuple[int, str]]] = {}
    for kind in problems.all_kinds():
        by_name.setdefault(kind.name, set()).add((kind.status, kind.title))
    assert {name: len(said) for name, said in by_name.items()} == dict.fromkeys(by_name, 1)


def test_what_may_be_sent_again_says_when():
    for kind in problems.KINDS.values():
        assert (kind.retry_after_s is not None) == (kind.status in {429, 503}), kind.name


def test_an_error_without_a_kind_is_nobodys_business():
    class ForgottenError(RadStreamError, label="ForgottenError"):
        pass

    assert problems.kind_of(ForgottenError()).status == 500


def test_a_problem_says_when_to_come_back():
    response = response_of(errors.InferenceUnavailableError("down"), None)
    assert response.headers["retry-after"] == "2"


async def test_the_frameworks_own_refusals_are_problems_too():
    app = FastAPI()
    install(app)

    @app.get("/number/{number}")
    async def number(number: int) -> int:
        return number

    async with AsyncClient(transport=ASGITransport(app), base_url="http://test") as client:
        missing = await client.get("/nothing")
        refused = await client.delete("/number/1")
        invalid = await client.get(f"/number/{MARK}")
    assert missing.json()["type"] == "urn:radstream:problem:not-found"
    assert refused.json()["type"] == "urn:radstream:problem:method-not-allowed"
    assert refused.headers["allow"] == "GET, HEAD"
    assert invalid.json()["errors"][0]["pointer"] == "path/number"
    assert MARK not in invalid.text


async def test_no_problem_repeats_what_was_sent(gateway: LiveGateway):
    # All of these fields can hold a patient's name by mistake, and whoever gets a problem logs it.
    texts = [MARK, MARK.upper().replace("^", " ")]  # the second is a DICOM code string
    documents = [
        metadata(**{name: text}) for text in texts for name in ("study_id", "view", "timestamp")
    ]
    documents += [metadata(model=MARK), metadata(model={"name": MARK, "version": MARK})]
    documents += [metadata(annotations=MARK), metadata(image_size={"width": MARK})]
    for document in documents:
        answer = await gateway.client.post("/v1/studies", **multipart(document, flat_png(1)))
        assert answer.is_client_error, document
        assert not any(text in answer.text for text in texts)


async def test_nothing_foreseeable_is_an_internal_error(gateway: LiveGateway):
    assert all(status < 500 for _, status, _, _ in BAD.values())
    for path in ("/v1/studies/..%2f..%2fetc", "/v1/studies/%00", "/v1/studies/%ff/images/1/"):
        assert (await gateway.client.get(path)).is_client_error
