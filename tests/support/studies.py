"""Results of studies as the API tells them, without a store."""

from typing import Any

from gateway.schemas.result import StudyResult

CODE = {"system": "http://snomed.info/sct", "code": "233604007", "display": "Pneumonia"}
IDENTITY = {"patient_id": "P-7", "accession_number": "A-9"}


def reading(probability: float = 0.9, *, version: str = "1", **changes: Any) -> dict[str, Any]:
    finding = {"label": "pneumonia", "code": CODE, "probability": probability, "threshold": 0.86}
    return {
        "model": {"name": "cxr", "version": version, "title": "Chest", "intended_use": "A test."},
        "applicable": {"verdict": "applicable"},
        "findings": [{**finding, "positive": probability >= 0.86}],
        "completed_at": "2026-01-31T08:15:02Z",
        "timings_ms": {},
    } | changes


def image(number: int = 1, *readings: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "number": number,
        "sha256": f"{number:064x}",
        "media_type": "application/dicom",
        "rows": 10,
        "columns": 10,
        "bits_stored": 8,
        "preview": "/p.png",
        "received_at": "2026-01-31T08:15:00Z",
        "readings": readings or (reading(),),
    } | changes


def unfinished() -> dict[str, Any]:
    """Parts of a study of which five images were not processed, and a reading is missing."""
    time, sha256 = "2026-01-31T08:15:00Z", "a" * 64
    problem = {"type": "about:blank", "title": "A", "status": 500, "detail": "B"}
    waiting = {"received_at": time, "images": 2, "attempts": 0}
    failed = {"received_at": time, "failed_at": time, "attempts": 1, "parked": "p"}
    return {
        "not_processed": [{"part": "image[1]", "problem": problem, "sha256": sha256}],
        "pending": [waiting],
        "failures": [failed | {"images": images, "problem": problem} for images in (0, 1)],
        "missing_readings": [
            {
                "sha256": sha256,
                "model": {"name": "cxr", "version": "2"},
                "since": time,
                "is_retried": True,
                "problem": problem,
            }
        ],
    }


def study(*images: dict[str, Any], **changes: Any) -> StudyResult:
    document = {
        "study_id": "S1",
        "study_instance_uid": "1.2.3",
        "status": "completed",
        "received_at": "2026-01-31T08:15:00Z",
        "completed_at": "2026-01-31T08:15:02Z",
        "disclaimer": "Not for clinical use.",
        "images": images,
    }
    return StudyResult.model_validate(document | changes)
