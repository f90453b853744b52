"""The answer to a store transaction: a data set, as DICOM JSON or XML, and its status."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from gateway.dicomweb.media_types import AnswerType

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Sequence as Items

    from pydicom.dataelem import DataElement

    from gateway.deferred.dicom_store import InstanceOutcome
    from gateway.studies.dicom_instance import InstanceUids

_NAMESPACE = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
_ALL_STORED, _SOME_STORED, _NONE_STORED = 200, 202, 409


def status_of(outcomes: Items[InstanceOutcome]) -> int:
    """Return the status of the answer (PS3.18, table 10.5.3-1)."""
    failed = sum(outcome.failure is not None for outcome in outcomes)
    if failed == 0:
        return _ALL_STORED
    return _SOME_STORED if failed < len(outcomes) else _NONE_STORED


def answer_of(
    outcomes: Items[InstanceOutcome], link: Callable[[str], str], study_instance_uid: str | None
) -> Dataset:
    """Return the data set that tells what became of each instance.

    Parameters
    ----------
    link
        Makes a path of the gateway one that callers can ask for.
    study_instance_uid
        Of the request's path.

    References
    ----------
    PS3.18, I.2 (Store Instances Response Module). Where the instances stored are of several
    studies, there is no one URL of them all.
    """
    stored = [outcome.uids for outcome in outcomes if outcome.failure is None]
    studies = {uids.study_instance_uid for uids in stored} or {study_instance_uid}
    answer = Dataset()
    answer.RetrieveURL = link(_study_path(*studies)) if len(studies) == 1 else ""
    failed = [item for item in outcomes if item.failure is not None and item.uids.is_identified()]
    others = [
        item for item in outcomes if item.failure is not None and not item.uids.is_identified()
    ]
    if failed:
        answer.FailedSOPSequence = Sequence(_failed(item) for item in failed)
    if stored:
        answer.ReferencedSOPSequence = Sequence(_stored(uids, link) for uids in stored)
    if others:
        answer.OtherFailuresSequence = Sequence(_with_reason(Dataset(), item) for item in others)
    return answer


def encoded(answer: Dataset, media_type: AnswerType) -> bytes:
    """Return the data set in this media type.

    References
    ----------
    PS3.18, F.2 (DICOM JSON Model); PS3.19, A.1 (Native DICOM Model).
    """
    if media_type is not AnswerType.XML:
        return json.dumps(answer.to_json_dict(), separators=(",", ":")).encode()
    root = ET.Element("NativeDicomModel", {"xmlns": _NAMESPACE, "xml:space": "preserve"})
    _add_elements(root, answer)
    document: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return document


def _study_path(study_instance_uid: str | None) -> str:
    return "" if study_instance_uid is None else f"/dicomweb/studies/{study_instance_uid}"


def _stored(uids: InstanceUids, link: Callable[[str], str]) -> Dataset:
    item = _referenced(uids)
    series, instance = uids.series_instance_uid, uids.sop_instance_uid
    path = f"{_study_path(uids.study_instance_uid)}/series/{series}/instances/{instance}"
    item.RetrieveURL = "" if series is None else link(path)
    return item


def _failed(outcome: InstanceOutcome) -> Dataset:
    return _with_reason(_referenced(outcome.uids), outcome)


def _referenced(uids: InstanceUids) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = uids.sop_class_uid
    item.ReferencedSOPInstanceUID = uids.sop_instance_uid
    return item


def _with_reason(item: Dataset, outcome: InstanceOutcome) -> Dataset:
    item.FailureReason = outcome.failure and int(outcome.failure)
    return item


def _add_elements(parent: ET.Element, dataset: Dataset) -> None:
    for element in dataset:
        attribute = ET.SubElement(
            parent,
            "DicomAttribute",
            {
                "tag": f"{element.tag.group:04X}{element.tag.element:04X}",
                "vr": str(element.VR),
                "keyword": element.keyword,
            },
        )
        _add_values(attribute, element)


def _add_values(attribute: ET.Element, element: DataElement) -> None:
    if element.VR == "SQ":
        for number, item in enumerate(element.value, 1):
            _add_elements(ET.SubElement(attribute, "Item", {"number": str(number)}), item)
    elif element.value not in {None, ""}:
        value = ET.SubElement(attribute, "Value", {"number": "1"})
        value.text = str(element.value)
