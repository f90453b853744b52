"""Attributes of a study by which figures are told apart: sex, age, view, device, sender."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pydicom
from pydicom.errors import InvalidDicomError

from gateway.vocabulary.ages import age_named, years

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
_TAGS = ("PatientSex", "PatientAge", "ManufacturerModelName")


def stated_by_dicom(data: bytes) -> dict[str, str]:
    """Return what a DICOM file states: Patient's Sex, Patient's Age, Manufacturer's Model Name."""
    try:
        header = pydicom.dcmread(BytesIO(data), stop_before_pixels=True, specific_tags=list(_TAGS))
    except (InvalidDicomError, EOFError, ValueError):  # the gateway says what is amiss with it
        return {}
    values = zip(("sex", "age", "device"), (header.get(tag) for tag in _TAGS), strict=True)
    return {name: str(value).strip() for name, value in values if value}


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
