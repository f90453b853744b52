"""Labelled studies through a real gateway: read, not applicable, refused; no patient goes along."""

import asyncio
import json
from pathlib import Path

import pytest

from gateway.acceptance.labels import LabelledStudy
from gateway.acceptance.measure import StudyOutcome
from gateway.cli.gateway_client import gateway_client
from gateway.cli.labelled_studies import NoAnswerError, outcomes
from gateway.schemas.metadata import ACCEPTANCE_PREFIX
from tests.support.dicom import file_of, radiograph
from tests.support.gateway import LiveGateway
from tests.support.models import flat_png, probability

RUN = "0123456789abcdef"
MODEL = {"name": "brightness", "version": "1"}


def study(path: Path, *contents: bytes, **attributes: str) -> LabelledStudy:
    path.mkdir()
    files = []
    for number, data in enumerate(contents):
        files.append(path / f"{number}.img")
        files[-1].write_bytes(data)
    return LabelledStudy(path.name, tuple(files), {"bright": True}, attributes)


async def read(gateway: LiveGateway, *studies: LabelledStudy) -> list[StudyOutcome]:
    def run() -> list[StudyOutcome]:
        with gateway_client(gateway.url, None) as client:
            return list(outcomes(client, MODEL, studies, run=RUN))

    return await asyncio.to_thread(run)


async def test_the_most_suspicious_image_counts_and_attributes_come_from_all_sources(
    gateway: LiveGateway, tmp_path: Path
):
    dark, bright = flat_png(40), flat_png(204)
    pictures = study(tmp_path / "pictures", dark, bright, sex="F", view="AP")
    sidecar = {"patient_age": "034Y", "patient_id": "P-CANARY", "study_id": "CANARY"}
    (tmp_path / "pictures" / "0.json").write_text(json.dumps(sidecar))
    dataset = radiograph(PatientSex="M", PatientID="P-CANARY", ManufacturerModelName="DR 7")
    dicom = study(tmp_path / "dicom", file_of(dataset), sender="north")
    first, second = await read(gateway, pictures, dicom)
    assert first.probabilities["bright"] == pytest.approx(probability(0.8), abs=1e-4)
    assert (first.groups["sex"], first.groups["age"], first.groups["view"]) == (
        *("F", "18 to 39 years"),
        "AP",
    )
    assert second.study == "dicom"
    assert (second.failed, second.not_applicable) == (None, None)
    assert second.groups == {
        "sex": "M",
        "age": "unknown",
        "view": "AP",
        "device": "DR 7",
        "sender": "north",
    }
    sent = [name for name in gateway.stored() if ACCEPTANCE_PREFIX + RUN in name]
    documents = [name for name in sent if name.endswith("result.json")]
    folder = gateway.settings.store.folder
    of_pictures = [
        text
        for text in ((folder / name).read_text() for name in documents)
        if '"patient_age":"034Y"' in text
    ]
    assert of_pictures
    assert not [text for text in of_pictures if "CANARY" in text]


async def test_a_study_without_a_verdict_says_why(gateway: LiveGateway, tmp_path: Path):
    blank = study(tmp_path / "blank", b"\x89PNG\r\n\x1a\n", view="AP")
    foreign = study(tmp_path / "foreign", file_of(radiograph(Modality="MG")))
    broken = study(tmp_path / "broken", flat_png(9), view="AP")
    (tmp_path / "broken" / "0.json").write_text("{")
    found = await read(gateway, blank, foreign, broken)
    assert [bool(each.probabilities) for each in found] == [False, False, False]
    assert found[0].failed is not None
    assert found[0].failed.startswith("Damaged image: ")
    assert found[1].not_applicable is not None
    assert found[2].failed is not None
    assert found[2].failed.startswith("its sidecar: is not JSON")


def test_a_gateway_that_does_not_answer_ends_the_run(tmp_path: Path):
    with gateway_client("http://127.0.0.1:9", None) as client, pytest.raises(NoAnswerError):
        list(outcomes(client, MODEL, [study(tmp_path / "a", flat_png(9))], run=RUN))
