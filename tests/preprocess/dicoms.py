"""DICOM files made for a test: a small CR image, any attribute changed."""

import io

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filewriter import dcmwrite
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian


def image(samples: NDArray, **attributes: object) -> Dataset:
    """A data set whose pixels are `samples`, (rows, columns) or (rows, columns, 3)."""
    dataset = Dataset()
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "CR"
    dataset.SamplesPerPixel = 3 if samples.ndim == 3 else 1
    dataset.PhotometricInterpretation = "RGB" if samples.ndim == 3 else "MONOCHROME2"
    dataset.Rows, dataset.Columns = samples.shape[:2]
    dataset.BitsAllocated = 8 * samples.itemsize
    dataset.BitsStored = attributes.get("BitsStored", dataset.BitsAllocated)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(samples.dtype.kind == "i")
    if samples.ndim == 3:
        dataset.PlanarConfiguration = 0
    pixels = samples.tobytes()
    dataset.PixelData = pixels + bytes(len(pixels) % 2)
    dataset["PixelData"].VR = "OW"
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    return dataset


def compressed(samples: NDArray, *codestreams: bytes, offsets: bool = True, **attributes: object):
    dataset = image(samples, **attributes)
    dataset.PixelData = encapsulate(list(codestreams), has_bot=offsets)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def write(dataset: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = dataset.get("SOPClassUID", "1.2.3")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", "1.2.3.4")
    out = io.BytesIO()
    dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue()


def lut(entries: list[int], first: int, bits: int, *, signed_first: bool = False) -> Dataset:
    """An item of a Modality or VOI LUT Sequence."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed_first else "US", [len(entries), first, bits])
    item.add_new("LUTData", "OW", np.array(entries, "<u2").tobytes())
    item.ModalityLUTType = "US"
    return item
