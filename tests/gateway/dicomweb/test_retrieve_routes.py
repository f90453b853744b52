"""Retrieval by WADO-RS: what was stored comes back, in the form that is asked for."""

import hashlib
import io
import json

import cv2
import httpx
import imagecodecs
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    generate_uid,
)

from tests.preprocess import dicoms
from tests.support.dicom import file_of, radiograph
from tests.support.dicomweb import is_processed, parts_of, store
from tests.support.gateway import LiveGateway, audit_trail, until

PNG = "image/png"
ANY_SYNTAX = 'multipart/related; type="application/dicom"; transfer-syntax=*'
OCTETS = 'multipart/related; type="application/octet-stream"'


def samples() -> NDArray[np.uint16]:
    """A gradient of 12 bits with a signature in a corner."""
    grey = np.linspace(0, 4095, 48 * 40).reshape(48, 40).astype(np.uint16)
    grey[:4, :4] = 4095
    return grey


def jpeg_2000(**attributes: object) -> Dataset:
    """A radiograph in JPEG 2000 lossless, 12 of 16 bits."""
    grey = samples()
    codestream = imagecodecs.jpeg2k_encode(
        grey, level=0, codecformat="j2k", bitspersample=12, reversible=True
    )
    made = radiograph(**attributes)
    image = dicoms.compressed(grey, codestream, BitsStored=12)
    for element in image:
        if element.tag.group in {0x0028, 0x7FE0}:
            made[element.tag] = element
    return made


def path_of(image: Dataset) -> str:
    return (
        f"/dicomweb/studies/{image.StudyInstanceUID}/series/{image.SeriesInstanceUID}"
        f"/instances/{image.SOPInstanceUID}"
    )


@pytest.fixture(scope="module")
async def native(gateway: LiveGateway) -> tuple[Dataset, bytes]:
    """A stored radiograph, uncompressed, and its file."""
    image = radiograph(PatientID="P7", PatientName="Ünal^Ayşe", SpecificCharacterSet="ISO_IR 192")
    image.add_new(0x00091001, "OB", b"x" * 3000)
    image.add_new(0x00090010, "LO", "RADSTREAM TEST")
    data = file_of(image)
    assert (await store(gateway.client, data)).status_code == 200
    await is_processed(gateway.client, image.StudyInstanceUID, 1)
    return image, data


@pytest.fixture(scope="module")
async def compressed(gateway: LiveGateway) -> tuple[Dataset, bytes]:
    """A stored radiograph in JPEG 2000, and its file."""
    image = jpeg_2000()
    data = dicoms.write(image, JPEG2000Lossless)
    assert (await store(gateway.client, data)).status_code == 200
    await is_processed(gateway.client, image.StudyInstanceUID, 1)
    return image, data


