"""Attributes of a study by which figures are told apart: sex, age, view, device, sender."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.vocabulary.ages import age_named, years
from preprocess import PreprocessError, read_values

if TYPE_CHECKING:
    from collections.abc import Mapping

ATTRIBUTES = ("sex", "age", "view", "device", "sender")
UNKNOWN = "unknown"
_BANDS = (
    (1, "under 1 year"),
    (6, "1 to 5 years"),
    (18, "6 to 17 years"),
    (40, "18 to 39 years"),
    (65, "40 to 64 years"),
)
_OLDEST = "65 years and older"
_SEXES = {"M": "M", "F": "F", "O": "O", "MALE": "M", "FEMALE": "F"}
_KEYWORDS = {"sex": "PatientSex", "age": "PatientAge", "device": "ManufacturerModelName"}


def stated_by_dicom(data: bytes) -> dict[str, str]:
    """Return what a DICOM file states: Patient's Sex, Patient's Age, Manufacturer's Model Name."""
    try:
        values = read_values(data, _KEYWORDS.values())
    except PreprocessError:  # the gateway says what is amiss with it
        return {}
    return {name: values[word][0] for name, word in _KEYWORDS.items() if word in values}


def stated_by_sidecar(document: Mapping[str, Any]) -> dict[str, str]:
    """Return what a sidecar states."""
    names = {"sex": "patient_sex", "age": "patient_age", "view": "view", "device": "device"}
    return {name: str(document[field]) for name, field in names.items() if document.get(field)}


def grouped(stated: Mapping[str, str]) -> dict[str, str]:
    """Return the group that a study belongs to by each attribute."""
    return {
        "sex": _SEXES.get(stated.get("sex", "").upper(), UNKNOWN),
        "age": age_band(stated.get("age", "")),
        "view": stated.get("view", UNKNOWN).upper() if stated.get("view") else UNKNOWN,
        "device": stated.get("device", UNKNOWN),
        "sender": stated.get("sender", UNKNOWN),
    }


def age_band(text: str) -> str:
    """Return the band of an age that is written as DICOM does, or in years."""
    age = age_named(text)
    if age is None:
        return UNKNOWN
    return next((band for below, band in _BANDS if years(age) < below), _OLDEST)
