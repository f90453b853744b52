"""The view that is made of readings."""

import datetime as dt
from typing import Any

import pytest

from gateway.results.documents import ActivationMap, FrameReading, Reading, StudyRecord
from gateway.results.view import numbered_frames, picture_key, study_result, study_summary
from gateway.schemas.result import Finding, ModelVersion, ResultWarning, Status

NOON = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def finding(label: str, *, positive: bool) -> Finding:
    return Finding(label=label, probability=0.5, threshold=0.5, positive=positive)


def frame(*findings: Finding, explained: bool = False) -> FrameReading:
    return FrameReading(
        rows=2,
        columns=3,
        bits_stored=12,
        findings=findings,
        activation_map=ActivationMap(shape=(1, 1, 1), data=b"AAA=") if explained else None,
    )


def reading(*frames: FrameReading, minute: int = 0, **changes: Any) -> Reading:
    fields: dict[str, Any] = {
        "study_id": "S1",
        "sha256": f"{minute:064x}",
        "media_type": "image/png",
        "object": "image-00000000.png",
        "model": ModelVersion(name="m", version="1"),
        "received_at": NOON + dt.timedelta(minutes=minute),
        "completed_at": NOON + dt.timedelta(minutes=minute, seconds=1),
        "timings_ms": {"total": 1.5},
        "warnings": (),
        "metadata": {"view": "AP"},
        "frames": frames,
    }
    return Reading(**(fields | changes))


def record(*readings: Reading, **changes: Any) -> StudyRecord:
    numbered, images = [], 0
    for item in readings:
        numbered.append(item.model_copy(update={"number": images + 1}))
        images += len(item.frames)
    fields: dict[str, Any] = {
        "study_id": "S1",
        "received_at": NOON,
        "changed_at": NOON,
        "identity": {"patient_id": "P1"},
        "images": images,
        "readings": tuple(numbered),
    }
    return StudyRecord(**(fields | changes))


def test_frames_are_numbered_through_the_study():
    study = record(reading(frame(), frame()), reading(frame(), minute=1))
    numbers = [(number, index) for number, _, index, _ in numbered_frames(study.readings)]
    assert numbers == [(1, 0), (2, 1), (3, 0)]
    view = study_result(study)
    assert [(image.number, image.frame) for image in view.images] == [(1, 1), (2, 2), (3, None)]


def test_image_is_told_with_its_links():
    read = reading(frame(explained=True))
    [image] = study_result(record(read)).images
    key = picture_key(read, 0)
    assert image.readings[0].heatmap == f"/v1/studies/S1/images/1/heatmap.png?key={key}"
    assert image.preview == f"/v1/studies/S1/images/1/preview.png?key={key}"
    assert (image.rows, image.columns, image.bits_stored, image.view) == (2, 3, 12, "AP")


def test_image_whose_view_nobody_told_has_none():
    [image] = study_result(record(reading(frame(), metadata={}))).images
    assert image.view is None


def test_image_without_an_activation_map_has_no_heat_map():
    [image] = study_result(record(reading(frame()))).images
    assert image.readings[0].heatmap is None


def test_study_was_received_first_and_completed_last():
    view = study_result(record(reading(frame()), reading(frame(), minute=5)))
    assert view.status is Status.COMPLETED
    assert view.received_at == NOON
    assert view.completed_at == NOON + dt.timedelta(minutes=5, seconds=1)


def test_study_without_readings_is_pending():
    view = study_result(record())
    assert (view.status, view.completed_at, view.images) == (Status.PENDING, None, ())


def test_same_warning_is_told_once_and_in_order():
    first, second = ResultWarning(pointer="/a", detail="x"), ResultWarning(pointer="/b", detail="x")
    view = study_result(
        record(
            reading(frame(), warnings=(second, first)),
            reading(frame(), minute=1, warnings=(first,)),
        )
    )
    assert view.warnings == (second, first)


@pytest.mark.parametrize(
    ("frames", "positive"),
    [
        ([frame(finding("a", positive=False))], ()),
        (
            [
                frame(finding("b", positive=True), finding("a", positive=False)),
                frame(finding("b", positive=True), finding("a", positive=True)),
            ],
            ("b", "a"),
        ),
    ],
)
def test_summary_lists_labels_found_in_any_image(
    frames: list[FrameReading], positive: tuple[str, ...]
):
    summary = study_summary(record(reading(*frames)), Status.COMPLETED)
    assert summary.positive == positive
    assert (summary.images, summary.href) == (len(frames), "/v1/studies/S1")


def test_view_does_not_name_the_patient():
    assert "P1" not in study_result(record(reading(frame()))).model_dump_json()


def test_study_tells_of_its_use_and_of_its_instances():
    uids = {"study_instance_uid": "1.2", "series_instance_uid": "1.2.3", "sop_instance_uid": "1.4"}
    words = {"title": "T", "intended_use": "I", "disclaimer": "Not for clinical use."}
    view = study_result(record(reading(frame(), **uids, **words), study_instance_uid="1.2"))
    [image] = view.images
    assert (view.study_instance_uid, view.disclaimer) == ("1.2", "Not for clinical use.")
    assert (image.series_instance_uid, image.sop_instance_uid) == ("1.2.3", "1.4")
    model = image.readings[0].model
    assert (model.title, model.intended_use) == ("T", "I")


@pytest.mark.parametrize("reason", [None, "was not made for it"])
def test_reading_says_whether_its_model_is_applicable(reason: str | None):
    [image] = study_result(record(reading(frame(), not_applicable=reason))).images
    applicable = image.readings[0].applicable
    assert applicable.verdict == ("applicable" if reason is None else "not_applicable")
    assert applicable.reason == reason
