"""Images of submissions: written once, where readings name them, and gone where none does."""

import pytest

from gateway.deferred.submitted_images import SubmittedImages, submitted_parts
from gateway.errors import ObjectNotFoundError, UnreadableImagesError
from gateway.results.documents import Reading, StudyRecord
from gateway.results.keys import submitted_key
from gateway.results.study_documents import StudyDocuments
from gateway.studies.imaging import CheckedImage
from gateway.work.documents import Submission, SubmittedPart
from gateway.work.keys import WorkId
from preprocess import MediaType
from tests.support.readings import NOON, reading
from tests.support.store import MemoryStore

SHA256 = {"a": "a" * 64, "b": "b" * 64}
SENT = {"image[0]": b"first", "image[1]": b"second", "report": b"no image"}
CHECKED = {
    "image[0]": CheckedImage(SHA256["a"], MediaType.PNG),
    "image[1]": CheckedImage(SHA256["b"], MediaType.DICOM),
    "report": UnreadableImagesError(()),
}
WORK = WorkId.new("S1", NOON)


def submission() -> Submission:
    parts = submitted_parts(SENT, CHECKED, {"image[1]": "1.2.3"})
    return Submission(received_at=NOON, parts=parts, image_bytes=1, context={})


def images_on(objects: MemoryStore, *, longest_bytes: int = 65536) -> SubmittedImages:
    """The images as a gateway has them that was just started."""
    return SubmittedImages(objects, StudyDocuments(objects, longest_bytes=longest_bytes))


async def read(objects: MemoryStore, *parts: SubmittedPart, longest_bytes: int = 65536) -> None:
    """Have readings made of images."""
    documents = StudyDocuments(objects, longest_bytes=longest_bytes)
    for number, part in enumerate(parts, 1):
        made = reading(number, sha256=part.sha256, object=part.object)

        def change(record: StudyRecord | None, made: Reading = made) -> StudyRecord:
            record = record or StudyRecord.begun("S1")
            return record.changed(readings=(*record.readings, made), images=made.number)

        await documents.change("S1", change)


def left(objects: MemoryStore) -> set[str]:
    kept = ("/images/", "/submissions/")
    return {key for key in objects.objects if any(folder in key for folder in kept)}


def keys_of(document: Submission) -> list[str]:
    return [submitted_key(WORK, part) for part in document.parts]


async def test_an_image_is_written_where_its_readings_will_name_it():
    objects, document = MemoryStore(), submission()
    images = images_on(objects)
    await images.write(WORK, document, SENT)
    first, second, report = keys_of(document)
    assert first.startswith(f"results/S1/images/{SHA256['a']}/image-")
    assert (first[-4:], second[-4:]) == (".png", ".dcm")
    assert [part.sop_instance_uid for part in document.parts] == [None, "1.2.3", None]
    assert report == f"results/S1/submissions/{WORK.id}/image-3"
    assert [await images.read(WORK, part) for part in document.parts] == [*SENT.values()]


async def test_bytes_that_come_twice_are_written_once():
    objects = MemoryStore()
    twice = {"image[0]": CHECKED["image[0]"], "image[1]": CHECKED["image[0]"]}
    parts = submitted_parts(twice, twice, {})
    assert [part.part for part in parts] == [*twice]
    document = Submission(received_at=NOON, parts=parts, image_bytes=1, context={})
    await images_on(objects).write(WORK, document, dict.fromkeys(twice, b"first"))
    assert [*objects.objects.values()] == [b"first"]
    assert submitted_parts(twice, twice, {})[0].object != parts[0].object  # each time another name


async def test_images_of_a_submission_of_before_lie_with_the_work():
    objects, part = MemoryStore(), SubmittedPart(part="image", object="image-1")
    objects.objects[f"results/S1/submissions/{WORK.id}/image-1"] = b"first"
    images = images_on(objects)
    assert await images.read(WORK, part) == b"first"
    document = Submission(received_at=NOON, parts=(part,), image_bytes=1, context={})
    await images.remove(WORK, document)
    assert objects.objects == {}
    with pytest.raises(ObjectNotFoundError):
        await images.read(WORK, part)


async def test_what_was_not_promised_is_withdrawn_without_a_question():
    objects, document = MemoryStore(), submission()
    images = images_on(objects)
    await images.write(WORK, document, SENT)
    objects.calls.clear()
    await images.withdraw(WORK, document)
    assert objects.objects == {}
    assert {call for call, _ in objects.calls} == {"purge"}


@pytest.mark.parametrize("longest_bytes", [65536, 10], ids=["document", "page"])
async def test_what_a_reading_names_stays_and_all_else_goes(longest_bytes: int):
    objects, document = MemoryStore(), submission()
    images = images_on(objects)
    await images.write(WORK, document, SENT)
    first, second, report = document.parts
    other = first.model_copy(update={"object": "image-00c0ffee.png"})  # the same, sent before
    await read(objects, other, second, longest_bytes=longest_bytes)
    await images.remove(WORK, document)
    assert left(objects) == {submitted_key(WORK, second)}
    assert report.sha256 is None


async def test_a_process_that_remembers_the_readings_asks_the_store_for_nothing():
    objects, document = MemoryStore(), submission()
    await read(objects, *document.parts[:2])
    documents = StudyDocuments(objects)
    await documents.read("S1")
    objects.calls.clear()
    images, alone = SubmittedImages(objects, documents), document.parts[:2]
    await images.remove(WORK, document.model_copy(update={"parts": alone}))
    assert objects.calls == []


async def test_nothing_stays_of_a_study_that_is_not_there_any_more():
    objects, document = MemoryStore(), submission()
    images = images_on(objects)
    await images.write(WORK, document, SENT)
    await images.remove(WORK, document)
    assert objects.objects == {}


async def test_a_study_whose_pages_go_meanwhile_keeps_nothing_back():
    objects, document = MemoryStore(), submission()
    images = images_on(objects)
    await images.write(WORK, document, SENT)
    await read(objects, *document.parts[:2], longest_bytes=10)
    pages = [key for key in objects.objects if "/pages/" in key and "/lists/" not in key]
    assert len(pages) == 2
    for key in pages:
        del objects.objects[key]
    await images.remove(WORK, document)
    assert left(objects) == set()
