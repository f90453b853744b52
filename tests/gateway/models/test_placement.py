"""A picture goes to an ensemble of its samples' type, or becomes the tensor here."""

from dataclasses import replace

import numpy as np
import pytest

from gateway.models.contracts import read_contract
from gateway.models.placement import call_for, collect_ensembles, placements_of
from gateway.models.placement_document import PARAMETER, PlacementDocument, Role
from gateway.models.served_model import Ensemble, ServedModel
from preprocess import Frame
from tests.gateway.models.configs import CONFIG, config
from tests.support.models import contract

U8 = Ensemble("brightness_u8", "1", "pixels", "largest")
FRAME = Frame(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)), 8, 64, 64)


def model(**ensembles: Ensemble) -> ServedModel:
    served = read_contract("brightness", "3", config(contract()))
    return replace(served, ensembles=ensembles)


def placement(**fields: object) -> PlacementDocument:
    document = {
        "schema": "radstream.placement/1",
        "role": Role.ENSEMBLE,
        "model": "brightness",
        "version": "3",
        "datatype": "UINT8",
        "pixels": "pixels",
        "largest": "largest",
    }
    return PlacementDocument.model_validate(document | fields)


def test_without_an_ensemble_the_tensor_is_made_here():
    call = call_for(model(), FRAME)
    assert (call.name, call.version) == ("brightness", "3")
    assert call.inputs["image"].shape == (1, 1, 32, 32)
    assert call.inputs["image"].dtype == np.float32


def test_an_ensemble_takes_the_samples_as_they_are():
    call = call_for(model(uint8=U8), FRAME)
    assert (call.name, call.version) == ("brightness_u8", "1")
    assert call.inputs["pixels"] is FRAME.samples
    assert call.inputs["largest"].tolist() == [255]
    assert call.shown == call_for(model(), FRAME).shown


def test_samples_of_another_type_or_beyond_a_message_are_made_the_tensor_here():
    deep = Frame(FRAME.samples.astype(np.uint16) * 257, 16, 64, 64)
    assert call_for(model(uint8=U8), deep).name == "brightness"
    assert call_for(model(uint8=U8), FRAME, message_bytes=2**16).name == "brightness"


def test_ensembles_are_found_by_the_model_version_and_the_samples():
    found = collect_ensembles(
        {
            ("brightness_u8", "1"): placement(),
            ("brightness_u8_graph", "1"): placement(role=Role.GRAPH),
            ("brightness_u16", "2"): placement(datatype="UINT16"),
        }
    )
    assert found == {
        ("brightness", "3"): {
            "uint8": U8,
            "uint16": Ensemble("brightness_u16", "2", "pixels", "largest"),
        }
    }


@pytest.mark.parametrize("document", ["{", "{}", '{"role": "other"}'])
def test_a_placement_that_cannot_be_read_is_the_fault_of_its_model_alone(document: str):
    broken = replace(CONFIG, parameters={PARAMETER: document})
    placements, faults = placements_of({("a", "1"): broken, ("b", "1"): CONFIG})
    assert placements == {}
    assert list(faults) == [("a", "1")]
    assert PARAMETER in faults["a", "1"]
