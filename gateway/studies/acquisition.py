"""Circumstances in which an image was made, as far as its file tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from gateway.schemas.reading_event import Sex
from preprocess import MediaType, PreprocessError, read_values

if TYPE_CHECKING:
    from preprocess import Limits

_DEVICE = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "StationName")
_KEYWORDS = (*_DEVICE, "PatientSex", "ExposureIndex")
_HIGHEST_INDEX = 1e6


@dataclass(frozen=True, slots=True)
class Acquisition:
    """Circumstances of an image's making; None where they are not known.

    Parameters
    ----------
    device
        Manufacturer, model, serial number and station in one: the sender's words.
    sex
        Patient's Sex (0010,0040).
    exposure_index
        Exposure Index (0018,1411), 0 to 1,000,000.
    """

    device: str | None = None
    sex: Sex | None = None
    exposure_index: float | None = None

    @classmethod
    def of_file(cls, data: bytes | memoryview, media_type: MediaType, limits: Limits) -> Self:
        """Return what a file tells; nothing where it is no DICOM file."""
        if media_type is not MediaType.DICOM:
            return cls()
        try:
            values = read_values(data, _KEYWORDS, limits)
        except PreprocessError:
            return cls()
        device = "\n".join(" ".join(values.get(keyword, ())) for keyword in _DEVICE)
        (sex, *_) = values.get("PatientSex", ("",))
        return cls(
            device=device if device.strip() else None,
            sex=Sex(sex) if sex in set(Sex) else None,
            exposure_index=_index(values.get("ExposureIndex", ())),
        )


UNKNOWN = Acquisition()


def _index(values: tuple[str, ...]) -> float | None:
    try:
        (number,) = map(float, values)
    except ValueError:
        return None
    return number if 0 <= number <= _HIGHEST_INDEX else None