async def test_a_study_a_series_and_an_instance_come_as_they_were_stored(
    client: httpx.AsyncClient,
) -> None:
    study, series = generate_uid(), generate_uid()
    sent = [radiograph(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(3)]
    sent.append(radiograph(StudyInstanceUID=study))
    files = {image.SOPInstanceUID: file_of(image) for image in sent}
    assert (await store(client, *files.values())).status_code == 200
    await is_processed(client, study, 4)
    for path, expected in (
        (f"/dicomweb/studies/{study}", sent),
        (f"/dicomweb/studies/{study}/series/{series}", sent[:3]),
        (path_of(sent[1]), sent[1:2]),
    ):
        answer = await client.get(path, headers={"Accept": ANY_SYNTAX})
        assert answer.status_code == 200, answer.text
        parts = parts_of(answer)
        assert {part.content for part in parts} == {
            files[image.SOPInstanceUID] for image in expected
        }
        assert len(parts) == len(expected)
        for part in parts:
            assert part.headers["content-type"] == (
                f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
            )


async def test_an_instance_comes_without_parts(
    client: httpx.AsyncClient, native: tuple[Dataset, bytes]
) -> None:
    image, data = native
    answer = await client.get(path_of(image), headers={"Accept": "application/dicom"})
    assert answer.content == data
    assert answer.headers["content-type"].startswith("application/dicom;")
    study = f"/dicomweb/studies/{image.StudyInstanceUID}"
    refused = await client.get(study, headers={"Accept": "application/dicom"})
    assert refused.status_code == 406


async def test_a_compressed_instance_is_made_explicit_vr_little_endian(
    client: httpx.AsyncClient, compressed: tuple[Dataset, bytes]
) -> None:
    image, data = compressed
    asked = f'multipart/related; type="application/dicom"; transfer-syntax={ExplicitVRLittleEndian}'
    [part] = parts_of(await client.get(path_of(image), headers={"Accept": asked}))
    made = dcmread(io.BytesIO(part.content))
    assert made.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert np.array_equal(np.frombuffer(made.PixelData, "<u2").reshape(48, 40), samples())
    [part] = parts_of(await client.get(path_of(image)))  # no Accept that names one
    assert part.content == data


@pytest.mark.parametrize(
    "accept",
    [
        f'multipart/related; type="application/dicom"; transfer-syntax={ImplicitVRLittleEndian}',
        'multipart/related; type="image/gif"',
        "text/html",
        f"{ANY_SYNTAX}; q=0",
    ],
)
async def test_what_cannot_be_made_is_not_acceptable(
    client: httpx.AsyncClient, compressed: tuple[Dataset, bytes], accept: str
) -> None:
    answer = await client.get(path_of(compressed[0]), headers={"Accept": accept})
    assert answer.status_code == 406
    assert answer.json()["type"] == "urn:radstream:problem:not-acceptable"


async def test_metadata_are_the_data_set_without_its_bulk_data(
    client: httpx.AsyncClient, native: tuple[Dataset, bytes]
) -> None:
    image, data = native
    answer = await client.get(f"{path_of(image)}/metadata")
    assert answer.headers["content-type"] == "application/dicom+json"
    [found] = answer.json()
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Ünal^Ayşe"}]}
    assert found["00083002"] == {"vr": "UI", "Value": [ExplicitVRLittleEndian]}
    path = path_of(image)
    assert found["7FE00010"] == {"vr": "OW", "BulkDataURI": f"{path}/bulkdata/7FE00010"}
    assert found["00091001"] == {"vr": "OB", "BulkDataURI": f"{path}/bulkdata/00091001"}
    assert not [tag for tag in found if tag.startswith(("0000", "0002"))]
    stored = dcmread(io.BytesIO(data))
    read = Dataset.from_json(json.dumps(found), lambda *_: b"")
    for element in stored:
        if element.tag not in {0x7FE00010, 0x00091001}:
            assert read[element.tag].value == element.value, element.tag
    [part] = parts_of(await client.get(found["00091001"]["BulkDataURI"]))
    assert part.content == b"x" * 3000
    [pixels] = parts_of(await client.get(found["7FE00010"]["BulkDataURI"]))
    assert pixels.content == image.PixelData


async def test_frames_come_as_stored_or_uncompressed(
    client: httpx.AsyncClient, compressed: tuple[Dataset, bytes]
) -> None:
    image, data = compressed
    path = f"{path_of(image)}/frames/1"
    for accept in (
        f"{OCTETS}; transfer-syntax=*",
        'multipart/related; type="image/jp2"',
        "multipart/related;type=image/jp2;transfer-syntax=*, */*;q=0.1",
        "*/*",
    ):
        [part] = parts_of(await client.get(path, headers={"Accept": accept}))
        kind = f"image/jp2; transfer-syntax={JPEG2000Lossless}"
        assert part.headers["content-type"] == kind, accept
        assert part.content in data
        assert np.array_equal(imagecodecs.jpeg2k_decode(part.content), samples())
    for accept in (OCTETS, f"{OCTETS}; transfer-syntax={ExplicitVRLittleEndian}"):
        [part] = parts_of(await client.get(path, headers={"Accept": accept}))
        assert part.headers["content-type"].startswith("application/octet-stream;")
        assert part.content == samples().astype("<u2").tobytes()
    single = await client.get(path, headers={"Accept": "application/octet-stream"})
    assert single.content == samples().astype("<u2").tobytes()
    refused = await client.get(path, headers={"Accept": 'multipart/related; type="image/jpeg"'})
    assert refused.status_code == 406


async def test_frames_of_a_multi_frame_instance_are_counted_from_1(
    client: httpx.AsyncClient,
) -> None:
    image = radiograph(NumberOfFrames=3, Rows=6, Columns=8)
    image.PixelData = b"".join(bytes([10 * each + 1]) * 24 + b"\xc8" * 24 for each in range(3))
    assert (await store(client, file_of(image))).status_code == 200
    await is_processed(client, image.StudyInstanceUID, 3)
    parts = parts_of(await client.get(f"{path_of(image)}/frames/3,1"))
    assert [part.content[0] for part in parts] == [21, 1]
    assert parts[0].headers["content-location"].endswith("/frames/3")
    assert (await client.get(f"{path_of(image)}/frames/4")).status_code == 404
    for faulty in ("0", "1,,2", "x", "1-2", "1" * 20):
        assert (await client.get(f"{path_of(image)}/frames/{faulty}")).status_code == 400
    third = await client.get(f"{path_of(image)}/frames/3/rendered", headers={"Accept": PNG})
    first = await client.get(f"{path_of(image)}/rendered", headers={"Accept": PNG})
    assert third.content != first.content


async def test_the_rendered_picture_is_the_preview(
    client: httpx.AsyncClient, compressed: tuple[Dataset, bytes]
) -> None:
    image, _ = compressed
    answer = await client.get(f"{path_of(image)}/rendered", headers={"Accept": PNG})
    preview = await client.get(f"/v1/studies/{image.StudyInstanceUID}/images/1/preview.png")
    assert answer.headers["content-type"] == PNG
    assert answer.content == preview.content
    jpeg = await client.get(f"{path_of(image)}/rendered?quality=100")
    assert jpeg.headers["content-type"] == "image/jpeg"
    assert np.abs(pixels(jpeg).astype(int) - pixels(preview)).mean() < 2


async def test_a_window_and_a_viewport_are_followed(
    client: httpx.AsyncClient, compressed: tuple[Dataset, bytes]
) -> None:
    path = f"{path_of(compressed[0])}/rendered"
    accept = {"Accept": PNG}
    grey = pixels(await client.get(f"{path}?window=1000,2,linear-exact", headers=accept))
    assert np.array_equal(grey > 127, samples() >= 1000)
    small = pixels(await client.get(f"{path}?viewport=20,100", headers=accept))
    assert small.shape == (24, 20)
    for faulty in (
        *("window=1", "window=1,0", "window=nan,9", "window=1,2,cubic", "window=1,1e400"),
        *("viewport=1", "viewport=0,5", "viewport=1,2,3,4", "quality=0", "quality=x"),
    ):
        assert (await client.get(f"{path}?{faulty}")).status_code == 400, faulty
    assert (await client.get(path, headers={"Accept": "image/gif"})).status_code == 406


async def test_what_is_not_stored_is_not_found(
    client: httpx.AsyncClient, native: tuple[Dataset, bytes]
) -> None:
    image, _ = native
    path, study = path_of(image), f"/dicomweb/studies/{image.StudyInstanceUID}"
    for missing, kind in (
        ("/dicomweb/studies/1.2.3.999", "study-not-found"),
        (f"{study}/series/1.2.3", "instance-not-found"),
        (
            f"{study}/series/{image.SeriesInstanceUID}/instances/1.2.3/metadata",
            "instance-not-found",
        ),
        (f"{path}/bulkdata/00100010", "instance-not-found"),
    ):
        answer = await client.get(missing)
        assert (answer.status_code, answer.json()["type"]) == (
            404,
            f"urn:radstream:problem:{kind}",
        ), missing
    for faulty in ("/dicomweb/studies/x", f"{study}/series/a", f"{path}/bulkdata/PixelData"):
        assert (await client.get(faulty)).status_code == 400, faulty


async def test_an_answer_that_cannot_be_ended_is_cut_off(gateway: LiveGateway) -> None:
    client, study = gateway.client, generate_uid()
    for _ in range(2):
        assert (await store(client, file_of(radiograph(StudyInstanceUID=study)))).status_code == 200
    await is_processed(client, study, 2)
    path = f"/dicomweb/studies/{study}"
    whole = parts_of(await client.get(path))
    for lost, part in enumerate(reversed(whole), 1):
        digest = hashlib.sha256(part.content).hexdigest()
        folder = gateway.settings.store.folder / "results" / study / "images" / digest
        [file] = folder.glob("image-*.dcm")
        file.unlink()
        if lost == 1:
            with pytest.raises(httpx.RemoteProtocolError):
                await client.get(path)
        else:
            assert (await client.get(path)).status_code == 502


async def test_a_retrieval_is_on_record_with_its_study(
    gateway: LiveGateway, native: tuple[Dataset, bytes]
) -> None:
    image, _ = native
    await gateway.client.get(path_of(image))
    record = audit_trail(gateway.settings)[-1]
    assert record["operation"].startswith("GET /dicomweb/studies/{study_instance_uid}/series/")
    assert record["studies"] == [image.StudyInstanceUID]


async def test_a_study_under_an_id_of_its_senders_is_found_by_its_uid(
    client: httpx.AsyncClient,
) -> None:
    image = radiograph()
    data = file_of(image)
    document = {"study_id": f"S-{image.SOPInstanceUID[-12:]}", "view": "AP"}
    answer = await client.post(
        "/v1/studies",
        files={
            "metadata": ("m.json", json.dumps(document), "application/json"),
            "image": ("i.dcm", data, "application/dicom"),
        },
    )
    assert answer.status_code == 200, answer.text

    async def is_there() -> bool:
        return (await client.get(path_of(image))).status_code == 200

    await until(is_there)
    [part] = parts_of(await client.get(path_of(image)))
    assert part.content == data


def pixels(answer: httpx.Response) -> NDArray[np.uint8]:
    """The grey values of a picture."""
    assert answer.status_code == 200, answer.text
    decoded: NDArray[np.uint8] = cv2.imdecode(
        np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED
    )
    return decoded
