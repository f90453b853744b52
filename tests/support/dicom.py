"""DICOM radiographs as a PACS sends them, with the attributes a test names."""

import numpy as np
from pydicom import config
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, generate_uid

from tests.preprocess import dicoms


def radiograph(**attributes: object) -> Dataset:
    """A DX chest AP image, 8 bits, MONOCHROME2; attributes by keyword change or add to it."""
    dataset = dicoms.image(np.arange(48, dtype=np.uint8).reshape(6, 8))
    dataset.SOPClassUID = DigitalXRayImageStorageForPresentation
    dataset.SOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    dataset.Modality = "DX"
    dataset.BodyPartExamined = "CHEST"
    dataset.ViewPosition = "AP"
    for keyword, value in attributes.items():
        # Unchecked: real files hold what the standard does not allow.
        element = DataElement(keyword, dictionary_VR(keyword), value, validation_mode=config.IGNORE)
        dataset.add(element)
    return dataset


def file_of(dataset: Dataset) -> bytes:
    """The data set as a DICOM file (PS3.10), Explicit VR Little Endian."""
    return dicoms.write(dataset)
