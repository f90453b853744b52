"""Data sets of given attributes, and what is stated of them."""

import datetime as dt

from pydicom.dataset import Dataset

from gateway.studies.metadata.dicom import Described, describe
from gateway.studies.metadata.statements import Statement
from preprocess import read_metadata
from tests.support.dicom import file_of

RECEIVED_AT = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.UTC)


def described(dataset: Dataset) -> Described:
    return describe("image[0]", read_metadata(file_of(dataset)), RECEIVED_AT)


def stated(dataset: Dataset, field: str) -> Statement:
    return described(dataset).statements[field]


def coded(value: str, scheme: str = "SRT") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    return item
