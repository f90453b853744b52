"""Retrievals: instances one after another, in the form that is accepted, within their memory."""

import io
from collections.abc import Iterator

import httpx
import imagecodecs
import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse

from gateway.audit.trail import GATEWAY, Audit
from gateway.dicomweb.accepted_types import AcceptedType, accepted_types
from gateway.dicomweb.instances import Instance
from gateway.dicomweb.retrieval import Retrieval
from gateway.errors import (
    DeadlineExceededError,
    InstanceNotFoundError,
    NotAcceptableError,
    StudyNotFoundError,
    UnreadableDocumentError,
)
from gateway.observability.metrics import Metrics
from gateway.retrieval.originals import Original
from tests.preprocess import dicoms
from tests.support.archive import ROOM, SERIES, STUDY, Archive
from tests.support.audit import Trail
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import parts_of
from tests.support.readings import activation, frame

RELATED = 'multipart/related; type="application/dicom"'
PIXEL_DATA = Tag(0x7FE00010)


def accepting(accept: str) -> list[AcceptedType]:
    return accepted_types(Headers({"accept": accept}))


@pytest.fixture
def archive() -> Iterator[Archive]:
    archive = Archive()
    yield archive
    assert archive.admission.bytes.used == 0
    archive.imaging.close()


def retrieval_from(archive: Archive, *, timeout_s: float = 20) -> Retrieval:
    return Retrieval(
        archive.instances,
        archive.admission,
        archive.imaging,
        share="viewer",
        link=lambda path: f"https://pacs.test{path}",
        timeout_s=timeout_s,
    )


async def sent(answer: Response) -> httpx.Response:
    """The answer, as a client would have it."""
    if isinstance(answer, StreamingResponse):
        content = b"".join([bytes(piece) async for piece in answer.body_iterator])
    else:
        content = bytes(answer.body)
    return httpx.Response(answer.status_code, headers=dict(answer.headers), content=content)


def jpeg_2000() -> tuple[Dataset, bytes]:
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    codestream = imagecodecs.jpeg2k_encode(grey, level=0, codecformat="j2k")
    return dicoms.compressed(grey, codestream), grey.tobytes()


# --- finding -------------------------------------------------------------------------------------


async def test_found_studies_are_on_record_by_their_uid_and_their_senders_id(archive: Archive):
    await archive.add(b"", "1.1", study_id="S-1")
    trail = Trail()
    audit = Audit(trail, Metrics(CollectorRegistry()), instance="here")
    async with audit.of_work("retrieve", GATEWAY):
        [found] = await retrieval_from(archive).find(STUDY)
        with pytest.raises(StudyNotFoundError):
            await retrieval_from(archive).find("1.9.9")
    assert found.sop_instance_uid == "1.1"
    assert trail.records[0]["studies"] == [STUDY, "S-1", "1.9.9"]


# --- files ---------------------------------------------------------------------------------------


async def test_files_come_as_they_are_stored_each_with_its_place(archive: Archive):
    files = {f"1.{number}": file_of(radiograph()) for number in range(3)}
    originals = [await archive.add(data, instance) for instance, data in files.items()]
    answer = await retrieval_from(archive).instances(originals, accepting(RELATED), single=False)
    parts = parts_of(await sent(answer))
    assert [part.content for part in parts] == [*files.values()]
    assert [part.headers["content-location"] for part in parts] == [
        f"https://pacs.test/dicomweb/studies/{STUDY}/series/{SERIES}/instances/{instance}"
        for instance in files
    ]


async def test_one_instance_may_come_without_parts(archive: Archive):
    data = file_of(radiograph())
    original = await archive.add(data, "1.1")
    single = await retrieval_from(archive).instances(
        [original], accepting("application/dicom"), single=True
    )
    assert (await sent(single)).content == data
    related = await retrieval_from(archive).instances([original], accepting("*/*"), single=True)
    assert [part.content for part in parts_of(await sent(related))] == [data]


async def test_a_compressed_file_is_made_the_form_that_is_asked_for(archive: Archive):
    image, samples = jpeg_2000()
    data = dicoms.write(image, JPEG2000Lossless)
    original = await archive.add(data, "1.1")
    for syntax in (ExplicitVRLittleEndian, JPEG2000Lossless):
        accepted = accepting(f"{RELATED}; transfer-syntax={syntax}")
        answer = await retrieval_from(archive).instances([original], accepted, single=True)
        [part] = parts_of(await sent(answer))
        assert part.headers["content-type"] == f"application/dicom; transfer-syntax={syntax}"
        made = dcmread(io.BytesIO(part.content))
        assert made.file_meta.TransferSyntaxUID == syntax
        assert (part.content == data) is (syntax == JPEG2000Lossless)
        assert (made.PixelData == samples) is (syntax == ExplicitVRLittleEndian)


