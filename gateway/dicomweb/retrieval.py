"""A retrieval: instances read one after another and given away in the form that is accepted.

One instance is in memory at a time, and within the admission's bytes, however many a study has.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from pydicom.uid import ExplicitVRLittleEndian
from starlette.responses import Response

from gateway.audit.trail import name_study
from gateway.dicomweb.instance_forms import OCTETS, choose_frames, choose_instance, frame_type
from gateway.dicomweb.media_types import DICOM, AnswerType
from gateway.dicomweb.related_answer import AnswerPart, MadeAnswer, begun, related_answer
from gateway.errors import InstanceNotFoundError, NotAcceptableError, RadStreamError
from gateway.retrieval import data_sets
from gateway.retrieval.originals import Original
from gateway.runtime.deadline import Deadline
from preprocess import UnsupportedImageError
from preprocess.native import native_frames, stored_frames

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from pydicom.tag import BaseTag

    from gateway.admission.admission import Admission
    from gateway.dicomweb.accepted_types import AcceptedType
    from gateway.dicomweb.instances import Instance, Instances
    from gateway.studies.imaging import Imaging
    from preprocess import Limits

    T = TypeVar("T")

_CELL_BYTES = 2  # most of a greyscale sample's


class Retrieval:
    """A caller's request for instances.

    Parameters
    ----------
    instances, admission, imaging
        Read them; hold room for their bytes; run what takes long.
    share
        The caller's share of the admission.
    link
        Makes a path of the gateway one that callers can ask for.
    timeout_s
        Seconds that the reading of one instance may take, the wait for room included.
    """

    def __init__(
        self,
        instances: Instances,
        admission: Admission,
        imaging: Imaging,
        *,
        share: str,
        link: Callable[[str], str],
        timeout_s: float,
    ) -> None:
        self._instances = instances
        self._admission = admission
        self._imaging = imaging
        self._share = share
        self._link = link
        self._timeout_s = timeout_s

    async def find(self, *uids: str) -> list[Instance]:
        """Return the instances of a study, or of one series, or one of them.

        Raises
        ------
        StudyNotFoundError, InstanceNotFoundError
        """
        name_study(uids[0])
        async with Deadline.after(self._timeout_s).bounds("retrieval"):
            found = await self._instances.find(*uids)
        for instance in found:
            name_study(instance.study_id)
        return found

    async def instances(
        self, found: Sequence[Instance], accepted: Sequence[AcceptedType], *, single: bool
    ) -> Response:
        """Return an answer of whole files, each a part.

        Parameters
        ----------
        single
            True if one instance was asked for, which may come without parts.

        Raises
        ------
        NotAcceptableError
        """
        parts = self._files(found, accepted, single=single)
        if single and not any(each.is_related for each in accepted):
            part = await anext(parts)
            await parts.aclose()
            return Response(part.data, media_type=part.content_type)
        return await related_answer(parts, DICOM)

    async def _files(
        self, found: Sequence[Instance], accepted: Sequence[AcceptedType], *, single: bool
    ) -> AsyncGenerator[AnswerPart]:
        for instance in found:
            async with self._read(instance) as data:
                stored = await self._transfer_syntax(instance, data)
                _, asked = choose_instance(
                    *(accepted, stored),
                    single=single,
                    is_fixed=not isinstance(instance, Original),
                )
                make = partial(data_sets.whole_file, data)
                if asked != stored:
                    make = partial(data_sets.uncompressed_file, data, self._imaging.limits)
                file = await self._made(instance, make)
                content_type = f"{DICOM}; transfer-syntax={asked}"
                yield AnswerPart(file, content_type, self._link(instance.path))

    async def metadata(self, found: Sequence[Instance]) -> Response:
        """Return an answer of data sets in DICOM JSON, with URIs in the place of bulk data."""

        async def pieces() -> AsyncGenerator[bytes]:
            before = b"["
            for instance in found:
                url = partial(_bulk_url, self._link(instance.path))
                async with self._read(instance) as data:
                    make = partial(data_sets.metadata_of, data, url)
                    attributes = await self._made(instance, make)
                yield before + attributes
                before = b","
            yield b"]"

        return MadeAnswer(await begun(pieces()), AnswerType.JSON)

    async def frames(
        self,
        instance: Instance,
        numbers: Sequence[int],
        accepted: Sequence[AcceptedType],
    ) -> Response:
        """Return an answer of frames, which are counted from 1.

        Parameters
        ----------
        numbers
            Of the frames; all if it is empty.

        Raises
        ------
        InstanceNotFoundError
            There is no frame of a number.
        NotAcceptableError
        """
        count = instance.frame_count
        if not count or any(number > count for number in numbers):
            raise InstanceNotFoundError
        wanted = numbers or range(1, count + 1)
        async with self._read(instance, decoded=True) as data:
            stored = await self._transfer_syntax(instance, data)
            single = len(wanted) == 1
            chosen, asked = choose_frames(accepted, stored, single=single)
            make = stored_frames if asked == stored else _native
            found = await self._made(instance, partial(make, data, self._imaging.limits))
        media_type = OCTETS if asked == ExplicitVRLittleEndian else frame_type(asked)
        content_type = f"{media_type}; transfer-syntax={asked}"
        if not chosen.is_related:
            return Response(found[wanted[0] - 1], media_type=content_type)

        async def parts() -> AsyncGenerator[AnswerPart]:
            for number in wanted:
                location = self._link(f"{instance.path}/frames/{number}")
                yield AnswerPart(found[number - 1], content_type, location)

        return await related_answer(parts(), media_type)

    async def bulk(
        self, instance: Instance, tag: BaseTag, accepted: Sequence[AcceptedType]
    ) -> Response:
        """Return an answer of an attribute's value, as it is stored; of Pixel Data the frames.

        Raises
        ------
        InstanceNotFoundError
            There is no such bulk data.
        NotAcceptableError
        """
        if tag == data_sets.PIXEL_DATA:
            return await self.frames(instance, (), accepted)
        if not any(each.takes(OCTETS) for each in accepted):
            raise NotAcceptableError(f'multipart/related; type="{OCTETS}"')
        async with self._read(instance) as data:
            value = await self._made(instance, partial(data_sets.bulk_of, data, tag))
        if value is None:
            raise InstanceNotFoundError
        location = _bulk_url(self._link(instance.path), f"{tag:08X}")

        async def parts() -> AsyncGenerator[AnswerPart]:
            yield AnswerPart(value, OCTETS, location)

        return await related_answer(parts(), OCTETS)

    @asynccontextmanager
    async def _read(self, instance: Instance, *, decoded: bool = False) -> AsyncIterator[bytes]:
        """Yield a file, for which room is held, and with `decoded` for its frames as well."""
        with self._admission.slot(self._share) as slot:
            async with Deadline.after(self._timeout_s).bounds("retrieval"):
                data = await self._instances.read(instance, slot.wait_for_bytes)
                if decoded:
                    await slot.wait_for_bytes(_decoded_bytes(instance, data))
            yield data

    async def _transfer_syntax(self, instance: Instance, data: bytes) -> str:
        """Return the transfer syntax of a file.

        Raises
        ------
        UnreadableDocumentError
            It is no longer what was stored: one that is cut off in its File Meta Information has
            the wrong syntax, or none.
        """
        header = await self._made(
            instance, partial(data_sets.read_data_set, data, ("SOPInstanceUID",))
        )
        if "SOPInstanceUID" not in header:
            raise self._instances.damaged(instance)
        return data_sets.transfer_syntax_of(header)

    async def _made(self, instance: Instance, make: Callable[[], T]) -> T:
        """Return what is made of a file, off the event loop.

        Raises
        ------
        UnreadableDocumentError
            It is no longer what was stored.
        """
        try:
            return await self._imaging.run(make)
        except UnsupportedImageError as error:
            raise NotAcceptableError("the transfer syntax that is stored (*)") from error
        except (RadStreamError, MemoryError):
            raise
        except Exception as error:  # pydicom has no one class for a damaged file
            raise self._instances.damaged(instance) from error


def _decoded_bytes(instance: Instance, data: bytes) -> int:
    """Return the room that the frames of a file may take."""
    if isinstance(instance, Original):
        cells = sum(frame.rows * frame.columns for frame in instance.reading.frames)
        return cells * _CELL_BYTES
    return len(data)  # what is rendered is not compressed


def _native(data: bytes, limits: Limits) -> tuple[bytes, ...]:
    return native_frames(data, limits).frames


def _bulk_url(path: str, tag: str) -> str:
    return f"{path}/bulkdata/{tag}"
