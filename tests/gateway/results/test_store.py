"""What is kept of a study: written once, whoever races, and whatever dies in between."""

import asyncio
import datetime as dt
import hashlib
import itertools
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ObjectNotFoundError, StudyConflictError, StudyNotFoundError
from gateway.results.documents import FrameReading, Reading
from gateway.results.store import Added, ResultStore
from gateway.schemas.metadata import StudyMetadata
from gateway.schemas.result import Finding, ModelVersion, Status, StudyResult
from gateway.storage.folder import FolderStore
from tests.support.store import MemoryStore

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
    return ResultStore(objects)


async def unchecked() -> None:
    """Nobody deletes the study."""


async def add(results: ResultStore, image: bytes, **fields: Any) -> Added:
    return await stored(results, (image, reading(image)), **fields)


async def stored(results: ResultStore, *images: tuple[bytes, Reading], **fields: Any) -> Added:
    document = metadata(**fields)
    return await results.add(document, NOON, images, await results.known(document))


async def identity_stored(objects: MemoryStore) -> dict[str, str]:
    known = json.loads(objects.objects["results/S1/study.json"])["identity"]
    for key in sorted(objects.objects):
        if key.startswith("results/S1/identity/"):
            known |= json.loads(objects.objects[key])
    return {name: value for name, value in known.items() if value is not None}


async def test_keys_are_content_addressed(results: ResultStore, objects: MemoryStore):
    await results.rebuild("S1", await add(results, b"abc"), check=unchecked)
    # SHA-256 of "abc": FIPS 180-4, example B.1.
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sorted(objects.objects) == [
        f"results/S1/images/{sha256}/brightness-1.json",
        f"results/S1/images/{sha256}/image.png",
        "results/S1/result.json",
        "results/S1/study.json",
    ]
    assert objects.objects[f"results/S1/images/{sha256}/image.png"] == b"abc"


async def test_reading_comes_back_as_it_was_stored(results: ResultStore):
    await add(results, b"a")
    sha256 = reading(b"a").sha256
    assert await results.reading("S1", sha256, MODEL) == reading(b"a")
    for study_id, version in (("S1", "2"), ("S2", "1")):
        with pytest.raises(ObjectNotFoundError):
            await results.reading(
                study_id, sha256, ModelVersion(name="brightness", version=version)
            )
    assert await results.image(reading(b"a")) == b"a"


async def test_reading_is_written_once(results: ResultStore, objects: MemoryStore):
    first, second = reading(b"a", probability=0.75), reading(b"a", probability=0.25)
    added = await stored(results, (b"a", first))
    assert added.readings == (first,)
    before = dict(objects.objects)
    again = await stored(results, (b"a", second))
    assert (again.readings, again.study) == ((first,), added.study)
    assert objects.objects == before


async def test_each_model_version_has_a_reading_of_its_own(results: ResultStore):
    other = ModelVersion(name="brightness", version="2")
    await stored(results, (b"a", reading(b"a")))
    added = await stored(results, (b"a", reading(b"a", minute=1, model=other)))
    view = await results.rebuild("S1", added, check=unchecked)
    assert [image.model for image in view.images] == [MODEL, other]


async def test_view_lists_images_oldest_first_whatever_their_hashes(results: ResultStore):
    images = [b"c", b"a", b"b"]
    for minute, image in enumerate(images):
        added = await stored(results, (image, reading(image, minute=minute)))
    view = await results.rebuild("S1", added, check=unchecked)
    assert [i.sha256 for i in view.images] == [hashlib.sha256(i).hexdigest() for i in images]
    assert [i.number for i in view.images] == [1, 2, 3]
    assert (view.status, view.received_at) == (Status.COMPLETED, NOON)
    assert view.completed_at == NOON + dt.timedelta(minutes=2)
    assert await results.result("S1") == view


async def test_study_nobody_sent_is_not_found(results: ResultStore):
    with pytest.raises(StudyNotFoundError):
        await results.result("S1")
    with pytest.raises(StudyNotFoundError):
        await results.readings("S1")


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
    assert await identity_stored(objects) == {"patient_id": "P1", "accession_number": "A1"}


async def test_check_of_identity_writes_nothing(results: ResultStore, objects: MemoryStore):
    await results.known(metadata(patient_id="P1"))
    assert objects.objects == {}


# --- races and crashes ---------------------------------------------------------------------------


