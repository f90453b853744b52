"""Links of answers, which begin with the prefix of a proxy.

What is stored names no prefix: the setting may change, and readers of the store stand behind no
proxy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from gateway.schemas.events import Delivery
    from gateway.schemas.result import ImageResult, StudyResult
    from gateway.schemas.study_list import StudySummary


@dataclass(frozen=True, slots=True)
class Links:
    """The paths of the API, behind a prefix.

    Parameters
    ----------
    prefix
        Path that a proxy strips from requests, such as ``/radstream``; empty without one.
    """

    prefix: str = ""

    @overload
    def path(self, path: str) -> str: ...
    @overload
    def path(self, path: None) -> None: ...
    def path(self, path: str | None) -> str | None:
        """Return the path with the prefix; None stays None."""
        return None if path is None else self.prefix + path

    def result(self, result: StudyResult) -> StudyResult:
        """Return the study's view with the paths of its pictures."""
        if not self.prefix:
            return result
        return result.model_copy(update={"images": tuple(map(self._image, result.images))})

    def summary(self, summary: StudySummary) -> StudySummary:
        """Return the study in a list with its path."""
        return summary.model_copy(update={"href": self.path(summary.href)})

    def delivery(self, delivery: Delivery) -> Delivery:
        """Return the outcome with its study's path."""
        return delivery.model_copy(update={"study": self.path(delivery.study)})

    def _image(self, image: ImageResult) -> ImageResult:
        readings = tuple(
            reading.model_copy(update={"heatmap": self.path(reading.heatmap)})
            for reading in image.readings
        )
        return image.model_copy(update={"preview": self.path(image.preview), "readings": readings})