async def test_one_file_of_many_is_in_memory_at_a_time(archive: Archive):
    files = [file_of(radiograph(PixelData=bytes(30_000), Rows=150, Columns=200)) for _ in range(5)]
    assert sum(map(len, files)) > ROOM
    originals = [await archive.add(data, f"1.{place}") for place, data in enumerate(files)]
    answer = await retrieval_from(archive).instances(originals, accepting(RELATED), single=False)
    assert isinstance(answer, StreamingResponse)
    held = set()
    async for _ in answer.body_iterator:
        held.add(archive.admission.bytes.used)
    assert max(held) == max(map(len, files))


async def test_a_file_that_finds_no_room_in_its_time_fails(archive: Archive):
    original = await archive.add(file_of(radiograph()), "1.1")
    with archive.admission.slot("another") as slot:
        await slot.wait_for_bytes(ROOM)
        with pytest.raises(DeadlineExceededError):
            await retrieval_from(archive, timeout_s=0.05).metadata([original])


@pytest.mark.parametrize("data", [b"no DICOM", file_of(radiograph())[:-20]])
async def test_a_file_that_is_no_longer_what_was_stored_is_told_as_damaged(
    data: bytes, archive: Archive
):
    original = await archive.add(data, "1.1")
    retrieval = retrieval_from(archive)
    for answer in (
        retrieval.frames(original, (), accepting("*/*")),
        retrieval.bulk(original, PIXEL_DATA, accepting("*/*")),
    ):
        with pytest.raises(UnreadableDocumentError):
            await answer


@pytest.mark.parametrize("accept", ["*/*", 'multipart/related; type="image/jp2"', RELATED])
async def test_a_file_that_is_cut_off_in_its_file_meta_is_told_as_damaged(
    accept: str, archive: Archive
):
    file = file_of(radiograph())
    meta_bytes = 132 + 12 + dcmread(io.BytesIO(file)).file_meta.FileMetaInformationGroupLength
    for length in range(132, meta_bytes + 1, 8):
        original = await archive.add(file[:length], "1.1")
        retrieval = retrieval_from(archive)
        for answer in (
            retrieval.frames(original, (), accepting(accept)),
            retrieval.instances([original], accepting(accept), single=True),
        ):
            with pytest.raises(UnreadableDocumentError):
                await answer


async def test_metadata_of_several_instances_are_one_document(archive: Archive):
    images = [radiograph(PatientID=each) for each in ("P1", "P2")]
    originals = [
        await archive.add(file_of(image), f"1.{place}") for place, image in enumerate(images)
    ]
    answer = await sent(await retrieval_from(archive).metadata(originals))
    first, second = answer.json()
    assert [each["00100020"]["Value"] for each in (first, second)] == [["P1"], ["P2"]]
    assert second["7FE00010"]["BulkDataURI"] == (
        f"https://pacs.test{originals[1].path}/bulkdata/7FE00010"
    )


# --- frames and bulk data ------------------------------------------------------------------------


async def test_frames_come_in_the_order_that_is_asked_for(archive: Archive):
    image = radiograph(NumberOfFrames=3, Rows=6, Columns=8)
    image.PixelData = b"".join(bytes([number]) * 48 for number in range(3))
    original = await archive.add(file_of(image), "1.1")
    reading = original.reading.model_copy(update={"frames": (frame(rows=6, columns=8),) * 3})
    original = Original(reading, STUDY, SERIES, "1.1")
    retrieval = retrieval_from(archive)
    some = parts_of(await sent(await retrieval.frames(original, (3, 1), accepting("*/*"))))
    assert [part.content[0] for part in some] == [2, 0]
    assert some[0].headers["content-location"].endswith("/frames/3")
    every = parts_of(await sent(await retrieval.frames(original, (), accepting("*/*"))))
    assert [part.content[0] for part in every] == [0, 1, 2]
    with pytest.raises(InstanceNotFoundError):
        await retrieval.frames(original, (1, 4), accepting("*/*"))


@pytest.mark.parametrize(
    ("accept", "media_type", "syntax"),
    [
        ("image/jp2", "image/jp2", JPEG2000Lossless),
        ("application/octet-stream", "application/octet-stream", ExplicitVRLittleEndian),
    ],
)
async def test_a_frame_comes_as_it_is_stored_or_uncompressed(
    accept: str, media_type: str, syntax: str, archive: Archive
):
    image, samples = jpeg_2000()
    original = await archive.add(dicoms.write(image, JPEG2000Lossless), "1.1")
    answer = await sent(await retrieval_from(archive).frames(original, (1,), accepting(accept)))
    assert answer.headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
    content = answer.content
    if syntax == JPEG2000Lossless:
        content = imagecodecs.jpeg2k_decode(content).tobytes()
    assert content == samples


