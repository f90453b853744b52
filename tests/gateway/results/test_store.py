"""Studies in the store: each one document, whoever races, and whatever dies in between."""

import asyncio
import datetime as dt
import hashlib
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import StudyConflictError, StudyNotFoundError, UnreadableDocumentError
from gateway.results.documents import FrameReading, Reading
from gateway.results.image_writes import NewImage
from gateway.results.joins import Request
from gateway.results.store import Added, Known, ResultStore
from gateway.results.study_documents import StudyDocuments
from gateway.results.view import study_result
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.result import Finding, ModelVersion, Status, StudyResult
from gateway.storage.folder import FolderStore
from gateway.storage.protocol import ObjectStore
from tests.support.store import MemoryStore
from tests.support.turns import Turns

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MODEL = ModelVersion(name="brightness", version="1")


def metadata(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


def reading(
    image: bytes, *, minute: int = 0, probability: float = 0.75, model: ModelVersion = MODEL
) -> Reading:
    finding = Finding(
        label="bright", probability=probability, threshold=0.5, positive=probability >= 0.5
    )
    at = NOON + dt.timedelta(minutes=minute)
    return Reading(
        study_id="S1",
        sha256=hashlib.sha256(image).hexdigest(),
        media_type="image/png",
        object="image-00000000.png",
        model=model,
        received_at=at,
        completed_at=at,
        timings_ms={},
        warnings=(),
        metadata={"view": "AP"},
        frames=(FrameReading(rows=1, columns=1, bits_stored=8, findings=(finding,)),),
    )


@pytest.fixture
def objects() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def results(objects: MemoryStore) -> ResultStore:
    return results_on(objects)


def results_on(objects: ObjectStore, **changes: Any) -> ResultStore:
    """Another gateway on the store."""
    return ResultStore(objects, StudyDocuments(objects, **changes))


async def add(results: ResultStore, image: bytes, **fields: Any) -> Added:
    return await stored(results, (image, reading(image)), **fields)


async def stored(results: ResultStore, *images: tuple[bytes, Reading], **fields: Any) -> Added:
    """What the pipeline does with a study, but for the reading itself."""
    document = metadata(**fields)
    known = await results.known(document)
    return await joined(results, known, *images, **fields)


async def joined(
    results: ResultStore, known: Known, *images: tuple[bytes, Reading], **fields: Any
) -> Added:
    new = [NewImage(item.sha256, item.media_type, data) for data, item in images]
    writes = results.write_images("S1", new)
    await writes.done()
    named = [
        item.model_copy(update={"object": name})
        for (_, item), name in zip(images, writes.names, strict=True)
    ]
    request = Request(
        metadata(**fields),
        NOON,
        fresh=named,
        processed={f"image[{place}]": item for place, item in enumerate(named)},
    )
    try:
        added = await results.add("S1", known, request)
    except StudyConflictError:
        await writes.remove()
        raise
    await writes.remove(kept={item.object for item in added.readings})
    return added


def document(objects: MemoryStore) -> dict[str, Any]:
    return dict(json.loads(objects.objects["results/S1/result.json"]))


def calls(objects: MemoryStore) -> list[str]:
    found = [call for call, _ in objects.calls]
    objects.calls.clear()
    return found


def sha256(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()


async def test_study_is_one_document_and_its_images(results: ResultStore, objects: MemoryStore):
    await add(results, b"abc")
    # SHA-256 of "abc": FIPS 180-4, example B.1.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    [key, other] = sorted(objects.objects)
    assert re.fullmatch(rf"results/S1/images/{digest}/image-[0-9a-f]{{8}}\.png", key)
    assert other == "results/S1/result.json"
    assert objects.objects[key] == b"abc"


async def test_document_is_the_public_result_with_the_record_beside_it(
    results: ResultStore, objects: MemoryStore
):
    added = await add(results, b"a", patient_id="P1")
    stored = document(objects)
    assert StudyResult.model_validate(stored) == added.result
    assert stored["schema"] == "radstream.result/2"
    assert stored.pop("record")["identity"] == {"patient_id": "P1"}
    assert "P1" not in json.dumps(stored)


async def test_reading_comes_back_as_it_was_stored(results: ResultStore):
    await add(results, b"a")
    known = await results.known(metadata())
    found = await results.reading("S1", known, sha256(b"a"), MODEL)
    assert found is not None
    changes = {"number": 1, "object": found.object}
    assert found == reading(b"a").model_copy(update=changes)
    assert await results.reading("S1", known, sha256(b"b"), MODEL) is None
    other = ModelVersion(name="brightness", version="2")
    assert await results.reading("S1", known, sha256(b"a"), other) is None
    assert await results.image(found) == b"a"


async def test_reading_is_stored_once(results: ResultStore, objects: MemoryStore):
    first, second = reading(b"a", probability=0.75), reading(b"a", probability=0.25)
    await stored(results, (b"a", first))
    before = dict(objects.objects)
    again = await stored(results, (b"a", second))
    assert [item.frames for item in again.readings] == [first.frames]
    assert objects.objects == before


async def test_each_model_version_has_a_reading_under_the_same_image(results: ResultStore):
    other = ModelVersion(name="brightness", version="2")
    await stored(results, (b"a", reading(b"a")), (b"b", reading(b"b")))
    view = (await stored(results, (b"a", reading(b"a", minute=1, model=other)))).result
    assert [(image.number, image.sha256) for image in view.images] == [
        (1, sha256(b"a")),
        (2, sha256(b"b")),
    ]
    versions = [[each.model.version for each in image.readings] for image in view.images]
    assert versions == [["1", "2"], ["1"]]


async def test_images_keep_the_number_they_joined_under(results: ResultStore):
    images = [b"c", b"a", b"b"]
    for minute, image in enumerate(images):
        view = (await stored(results, (image, reading(image, minute=minute)))).result
    assert [i.sha256 for i in view.images] == [sha256(i) for i in images]
    assert [i.number for i in view.images] == [1, 2, 3]
    assert (view.status, view.received_at) == (Status.COMPLETED, NOON)
    assert view.completed_at == NOON + dt.timedelta(minutes=2)


async def test_study_nobody_sent_is_not_found(results: ResultStore):
    assert await results.record("S1") is None
    with pytest.raises(StudyNotFoundError):
        await results.readings("S1")


async def test_only_what_this_model_version_read_was_read_before(results: ResultStore):
    other = ModelVersion(name="brightness", version="11")
    await stored(results, (b"a", reading(b"a")), (b"b", reading(b"b", model=other)))
    known = await results.known(metadata())
    for model, read in ((MODEL, b"a"), (other, b"b")):
        before = known.read_by(model)
        assert [image for image in (b"a", b"b") if sha256(image) in before] == [read]


async def test_image_that_is_gone_is_told_as_missing(results: ResultStore, objects: MemoryStore):
    with pytest.raises(StudyNotFoundError):  # with its study
        await results.image(reading(b"a"))
    [stored] = (await add(results, b"a")).readings
    del objects.objects[f"results/S1/images/{sha256(b'a')}/{stored.object}"]
    with pytest.raises(UnreadableDocumentError):
        await results.image(stored)


# --- requests to the store -----------------------------------------------------------------------


async def test_new_study_costs_three_requests_and_one_that_grows_two(
    results: ResultStore, objects: MemoryStore
):
    await add(results, b"a")
    assert calls(objects) == ["read", "replace", "swap"]
    await add(results, b"b")
    assert calls(objects) == ["replace", "swap"]
    elsewhere = results_on(objects)
    await add(elsewhere, b"c")
    assert calls(objects) == ["read", "replace", "swap"]


async def test_same_image_again_costs_one_request(results: ResultStore, objects: MemoryStore):
    await add(results, b"a")
    calls(objects)
    for gateway in (results, results_on(objects)):
        known = await gateway.known(metadata())
        found = await gateway.reading("S1", known, sha256(b"a"), MODEL)
        assert found is not None
        request = Request(metadata(), NOON, fresh=(), processed={"image": found}, alone=True)
        view = (await gateway.add("S1", known, request)).result
        assert [image.sha256 for image in view.images] == [sha256(b"a")]
        assert calls(objects) == ["read"]


async def test_images_of_one_study_that_come_at_once_share_a_swap(
    results: ResultStore, objects: MemoryStore
):
    await add(results, b"first")
    calls(objects)
    images = [bytes([number]) for number in range(8)]
    await asyncio.gather(*(add(results, image) for image in images))
    assert Counter(calls(objects)) == {"replace": 8, "swap": 1}
    assert len(document(objects)["images"]) == 9


# --- pages ---------------------------------------------------------------------------------------


async def grown(objects: MemoryStore, count: int) -> ResultStore:
    results = results_on(objects, longest_bytes=8_000)
    for number in range(count):
        await add(results, b"%d" % number)
    return results


async def test_answer_of_a_long_study_has_the_images_of_the_request(objects: MemoryStore):
    results = await grown(objects, 40)
    view = (await add(results, b"new")).result
    assert view.images[-1].number == 41
    assert view.earlier_images == 41 - len(view.images)
    record = await results.record("S1")
    assert record is not None
    whole = study_result(record, await results.earlier(record), whole=True)
    assert ([image.number for image in whole.images], whole.earlier_images) == (
        list(range(1, 42)),
        None,
    )


async def test_image_on_a_page_is_known_again(objects: MemoryStore):
    await grown(objects, 40)
    for gateway in (results_on(objects), results_on(objects, longest_bytes=8_000)):
        known = await gateway.known(metadata())
        assert sha256(b"0") in known.read_by(MODEL)
        found = await gateway.reading("S1", known, sha256(b"0"), MODEL)
        assert found is not None
        assert found.number == 1


async def test_image_on_a_page_is_not_stored_twice(objects: MemoryStore):
    """As where another gateway has stored it, and a page of it, since this one looked."""
    late = results_on(objects, longest_bytes=8_000)
    known = await late.known(metadata())
    await grown(objects, 40)
    added = await joined(late, known, (b"0", reading(b"0", minute=9)))
    assert [item.number for item in added.readings] == [1]
    assert added.readings[0].completed_at == NOON
    assert added.result.images[0].number == 1
    assert len(await late.readings("S1")) == 40


async def test_image_on_a_page_keeps_its_number_for_another_model(objects: MemoryStore):
    results = await grown(objects, 40)
    other = ModelVersion(name="brightness", version="2")
    view = (await stored(results, (b"0", reading(b"0", model=other)))).result
    assert [image.number for image in view.images if image.sha256 == sha256(b"0")] == [1]
    record = await results.record("S1")
    assert record is not None
    assert record.images == 40
    whole = study_result(record, await results.earlier(record), whole=True)
    assert [each.model.version for each in whole.images[0].readings] == ["1", "2"]


# --- who a study is about ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "sent", "conflicts"),
    [
        ({}, {}, []),
        ({"patient_id": "P1"}, {}, []),
        ({}, {"patient_id": "P1"}, []),
        ({"patient_id": "P1"}, {"patient_id": "P1", "accession_number": "A1"}, []),
        ({"patient_id": "P1"}, {"patient_id": "P2"}, ["/patient_id"]),
        ({"patient_id": "P1"}, {"patient_id": "p1"}, ["/patient_id"]),
        ({"accession_number": "A1"}, {"accession_number": "A2"}, ["/accession_number"]),
        (
            {"patient_id": "P1", "accession_number": "A1"},
            {"patient_id": "P2", "accession_number": "A2"},
            ["/patient_id", "/accession_number"],
        ),
    ],
)
async def test_documents_of_one_study_must_agree_on_whom_it_is_about(
    results: ResultStore,
    objects: MemoryStore,
    stored: dict[str, str],
    sent: dict[str, str],
    conflicts: list[str],
):
    await add(results, b"a", **stored)
    before = dict(objects.objects)
    for call in (results.known(metadata(**sent)), add(results, b"b", **sent)):
        if not conflicts:
            await call
            continue
        with pytest.raises(StudyConflictError) as caught:
            await call
        assert [fault.pointer for fault in caught.value.faults] == conflicts
        assert not any(value in str(caught.value) for value in ("P1", "P2", "A1", "A2"))
        assert objects.objects == before


async def test_attribute_first_given_later_holds_from_then_on(
    results: ResultStore, objects: MemoryStore
):
    await add(results, b"a")
    await add(results, b"b", patient_id="P1")
    await add(results, b"c", accession_number="A1")
    for sent in ({"patient_id": "P2"}, {"accession_number": "A2"}):
        with pytest.raises(StudyConflictError):
            await results.known(metadata(**sent))
        with pytest.raises(StudyConflictError):
            await add(results, b"d", **sent)
    await add(results, b"e", patient_id="P1", accession_number="A1")
    assert document(objects)["record"]["identity"] == {"patient_id": "P1", "accession_number": "A1"}


async def test_check_of_identity_writes_nothing(results: ResultStore, objects: MemoryStore):
    await results.known(metadata(patient_id="P1"))
    assert objects.objects == {}


# --- races and crashes ---------------------------------------------------------------------------


async def admitted(results: ResultStore, image: bytes, minute: int, **fields: Any) -> StudyResult:
    return (await stored(results, (image, reading(image, minute=minute)), **fields)).result


IDENTITIES = st.fixed_dictionaries(
    {},
    optional={
        "patient_id": st.sampled_from(["P1", "P2"]),
        "accession_number": st.sampled_from(["A1", "A2"]),
    },
)


@settings(max_examples=150)
@given(data=st.data(), count=st.integers(2, 4))
async def test_view_has_every_reading_whoever_raced(data: st.DataObject, count: int):
    turns = Turns()
    objects = MemoryStore(turns.turn)
    images = [data.draw(st.sampled_from([b"a", b"b", b"c"])) for _ in range(count)]
    outcomes = await turns.run(
        lambda waiting: data.draw(st.integers(0, waiting - 1)),
        *(admitted(results_on(objects), image, i) for i, image in enumerate(images)),
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    view = json.loads(objects.objects["results/S1/result.json"])
    hashes = {hashlib.sha256(image).hexdigest() for image in images}
    assert sorted(image["sha256"] for image in view["images"]) == sorted(hashes)
    for outcome, image in zip(outcomes, images, strict=True):
        assert hashlib.sha256(image).hexdigest() in {i.sha256 for i in outcome.images}
    swapped = {key for call, key in objects.calls if call == "swap"}
    assert swapped == {"results/S1/result.json"}
    numbers = [image["number"] for image in view["images"]]
    assert numbers == list(range(1, len(hashes) + 1))


@settings(max_examples=300)
@given(data=st.data(), sent=st.lists(IDENTITIES, min_size=2, max_size=4))
async def test_two_patients_never_share_a_study_and_a_refused_one_leaves_no_trace(
    data: st.DataObject, sent: list[dict[str, str]]
):
    turns = Turns()
    objects = MemoryStore(turns.turn)
    outcomes = await turns.run(
        lambda waiting: data.draw(st.integers(0, waiting - 1)),
        *(admitted(results_on(objects), bytes([i]), i, **fields) for i, fields in enumerate(sent)),
    )
    assert {type(outcome) for outcome in outcomes} <= {StudyResult, StudyConflictError}
    accepted = [
        fields
        for fields, outcome in zip(sent, outcomes, strict=True)
        if isinstance(outcome, StudyResult)
    ]
    for name in ("patient_id", "accession_number"):
        assert len({fields[name] for fields in accepted if name in fields}) <= 1
    assert accepted
    agreed = {name: value for fields in accepted for name, value in fields.items()}
    stored = document(objects)
    assert stored["record"]["identity"] == agreed
    assert len(stored["images"]) == len(accepted)
    images = [key for key in objects.objects if "/images/" in key]
    assert len(images) == len(accepted)  # what was refused leaves none


@settings(max_examples=100)
@given(data=st.data(), kill_after=st.integers(0, 12))
async def test_gateway_that_dies_anywhere_leaves_what_the_next_one_completes(
    data: st.DataObject, kill_after: int
):
    turns = Turns()
    objects = MemoryStore(turns.turn)
    await turns.run(
        lambda waiting: data.draw(st.integers(0, waiting - 1)),
        admitted(results_on(objects), b"a", 0, patient_id="P1"),
        kill_after=kill_after,
    )
    if "results/S1/result.json" in objects.objects:  # whoever finds a reading finds its image
        [kept] = document(objects)["record"]["readings"]
        assert f"results/S1/images/{kept['sha256']}/{kept['object']}" in objects.objects
    [view] = await turns.run(lambda _: 0, admitted(results_on(objects), b"a", 1, patient_id="P1"))
    assert len(view.images) == 1
    [kept] = document(objects)["record"]["readings"]
    assert objects.objects[f"results/S1/images/{kept['sha256']}/{kept['object']}"] == b"a"


async def test_two_gateways_on_one_folder_store_one_reading_and_answer_with_it(tmp_path: Path):
    gateways = [results_on(FolderStore(tmp_path)) for _ in range(8)]
    await FolderStore(tmp_path).open()
    readings = [reading(b"a", minute=i) for i in range(8)]
    outcomes = await asyncio.gather(
        *(stored(gateway, (b"a", one)) for gateway, one in zip(gateways, readings, strict=True))
    )
    [winner] = {one.received_at for added in outcomes for one in added.readings}
    assert winner in {one.received_at for one in readings}
    assert all(added.result.images == outcomes[0].result.images for added in outcomes)