class Turns:
    """Lets the calls that wait at a store take effect one at a time, in an order that is drawn."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def turn(self) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    async def run(
        self, draw: Callable[[int], int], *work: Coroutine[Any, Any, Any], kill_after: int = -1
    ) -> list[Any]:
        """The outcomes; `kill_after` that many steps the first piece of work dies on the spot."""
        tasks = [asyncio.create_task(each) for each in work]
        try:
            for steps in itertools.count():
                for _ in range(10):  # until all that can go on waits at the store again
                    await asyncio.sleep(0)
                if all(task.done() for task in tasks):
                    break
                if steps == kill_after:
                    tasks[0].cancel()
                elif self._waiting:
                    future = self._waiting.pop(draw(len(self._waiting)))
                    if not future.done():
                        future.set_result(None)
        finally:  # Hypothesis may break off within a draw
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        return outcomes


async def admitted(results: ResultStore, image: bytes, minute: int, **fields: Any) -> Any:
    """What the pipeline does with a study, but for the reading itself."""
    added = await stored(results, (image, reading(image, minute=minute)), **fields)
    return await results.rebuild("S1", added, check=unchecked)


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
        *(admitted(ResultStore(objects), image, i) for i, image in enumerate(images)),
    )
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    view = json.loads(objects.objects["results/S1/result.json"])
    hashes = {hashlib.sha256(image).hexdigest() for image in images}
    assert sorted(image["sha256"] for image in view["images"]) == sorted(hashes)
    for outcome, image in zip(outcomes, images, strict=True):
        assert hashlib.sha256(image).hexdigest() in {i.sha256 for i in outcome.images}
    created = [key for call, key in objects.calls if call == "replace"]
    assert set(created) == {"results/S1/result.json"}  # nothing else is ever written over


@settings(max_examples=300)
@given(data=st.data(), sent=st.lists(IDENTITIES, min_size=2, max_size=4))
async def test_two_patients_never_share_a_study_and_a_refused_one_leaves_no_trace(
    data: st.DataObject, sent: list[dict[str, str]]
):
    turns = Turns()
    objects = MemoryStore(turns.turn)
    outcomes = await turns.run(
        lambda waiting: data.draw(st.integers(0, waiting - 1)),
        *(admitted(ResultStore(objects), bytes([i]), i, **fields) for i, fields in enumerate(sent)),
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
    assert await identity_stored(objects) == agreed
    images = [key for key in objects.objects if key.endswith("image.png")]
    assert len(images) == len(accepted)


@settings(max_examples=100)
@given(data=st.data(), kill_after=st.integers(0, 12))
async def test_gateway_that_dies_anywhere_leaves_what_the_next_one_completes(
    data: st.DataObject, kill_after: int
):
    turns = Turns()
    objects = MemoryStore(turns.turn)
    await turns.run(
        lambda waiting: data.draw(st.integers(0, waiting - 1)),
        admitted(ResultStore(objects), b"a", 0, patient_id="P1"),
        kill_after=kill_after,
    )
    readings = [key for key in objects.objects if key.endswith("brightness-1.json")]
    for key in readings:  # whoever finds a reading finds its image
        assert key.replace("brightness-1.json", "image.png") in objects.objects
    [view] = await turns.run(lambda _: 0, admitted(ResultStore(objects), b"a", 1, patient_id="P1"))
    assert len(view.images) == 1
    assert objects.objects[f"results/S1/images/{reading(b'a').sha256}/image.png"] == b"a"


async def test_two_gateways_on_one_folder_store_one_reading_and_answer_with_it(tmp_path: Path):
    gateways = [ResultStore(FolderStore(tmp_path)) for _ in range(8)]
    await FolderStore(tmp_path).open()
    readings = [reading(b"a", minute=i) for i in range(8)]
    outcomes = await asyncio.gather(
        *(stored(gateway, (b"a", one)) for gateway, one in zip(gateways, readings, strict=True))
    )
    [winner] = {one.received_at for added in outcomes for one in added.readings}
    assert winner in {one.received_at for one in readings}
    views = await asyncio.gather(
        *(
            gateway.rebuild("S1", added, check=unchecked)
            for gateway, added in zip(gateways, outcomes, strict=True)
        )
    )
    assert all(view == views[0] for view in views)


async def test_view_of_a_study_without_readings_is_pending(results: ResultStore):
    view = await results.rebuild("S1", await stored(results), check=unchecked)
    assert (view.status, view.images, view.completed_at) == (Status.PENDING, (), None)


async def test_view_is_not_made_of_readings_that_were_deleted_meanwhile(
    results: ResultStore, objects: MemoryStore
):
    added = await add(results, b"a")
    for key in [key for key in objects.objects if "/images/" in key]:
        del objects.objects[key]
    with pytest.raises(StudyNotFoundError):
        await results.rebuild("S1", added, check=unchecked)


async def test_a_new_study_asks_the_store_for_no_more_than_it_must(
    results: ResultStore, objects: MemoryStore
):
    await results.rebuild("S1", await add(results, b"a"), check=unchecked)
    assert [call for call, _ in objects.calls] == [
        *("read", "create", "create", "create", "replace", "keys")
    ]


async def test_what_came_meanwhile_is_in_the_view_at_every_moment(objects: MemoryStore):
    """Of a study that grows by two requests at once, the slower one looks before it writes."""
    slow, fast = ResultStore(objects), ResultStore(objects)
    await slow.rebuild("S1", await add(slow, b"a"), check=unchecked)
    known = await slow.known(metadata())
    await fast.rebuild("S1", await add(fast, b"b"), check=unchecked)
    objects.calls.clear()
    added = await slow.add(metadata(), NOON, [(b"c", reading(b"c"))], known)
    view = await slow.rebuild("S1", added, check=unchecked)
    assert len(view.images) == 3
    assert [call for call, key in objects.calls if key.endswith("/result.json")] == ["replace"]


async def test_only_what_this_model_version_read_was_read_before(results: ResultStore):
    other = ModelVersion(name="brightness", version="11")
    await stored(results, (b"a", reading(b"a")), (b"b", reading(b"b", model=other)))
    known = await results.known(metadata())
    assert known.read_by(MODEL) == {reading(b"a").sha256}
    assert known.read_by(other) == {reading(b"b").sha256}


async def test_image_that_is_gone_is_told_as_missing(results: ResultStore):
    with pytest.raises(StudyNotFoundError):  # with its study
        await results.image(reading(b"a"))
