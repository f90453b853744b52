"""Pictures of a stored study: looked at over HTTP, or laid beside the results for a drop folder."""

from __future__ import annotations

import asyncio
import math
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gateway.errors import Fault, ImageNotFoundError, InvalidQueryError, NoHeatMapError
from gateway.pictures.rendering import (
    FULL_RANGE,
    LONGEST_SIDE,
    heatmap_png,
    preview_png,
    rendered_picture,
)
from gateway.results.store import explained
from gateway.results.view import numbered_frames, picture_key
from gateway.retrieval.data_sets import with_window
from preprocess import CorruptImageError, GreyRange, UnrecognisedImageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.pictures.rendering import RenderedView, ViewWindow
    from gateway.results.documents import FrameReading, Reading
    from gateway.results.store import ResultStore
    from gateway.studies.imaging import Imaging
    from preprocess import Frame


# Pixels of a stored heat map's longer side. Each dropped image has one drawn whether or not it
# is looked at, and at a screen's size that takes longer than all else that is done for the image.
_STORED_SIDE = 512


class Pictures:
    """The previews and heat maps, drawn from the images and readings in the store.

    Parameters
    ----------
    results, imaging
        Hold the images; decode and draw them.
    at_once
        Number of images that may be in memory for it. Callers that wait for a turn hold none.
    """

    def __init__(self, results: ResultStore, imaging: Imaging, *, at_once: int) -> None:
        self._results = results
        self._imaging = imaging
        self._turns = asyncio.Semaphore(at_once)

    async def preview(self, study_id: str, number: int, key: str | None = None) -> bytes:
        """Return an image of a study as an 8-bit PNG: the one of this key, else of this number now.

        Raises
        ------
        StudyNotFoundError, ImageNotFoundError
        """
        reading, index, read = await self.find(study_id, number, key)
        async with self._turns:
            frames = await self._frames(reading)
            return await self._imaging.run(partial(preview_png, frames[index], _shown(read)))

    async def rendered(self, reading: Reading, index: int, view: RenderedView) -> bytes:
        """Return a frame of an image, which is counted from 0, as a picture for the eye.

        Raises
        ------
        StudyNotFoundError
            It was deleted meanwhile.
        """
        read = reading.frames[index]
        async with self._turns:
            frames = await self._frames(reading, view.window)
            shown = _shown(read) if view.window is None else FULL_RANGE
            return await self._imaging.run(partial(rendered_picture, frames[index], shown, view))

    async def heatmap(
        self, study_id: str, number: int, label: str | None = None, key: str | None = None
    ) -> bytes:
        """Return the heat map of a finding as a PNG; without a label, of the most probable finding.

        Raises
        ------
        StudyNotFoundError, ImageNotFoundError
        NoHeatMapError
            The model explains nothing.
        InvalidQueryError
            The model knows no such label.
        """
        reading, index, read = await self.find(study_id, number, key)
        if read.activation_map is None:
            raise NoHeatMapError(reading.model.name)
        return await self.heatmap_of(reading, index, finding_of(read, label))

    async def heatmap_of(self, reading: Reading, index: int, label: int) -> bytes:
        """Return the heat map of a finding as a PNG.

        Parameters
        ----------
        index, label
            Indices of the frame, which has an activation map, and of its finding.
        """
        async with self._turns:
            frame = (await self._frames(reading))[index]
            return await self._draw(frame, reading.frames[index], label)

    async def store_heatmaps(
        self,
        study_id: str,
        sha256: str,
        data: bytes | memoryview,
        fresh: Sequence[Reading] = (),
        decoded: Sequence[Frame] = (),
    ) -> None:
        """Lay beside each reading of an image the heat map of its most probable finding.

        What is there already is left alone.

        Parameters
        ----------
        data
            The image.
        fresh
            Its readings, where they were stored just now; else the store is asked for them.
        decoded
            Its frames, where they are decoded already.
        """
        drawn = [(reading, explained(reading)) for reading in fresh]
        for reading, missing in drawn or await self._results.without_heatmap(study_id, sha256):
            if not missing:
                continue
            async with self._turns:
                frames, enough = decoded, _enough(reading.frames)
                if not frames or any(_is_smaller(frame, enough) for frame in frames):
                    frames = await self._imaging.frames(data, at_least=enough)
                for index in missing:
                    read = reading.frames[index]
                    picture = await self._draw(
                        frames[index], read, finding_of(read, None), longest_side=_STORED_SIDE
                    )
                    await self._results.add_heatmap(reading, index, picture)

    async def find(
        self, study_id: str, number: int, key: str | None
    ) -> tuple[Reading, int, FrameReading]:
        """Return the frame of this key, else the latest reading of this number now.

        Returns
        -------
        tuple
            The reading, the frame's index in it, the frame.

        Raises
        ------
        StudyNotFoundError, ImageNotFoundError
        """
        numbered = list(numbered_frames(await self._results.readings(study_id)))
        for place, reading, index, read in reversed(numbered):  # the latest reading of an image
            if picture_key(reading, index) == key or (key is None and place == number):
                return reading, index, read
        raise ImageNotFoundError(number, max(place for place, *_ in numbered))

    async def _frames(
        self, reading: Reading, window: ViewWindow | None = None
    ) -> tuple[Frame, ...]:
        data = await self._results.image(reading)
        try:
            if window is not None:
                data = await self._imaging.run(
                    partial(with_window, data, window.center, window.width, window.function)
                )
            return await self._imaging.frames(data)
        except (
            CorruptImageError,
            UnrecognisedImageError,
        ) as error:  # it was read before, so it is not what was stored
            raise self._results.unreadable_image(reading) from error

    async def _draw(
        self, frame: Frame, read: FrameReading, chosen: int, *, longest_side: int = LONGEST_SIDE
    ) -> bytes:
        if read.activation_map is None:
            raise ValueError("the frame has no activation map")
        cells = np.frombuffer(read.activation_map.data, "<f2").reshape(read.activation_map.shape)
        return await self._imaging.run(
            partial(
                heatmap_png,
                frame,
                cells[chosen].astype(np.float32),
                read.findings[chosen],
                read.activation_map.covers,
                read.activation_map.full,
                shown=_shown(read),
                longest_side=longest_side,
            )
        )


def _shown(read: FrameReading) -> GreyRange:
    black, white = read.shown
    return GreyRange(black, white)


def _enough(frames: Sequence[FrameReading]) -> tuple[int, int]:
    """Return rows and columns that a stored heat map needs of its image."""
    rows, columns = max(frame.rows for frame in frames), max(frame.columns for frame in frames)
    scale = min(1.0, _STORED_SIDE / max(rows, columns))
    return math.ceil(rows * scale), math.ceil(columns * scale)


def _is_smaller(frame: Frame, size: tuple[int, int]) -> bool:
    rows, columns = frame.samples.shape
    return bool(rows < size[0] or columns < size[1])


def finding_of(read: FrameReading, label: str | None) -> int:
    """Return the place of a finding among the frame's, and so of its cells in the map.

    Parameters
    ----------
    label
        None for the most probable one.

    Raises
    ------
    InvalidQueryError
        The model knows no such label.
    """
    places = range(len(read.findings))
    if label is None:
        return max(places, key=lambda place: read.findings[place].probability)
    for place in places:
        if read.findings[place].label == label:
            return place
    known = ", ".join(finding.label for finding in read.findings)
    raise InvalidQueryError((Fault("query/label", f"must be one of: {known}"),))
