"""Ages as DICOM writes them (PS3.5, 6.2, VR AS): three digits and D, W, M or Y."""

from __future__ import annotations

import re

_AGE = re.compile(r"([0-9]{1,3})\s*([DWMY]?)", re.IGNORECASE)
_IN_A_YEAR = {"D": 365.25, "W": 365.25 / 7, "M": 12.0, "Y": 1.0}


def age_named(text: str) -> str | None:
    """Return an age as DICOM writes it, with years unless it says otherwise; None if it is none."""
    found = _AGE.fullmatch(text.strip())
    return None if found is None else f"{int(found[1]):03}{found[2].upper() or 'Y'}"


def years(age: str) -> float:
    """Return the years of an age as DICOM writes it."""
    return int(age[:3]) / _IN_A_YEAR[age[3]]
