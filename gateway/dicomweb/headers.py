"""Headers of instances, as searches tell them.

That of a stored instance is read from the first bytes of its file. A report or a heat map is not
rendered for a search: it has the patient and study of the image that it is of, with the study's
identity, and series and UIDs of its own.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pydicom.dataset import Dataset, FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from gateway.errors import RadStreamError, UnreadableDocumentError
from gateway.renderings.revisions import OF_PATIENT, with_patient
from gateway.retrieval.data_sets import read_header
from gateway.retrieval.originals import Original

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from gateway.admission.admission import Admission
    from gateway.dicomweb.instances import Instance, Instances
    from gateway.renderings.result_objects import ResultObject
    from gateway.studies.imaging import Imaging

STUDY_FIELDS = (
    *("SpecificCharacterSet", "StudyDate", "StudyTime", "AccessionNumber", "StudyDescription"),
    *("ReferringPhysicianName", "TimezoneOffsetFromUTC", "PatientName", "PatientID"),
    *("PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyID"),
)


class Headers:
    """Headers of instances.

    Parameters
    ----------
    instances, imaging
        Read them; run what takes long.
    admission, share
        Hold room for files that are read whole, for the caller's share.
    """

    def __init__(
        self, instances: Instances, imaging: Imaging, *, admission: Admission, share: str
    ) -> None:
        self._instances = instances
        self._imaging = imaging
        self._admission = admission
        self._share = share

    async def of(
        self, instance: Instance, names: Sequence[str], *, more: Collection[str] | None = ()
    ) -> Dataset:
        """Return the attributes of an instance that have these names.

        Parameters
        ----------
        more
            Others that are told besides; None tells all.

        Returns
        -------
        Dataset
            A FileDataset, with the transfer syntax; of a damaged file a plain one of its UIDs.
        """
        wanted = None if more is None else (*names, *more)
        try:
            if isinstance(instance, Original):
                return await self.read(instance, wanted)
            return await self._of_result(instance, wanted)
        except UnreadableDocumentError:  # the log has it
            return _recorded(instance, names)

    async def of_study(
        self,
        instances: Sequence[Instance],
        patient_id: str | None,
        *,
        more: Collection[str] | None = (),
    ) -> Dataset:
        """Return the attributes of a study, as its first instance has them.

        Where that came with another patient than the study is of now, they are those of its newest
        instance; where this did too, without that patient's name, birth date and sex.
        """
        first, *others = (each for each in instances if isinstance(each, Original))
        header = await self.of(first, STUDY_FIELDS, more=more)
        if patient_id is None or header.get("PatientID") in {None, "", patient_id}:
            return header
        if others:
            newest = await self.of(others[-1], STUDY_FIELDS, more=more)
            if newest.get("PatientID") == patient_id:
                return newest
        for keyword in OF_PATIENT:
            if keyword in header:
                setattr(header, keyword, "")
        return header

    async def read(self, original: Original, names: Sequence[str] | None) -> FileDataset:
        """Return these attributes of a stored instance, or all of them.

        Raises
        ------
        UnreadableDocumentError
        """
        data = await self._instances.beginning(original)
        header = await self._parsed(data, names)
        if header is None:  # private attributes push the others behind the first bytes
            with self._admission.slot(self._share) as slot:
                data = await self._instances.read(original, slot.wait_for_bytes)
                header = await self._parsed(data, names, whole=True)
        if header is None:
            raise self._instances.damaged(original)
        return header

    async def _of_result(self, result: ResultObject, wanted: Sequence[str] | None) -> FileDataset:
        header = await self.read(result.original, STUDY_FIELDS)
        header.setdefault("PatientID", "")
        for changed in with_patient({"": header}, result.identity).values():
            header.update(changed)
        header.update(result.attributes)
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        if wanted is not None:
            for element in list(header):
                if element.keyword not in wanted:
                    del header[element.tag]
        return header

    async def _parsed(
        self, data: bytes, names: Sequence[str] | None, *, whole: bool = False
    ) -> FileDataset | None:
        try:
            return await self._imaging.run(partial(read_header, data, names, whole=whole))
        except (RadStreamError, MemoryError):
            raise
        except Exception:  # noqa: BLE001 - pydicom has no one class for a file that is cut off
            return None


def _recorded(instance: Instance, names: Sequence[str]) -> Dataset:
    """Return the identifiers of an instance, of those that are asked for."""
    data_set = Dataset()
    for keyword, value in (
        ("StudyInstanceUID", instance.study_instance_uid),
        ("SeriesInstanceUID", instance.series_instance_uid),
        ("SOPInstanceUID", instance.sop_instance_uid),
    ):
        if keyword in names:
            setattr(data_set, keyword, value)
    return data_set
