"""The catalog: every study that was accepted, as it stands, and none besides."""

import datetime as dt

import pytest

from gateway.errors import StudyDeletedError, StudyNotFoundError, UnreadableDocumentError
from gateway.results.catalog import StudyCatalog
from gateway.results.documents import StudyRecord
from gateway.results.store import ResultStore
from gateway.results.study_documents import Seen, StudyDocuments
from gateway.results.submissions import StudySubmissions
from gateway.results.tombstone import Reason
from gateway.schemas.result import Status
from gateway.storage.protocol import ObjectStore
from gateway.work.keys import WorkId
from tests.support.deletion import deletion_on
from tests.support.readings import reading
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore
from tests.support.work import metadata

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


class Studies:
    """A gateway's catalog, and what fills it."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects
        self.gateway = IndexingGateway(objects)
        self.documents = self.gateway.documents
        self.deletion = deletion_on(objects, closed_s=0.0)
        self.catalog = StudyCatalog(objects, results=self.gateway.results, deletion=self.deletion)

    async def promise(self, study_id: str) -> WorkId:
        work = WorkId.new(study_id, NOON)
        states = StudySubmissions(self.documents)
        await states.promise(work, metadata(study_id), 1, Seen())
        return work

    async def begin(self, study_id: str) -> None:
        """Leave what a gateway leaves that dies before the study has its first reading."""
        await self.documents.change(study_id, lambda _: StudyRecord.begun(study_id))


@pytest.fixture
async def studies(folder_store: ObjectStore) -> Studies:
    return Studies(folder_store)


async def test_result_has_readings_and_what_is_pending(studies: Studies):
    await studies.gateway.receive("S1", patient_id="P1")
    await studies.promise("S1")
    result, identity = await studies.catalog.identified_result("S1")
    assert (len(result.images), len(result.pending or ())) == (1, 1)
    assert identity == {"patient_id": "P1"}
    assert await studies.catalog.result("S1") == result


async def test_result_of_a_long_study_has_the_images_on_its_pages(studies: Studies):
    documents = StudyDocuments(studies.objects, longest_bytes=8_000)
    items = tuple(reading(number) for number in range(1, 21))
    whole = StudyRecord.begun("S1").changed(images=len(items), readings=items)
    await documents.change("S1", lambda _: whole)
    result = await studies.catalog.result("S1")
    assert [image.number for image in result.images] == list(range(1, 21))
    assert result.earlier_images is None


async def test_study_that_was_never_answered_is_not_found(studies: Studies):
    await studies.begin("begun")
    for study_id in ("none", "begun"):
        with pytest.raises(StudyNotFoundError):
            await studies.catalog.result(study_id)
    with pytest.raises(StudyNotFoundError):
        await studies.catalog.delete("none")
    await studies.catalog.delete("begun")  # what is kept of it can go


async def test_deleted_study_is_told_from_one_that_never_was(studies: Studies):
    await studies.gateway.receive("S1")
    await studies.catalog.delete("S1")
    for _ in ("being deleted", "deleted"):
        with pytest.raises(StudyDeletedError):
            await studies.catalog.result("S1")
        with pytest.raises(StudyDeletedError):
            await studies.catalog.delete("S1")
        assert await studies.catalog.summaries(["S1"]) == []
        await studies.deletion.sweep()
    assert await studies.deletion.was_deleted("S1")


async def test_study_that_comes_again_after_its_deletion_is_there(studies: Studies):
    await studies.gateway.receive("S1")
    await studies.deletion.delete("S1", Reason.RETENTION)
    await studies.deletion.sweep()
    await studies.gateway.receive("S1")
    assert (await studies.catalog.result("S1")).status is Status.COMPLETED


async def test_ids_come_page_by_page(studies: Studies):
    for study_id in ("b", "a", "c"):
        await studies.promise(study_id)
    assert await studies.catalog.ids(after="", limit=2) == ["a", "b"]
    assert await studies.catalog.ids(after="b", limit=2) == ["c"]


async def test_summaries_keep_their_order_and_pass_over_what_is_only_begun(studies: Studies):
    await studies.gateway.receive("a")
    await studies.begin("b")
    await studies.promise("c")
    found = await studies.catalog.summaries(["c", "none", "b", "a"])
    assert [(item.study_id, item.status) for item in found if not isinstance(item, tuple)] == [
        ("c", Status.PENDING),
        ("a", Status.COMPLETED),
    ]


async def test_study_that_cannot_be_read_hides_no_other_from_the_list():
    objects = MemoryStore()
    studies = Studies(objects)
    for study_id in ("a", "b"):
        await studies.gateway.receive(study_id)
    objects.objects["results/a/result.json"] = b"{"
    damaged, whole = await studies.catalog.summaries(["a", "b"])
    assert isinstance(damaged, tuple)
    assert (damaged[0], type(damaged[1])) == ("a", UnreadableDocumentError)
    assert not isinstance(whole, tuple)


async def test_age_of_a_study_is_known_unless_something_of_it_waits(studies: Studies):
    await studies.gateway.receive("S1")
    record = await ResultStore(studies.objects, studies.documents).record("S1")
    assert record is not None
    assert await studies.catalog.changed_at("S1") == record.changed_at
    await studies.promise("S1")
    assert await studies.catalog.changed_at("S1") is None
    await studies.deletion.delete("S1", Reason.REQUEST)
    assert await studies.catalog.changed_at("S1") is None


async def test_images_that_a_gateway_left_before_its_document_have_their_own_age(
    studies: Studies,
):
    assert await studies.catalog.changed_at("S1") is None
    key = "results/S1/images/a/image-00000000.png"
    await studies.objects.create(key, b"", media_type="image/png")
    assert await studies.catalog.changed_at("S1") == await studies.objects.written_at(key)
