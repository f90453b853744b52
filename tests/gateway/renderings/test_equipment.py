"""The equipment of rendered objects."""

import io

import highdicom
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from gateway.renderings.equipment import contributing_equipment, written
from gateway.schemas.result import ModelVersion
from tests.support.readings import NOON


def made(*models: ModelVersion) -> Dataset:
    """An object to which these models contributed."""
    document = highdicom.SOPClass(
        study_instance_uid="1.2.3",
        series_instance_uid="1.2.3.4",
        series_number=1,
        sop_instance_uid="1.2.3.4.5",
        sop_class_uid=SecondaryCaptureImageStorage,
        instance_number=1,
        modality="OT",
        transfer_syntax_uid=ExplicitVRLittleEndian,
    )
    document.ContributingEquipmentSequence = contributing_equipment(models, NOON)
    return dcmread(io.BytesIO(written(document, models, NOON)))


def test_each_model_contributes_with_a_device_of_its_version():
    models = [ModelVersion(name=name, version=version) for name, version in ("a1", "a2", "b1")]
    items = made(*models).ContributingEquipmentSequence
    named = [(item.ManufacturerModelName, item.SoftwareVersions) for item in items]
    assert named == [("a", "1"), ("a", "2"), ("b", "1")]
    assert len({item.DeviceUID for item in items}) == 3
    assert made(models[0]).ContributingEquipmentSequence[0].DeviceUID == items[0].DeviceUID
    for item in items:
        [purpose] = item.PurposeOfReferenceCodeSequence
        assert (purpose.CodeValue, purpose.CodingSchemeDesignator) == ("109102", "DCM")


def test_it_is_as_old_as_what_it_tells_of():
    document = made(ModelVersion(name="a", version="1"))
    assert document.InstanceCreationDate == "20260131"
    assert document.InstanceCreationTime == "120002"
    assert str(document.ContributingEquipmentSequence[0].ContributionDateTime).startswith(
        "20260131120002"
    )


def test_a_name_is_no_longer_than_the_standard_allows():
    document = made(ModelVersion(name="a" * 65, version="1"))
    assert document.ContributingEquipmentSequence[0].ManufacturerModelName == "a" * 64
