"""Keys of a study's objects are what they were: stores outlive versions."""

import datetime as dt
import re

import pytest

from gateway.results.documents import FrameReading, Reading
from gateway.results.keys import (
    document_key,
    heatmap_key,
    image_key,
    media_type_of,
    new_image_name,
    page_key,
    study_folder,
    submitted_key,
    withdrawal_id,
    withdrawals_of,
    withdrawn_study,
)
from gateway.schemas.result import ModelVersion
from gateway.work.documents import SubmittedPart
from gateway.work.keys import WorkId

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def reading(*, frames: int = 1, media_type: str = "image/png") -> Reading:
    return Reading(
        study_id="S-1",
        sha256="ab" * 32,
        media_type=media_type,
        object="image-00c0ffee.png",
        model=ModelVersion(name="densenet", version="3"),
        received_at=NOON,
        completed_at=NOON,
        timings_ms={},
        warnings=(),
        metadata={},
        frames=(FrameReading(rows=1, columns=1, bits_stored=8, findings=()),) * frames,
    )


def test_keys_stay_byte_for_byte():
    folder = f"results/S-1/images/{'ab' * 32}"
    assert study_folder("S-1") == "results/S-1/"
    assert document_key("S-1") == "results/S-1/result.json"
    assert page_key("S-1", "000001-000007-00c0ffee") == (
        "results/S-1/pages/000001-000007-00c0ffee.json"
    )
    assert image_key(reading()) == f"{folder}/image-00c0ffee.png"
    assert heatmap_key(reading(), 0) == f"{folder}/densenet-3.heatmap.png"
    assert heatmap_key(reading(frames=2), 1) == f"{folder}/densenet-3.heatmap-2.png"


@pytest.mark.parametrize(
    ("media_type", "ending"),
    [("image/png", "png"), ("image/jpeg", "jpg"), ("application/dicom", "dcm")],
)
def test_each_image_that_is_written_has_a_name_of_its_own(media_type: str, ending: str):
    names = {new_image_name(media_type) for _ in range(100)}
    assert len(names) == 100
    assert all(re.fullmatch(rf"image-[0-9a-f]{{8}}\.{ending}", name) for name in names)
    assert {media_type_of(name) for name in names} == {media_type}


def test_an_image_that_waits_lies_where_readings_will_name_it_and_other_files_with_the_work():
    work = WorkId("S-1", "20260131T120000000000Z-00")
    image = SubmittedPart(part="image", object="image-00c0ffee.png", sha256="ab" * 32)
    assert submitted_key(work, image) == image_key(reading())
    other = SubmittedPart(part="image", object="image-1")
    assert submitted_key(work, other) == f"results/S-1/submissions/{work.id}/image-1"
    assert media_type_of(other.object) == "application/octet-stream"


def test_a_withdrawal_has_the_name_of_its_study_and_is_none():
    name = withdrawal_id("S-1", NOON)
    assert document_key(name) == "work/withdrawals/!S-1!20260131T120000000000Z/result.json"
    assert document_key(name).startswith(withdrawals_of("S-1"))
    assert not document_key(name).startswith(withdrawals_of("S"))
    assert (withdrawn_study(name), withdrawn_study("S-1")) == ("S-1", None)
