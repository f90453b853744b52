"""Keys of a study's objects are what they were: stores outlive versions."""

import datetime as dt

from gateway.results.documents import FrameReading, Reading
from gateway.results.keys import (
    heatmap_key,
    image_key,
    reading_key,
    readings_among,
    study_folder,
)
from gateway.schemas.result import ModelVersion

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def reading(*, frames: int = 1, media_type: str = "image/png") -> Reading:
    return Reading(
        study_id="S-1",
        sha256="ab" * 32,
        media_type=media_type,
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
    assert image_key(reading()) == f"{folder}/image.png"
    assert image_key(reading(media_type="image/jpeg")) == f"{folder}/image.jpg"
    assert image_key(reading(media_type="application/dicom")) == f"{folder}/image.dcm"
    assert reading_key(reading()) == f"{folder}/densenet-3.json"
    assert heatmap_key(reading(), 0) == f"{folder}/densenet-3.heatmap.png"
    assert heatmap_key(reading(frames=2), 1) == f"{folder}/densenet-3.heatmap-2.png"


def test_readings_are_told_from_all_else_of_their_study():
    own = reading_key(reading())
    others = [
        *(image_key(reading()), heatmap_key(reading(), 0), "results/S-1/result.json"),
        *("results/S-1/not_processed/00.json", own.replace("S-1", "S-2")),
    ]
    assert readings_among("S-1", [own, *others]) == [own]
