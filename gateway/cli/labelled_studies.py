"""Labelled studies on the way that serves: sent to a running gateway, named by no patient."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx

from gateway.acceptance.attributes import grouped, stated_by_dicom, stated_by_sidecar
from gateway.acceptance.measure import StudyOutcome
from gateway.cli.gateway_client import ask_patiently
from gateway.errors import InvalidMetadataError
from gateway.schemas.metadata import ACCEPTANCE_PREFIX, parse_document
from gateway.studies.imaging import is_dicom
from gateway.studies.sidecar_files import sidecar_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from gateway.acceptance.labels import LabelledStudy

_AT_ONCE = 4
# Of a sidecar; the gateway needs none of them to read an image.
_IDENTIFYING = {"study_id", "patient_id", "accession_number", "model"}


class NoAnswerError(Exception):
    """The gateway does not answer, or refuses the caller."""


def outcomes(
    client: httpx.Client, model: Mapping[str, str], studies: Sequence[LabelledStudy], *, run: str
) -> Iterator[StudyOutcome]:
    """Yield what a model version makes of each study, in order.

    Parameters
    ----------
    client
        Of the gateway; used by several threads.
    model
        Name and version.
    run
        Name of the run, 16 hexadecimal digits: the gateway counts its readings by it.

    Raises
    ------
    NoAnswerError
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            yield from pool.map(lambda study: _outcome(client, model, study, run), studies)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _outcome(
    client: httpx.Client, model: Mapping[str, str], study: LabelledStudy, run: str
) -> StudyOutcome:
    contents = [path.read_bytes() for path in study.files]
    try:
        stated = _stated(study, contents)
        metadata = _metadata(study, contents, model, run)
    except InvalidMetadataError as error:
        [fault, *_] = error.faults
        reason = f"its sidecar: {fault.pointer} {fault.detail}".replace("  ", " ")
        return StudyOutcome(study.name, study.truth, grouped(study.attributes), failed=reason)
    answer = _sent(client, metadata, contents)
    if "images" not in answer:
        faults = "; ".join(each["detail"] for each in answer.get("errors", ()))
        reason = f"{answer['title']}: {faults}" if faults else str(answer["title"])
        return StudyOutcome(study.name, study.truth, grouped(stated), failed=reason)
    views = [image["view"] for image in answer["images"] if image.get("view")]
    groups = grouped({**({"view": views[0]} if views else {}), **stated})
    lacks = ("not_processed", "not_processed_left_out", "missing_readings")
    if any(map(answer.get, lacks)):
        return StudyOutcome(study.name, study.truth, groups, failed="not all images were read")
    return _said(study, groups, model, answer)


def _said(
    study: LabelledStudy,
    groups: Mapping[str, str],
    model: Mapping[str, str],
    answer: Mapping[str, Any],
) -> StudyOutcome:
    """Return the outcome of a study that was read: its most suspicious image counts."""
    readings = [
        reading
        for image in answer["images"]
        for reading in image["readings"]
        if (reading["model"]["name"], reading["model"]["version"])
        == (model["name"], model["version"])
    ]
    applicable = [each for each in readings if each["applicable"]["verdict"] == "applicable"]
    if not applicable:
        reasons = (each["applicable"].get("reason") for each in readings)
        reason = "; ".join(dict.fromkeys(filter(None, reasons))) or "no reading"
        return StudyOutcome(study.name, study.truth, groups, not_applicable=reason)
    probabilities: dict[str, float] = {}
    for reading in applicable:
        for finding in reading["findings"]:
            label = finding["label"]
            probabilities[label] = max(probabilities.get(label, 0.0), finding["probability"])
    return StudyOutcome(study.name, study.truth, groups, probabilities)


def _stated(study: LabelledStudy, contents: Sequence[bytes]) -> dict[str, str]:
    """Return the attributes of a study; what the list states comes first."""
    stated: dict[str, str] = {}
    for data in contents:
        stated = (stated_by_dicom(data) if is_dicom(data) else {}) | stated
    return {**stated, **stated_by_sidecar(_sidecar(study)), **study.attributes}


def _metadata(
    study: LabelledStudy, contents: Sequence[bytes], model: Mapping[str, str], run: str
) -> dict[str, Any]:
    document = {name: value for name, value in _sidecar(study).items() if name not in _IDENTIFYING}
    if not all(map(is_dicom, contents)):
        document.setdefault("timestamp", dt.datetime.now(dt.UTC).isoformat(timespec="seconds"))
        for field, attribute in (("view", "view"), ("patient_age", "age")):
            if attribute in study.attributes:
                document.setdefault(field, study.attributes[attribute])
    study_id = f"{ACCEPTANCE_PREFIX}{run}-{secrets.token_hex(8)}"
    return document | {"study_id": study_id, "model": dict(model)}


def _sidecar(study: LabelledStudy) -> dict[str, Any]:
    """Return the document beside the study's first file that has one."""
    for path in study.files:
        if (sidecar := sidecar_of(path)) is not None:
            return parse_document(sidecar.read_bytes())
    return {}


def _sent(
    client: httpx.Client, metadata: Mapping[str, Any], contents: Sequence[bytes]
) -> dict[str, Any]:
    """Return the result or the problem; where the gateway is busy, the study comes again."""
    files = [("metadata", (None, json.dumps(metadata).encode(), "application/json"))]
    images = [("image", ("image", data, "application/octet-stream")) for data in contents]
    try:
        response = ask_patiently(client, "POST", "/v1/studies", files=[*files, *images])
    except httpx.TransportError as error:
        raise NoAnswerError(f"{client.base_url} does not answer: {error}") from error
    try:
        answer: dict[str, Any] = response.json()
        is_answer = "images" in answer or "title" in answer
    except ValueError:
        answer, is_answer = {}, False
    if not is_answer:
        raise NoAnswerError(f"{client.base_url} answers {response.status_code}: no RadStream")
    if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise NoAnswerError(f"{answer['title']}. {answer['detail']}")
    return answer
