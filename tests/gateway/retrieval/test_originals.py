import pytest

from gateway.errors import StudyNotFoundError, UnreadableDocumentError
from gateway.retrieval.originals import Original, Originals
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore

STUDY = "1.2.3"


def dicom(instance: str, *, series: str = "1.2.3.1", study: str = STUDY, **more: object) -> dict:
    return {
        "media_type": "application/dicom",
        "object": f"image-{instance[-8:]}.dcm",
        "study_instance_uid": study,
        "series_instance_uid": series,
        "sop_instance_uid": instance,
    } | more


@pytest.fixture
def gateway() -> IndexingGateway:
    return IndexingGateway(MemoryStore())


@pytest.fixture
def originals(gateway: IndexingGateway) -> Originals:
    return Originals(gateway.objects, gateway.results, gateway.index.search)


async def found_in(originals: Originals) -> list[Original]:
    """The instances of the study, whatever ids they came under."""
    return [each for study in await originals.find(STUDY) for each in study.originals]


async def test_instances_of_a_study_are_found_in_order_of_arrival(
    gateway: IndexingGateway, originals: Originals
):
    for series, instance in (("1.1", "1.1.1"), ("1.1", "1.1.2"), ("1.2", "1.2.1")):
        await gateway.receive(STUDY, reading=dicom(instance, series=series))
    await gateway.receive(STUDY)  # a PNG
    found = await found_in(originals)
    assert [each.sop_instance_uid for each in found] == ["1.1.1", "1.1.2", "1.2.1"]
    assert found[2].path == "/dicomweb/studies/1.2.3/series/1.2/instances/1.2.1"
    assert (found[2].study_id, found[2].frame_count) == (STUDY, 1)
    [study] = await originals.find(STUDY)
    assert (study.record.study_id, len(study.readings)) == (STUDY, 4)


async def test_of_an_instance_the_bytes_that_came_last_are_given(
    gateway: IndexingGateway, originals: Originals
):
    await gateway.receive(STUDY, reading=dicom("1.1", sha256="a" * 64))
    await gateway.receive(STUDY, reading=dicom("1.1", sha256="b" * 64))
    [found] = await found_in(originals)
    assert found.reading.sha256 == "b" * 64


async def test_what_another_file_replaced_in_the_drop_folder_is_not_given(
    gateway: IndexingGateway, originals: Originals
):
    for instance, digest in (("1.1", "a" * 64), ("1.2", "b" * 64)):
        reading = dicom(instance, sha256=digest, dropped_as="x")
        await gateway.receive(STUDY, reading=reading)
    await gateway.results.note_standing(STUDY, "x", "b" * 64)
    assert [each.sop_instance_uid for each in await found_in(originals)] == ["1.2"]


async def test_a_study_without_dicom_instances_is_not_found(
    gateway: IndexingGateway, originals: Originals
):
    await gateway.receive(STUDY)
    with pytest.raises(StudyNotFoundError):
        await originals.find(STUDY)


async def test_a_study_is_found_under_every_id_that_it_was_sent_under(
    gateway: IndexingGateway, originals: Originals
):
    for study_id, instance in (("S-1", "1.1"), ("S-2", "1.2")):
        await gateway.receive(study_id, reading=dicom(instance))
    await gateway.write()
    found = await found_in(originals)
    assert {each.sop_instance_uid for each in found} == {"1.1", "1.2"}


async def test_a_missing_file_is_told_from_a_deleted_study(
    gateway: IndexingGateway, originals: Originals
):
    await gateway.receive(STUDY, reading=dicom("1.1"))
    [original] = await found_in(originals)
    for read in (originals.read, originals.beginning):
        with pytest.raises(UnreadableDocumentError):
            await read(original)
    await gateway.objects.purge(f"results/{STUDY}/")
    with pytest.raises(StudyNotFoundError):
        await originals.read(original)