async def test_frames_have_room_for_their_file_and_for_what_it_decodes_to(archive: Archive):
    original = await archive.add(file_of(radiograph()), "1.1")
    large = original.reading.model_copy(update={"frames": (frame(rows=200, columns=200),)})
    original = Original(large, STUDY, SERIES, "1.1")
    with archive.admission.slot("another") as slot:
        await slot.wait_for_bytes(ROOM - 50_000)  # 200 x 200 samples of two bytes are more
        with pytest.raises(DeadlineExceededError):
            await retrieval_from(archive, timeout_s=0.05).frames(original, (), accepting("*/*"))


async def test_a_form_that_cannot_be_made_of_the_pixels_is_not_acceptable(archive: Archive):
    movie = dicoms.compressed(np.zeros((6, 8), "u1"), b"\0\0\1\xb3")
    original = await archive.add(dicoms.write(movie, "1.2.840.10008.1.2.4.100"), "1.1")
    with pytest.raises(NotAcceptableError):
        await retrieval_from(archive).frames(original, (), accepting("application/octet-stream"))


async def test_bulk_data_are_an_attributes_value_and_of_pixels_the_frames(archive: Archive):
    image = radiograph()
    image.add_new(0x00090010, "LO", "RADSTREAM TEST")
    image.add_new(0x00091001, "OB", b"x" * 3000)
    original = await archive.add(file_of(image), "1.1")
    retrieval, tag = retrieval_from(archive), Tag(0x00091001)
    [part] = parts_of(await sent(await retrieval.bulk(original, tag, accepting("*/*"))))
    assert part.content == b"x" * 3000
    assert part.headers["content-location"].endswith("/instances/1.1/bulkdata/00091001")
    [pixels] = parts_of(await sent(await retrieval.bulk(original, PIXEL_DATA, accepting("*/*"))))
    assert pixels.content == image.PixelData
    with pytest.raises(InstanceNotFoundError):
        await retrieval.bulk(original, Tag(0x00091002), accepting("*/*"))
    with pytest.raises(NotAcceptableError):
        await retrieval.bulk(original, tag, accepting("image/jpeg"))


# --- reports and heat maps -----------------------------------------------------------------------


async def rendered_in(archive: Archive) -> tuple[Instance, Instance]:
    """The report and the heat map of a complete study."""
    image = radiograph(StudyInstanceUID=STUDY)
    explained = {"activation_map": activation(3, 10)}
    await archive.add(file_of(image), image.SOPInstanceUID, of_frame=explained)
    await archive.complete()
    _, report, heat_map = await archive.instances.find(STUDY)
    return report, heat_map


async def test_a_report_and_a_heat_map_come_as_files_and_as_metadata():
    archive = Archive(room=10_000_000)
    found = await rendered_in(archive)
    answer = await retrieval_from(archive).instances(found, accepting(RELATED), single=False)
    files = [dcmread(io.BytesIO(part.content)) for part in parts_of(await sent(answer))]
    assert [file.SOPInstanceUID for file in files] == [each.sop_instance_uid for each in found]
    compressed = accepting(f"{RELATED}; transfer-syntax={JPEG2000Lossless}")
    for several in (False, True):  # a compression is asked for of the study's images
        asked = found if several else found[:1]
        answer = await retrieval_from(archive).instances(asked, compressed, single=not several)
        [content_type, *_] = [part.headers["content-type"] for part in parts_of(await sent(answer))]
        assert content_type == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    with pytest.raises(NotAcceptableError):
        await retrieval_from(archive).instances(found, accepting("image/png"), single=False)
    metadata = await sent(await retrieval_from(archive).metadata(found))
    of_report, of_heat_map = metadata.json()
    assert Dataset.from_json(of_report).ContentSequence == files[0].ContentSequence
    assert of_heat_map.pop("7FE00010")["BulkDataURI"].endswith("/bulkdata/7FE00010")
    heat_map = Dataset.from_json(of_heat_map)
    accepted = accepting("application/octet-stream")
    frame = await sent(await retrieval_from(archive).frames(found[1], (1,), accepted))
    assert frame.content == files[1].PixelData[: heat_map.Rows * heat_map.Columns * 3]
    assert archive.admission.bytes.used == 0
    archive.imaging.close()


async def test_a_report_has_no_frames_and_no_pixels(archive: Archive):
    report, _ = await rendered_in(archive)
    accepted = accepting("application/octet-stream")
    with pytest.raises(InstanceNotFoundError):
        await retrieval_from(archive).frames(report, (1,), accepted)
    with pytest.raises(InstanceNotFoundError):
        await retrieval_from(archive).bulk(report, Tag("PixelData"), accepted)
