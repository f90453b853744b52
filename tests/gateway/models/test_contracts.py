"""Contracts read, held to tensors, and turned to findings; expected numbers are by hand."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.errors import ContractError
from gateway.models.contracts import (
    activation_cells,
    applicability_score,
    findings,
    probabilities,
    read_contract,
)
from gateway.schemas.contract import Contract
from gateway.triton.protocol import TensorMetadata
from tests.gateway.models.configs import CONFIG, config, parsed
from tests.support.models import TWO_LABELS, contract


def test_contract_that_fits_is_read():
    model = read_contract("brightness", "3", config(contract()))
    assert (model.reference.name, model.reference.version) == ("brightness", "3")
    assert model.outputs == ("logits", "activation_map")


def test_model_need_not_explain_itself():
    model = read_contract("x", "1", config(contract({"output": {"activation_map": None}})))
    assert model.outputs == ("logits",)


def test_size_the_model_leaves_open_fits_any():
    open_sizes = (TensorMetadata("image", "FP32", (1, -1, -1)),)
    assert read_contract("x", "1", config(contract(), inputs=open_sizes))


def test_model_without_a_batch_axis_takes_one_image():
    one = [replace(t, shape=(1, *t.shape)) for t in (*CONFIG.inputs, *CONFIG.outputs)]
    fits = {"max_batch_size": 0, "inputs": (one[0],), "outputs": (one[1], one[2])}
    assert read_contract("x", "1", config(contract(), **fits))
    with pytest.raises(ContractError, match="has shape"):
        read_contract("x", "1", config(contract(), max_batch_size=0))


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "parameter 'radstream': document: is not JSON: EOF"),
        ("[]", "parameter 'radstream': document: must be an object"),
        (contract({"title": None}), "title: is required"),
        (contract({"schema": "radstream.model/2"}), "schema: must be"),
        (contract({"surprise": 1}), "surprise: is not a field of this object"),
        (contract({"input": {"range": [1, 1]}}), "input: "),
        (contract({"input": {"rows": 0}}), "input: "),
        (contract({"input": {"resample": "cubic"}}), "input.resample: "),
        (contract({"input": {"intensity": {"rule": "window", "center": 0.5}}}), "width"),
        (contract({"input": {"name": "pixels"}}), "one input, named 'pixels'"),
        (contract({"input": {"rows": 16}}), r"'image' has shape \[1, 32, 32\], not \[1, 16, 32\]"),
        (contract({"input": {"channels": 3}}), r"not \[3, 32, 32\]"),
        (contract({"output": {"name": "scores"}}), "no output named 'scores'"),
        (contract({"output": {"activation_map": "cam"}}), "no output named 'cam'"),
        (contract({"output": {"labels": []}}), "output.labels"),
        (contract(TWO_LABELS), r"'logits' has shape \[1\], not \[2\]"),
        (
            contract(
                {
                    "output": {"labels": [{"label": "a", "threshold": 0.5}] * 2},
                    "golden": {"probabilities": {"a": 0.5}},
                }
            ),
            "two labels are the same",
        ),
        (contract({"golden": {"probabilities": {"other": 0.5}}}), "must name every label"),
        (contract({"golden": {"image": "not base64!"}}), "golden.image"),
        (contract({"golden": {"tolerance": 0.5}}), "golden.tolerance"),
        (contract({"accepts": {"body_parts": ["FOO"]}}), "no body part of DICOM"),
        (contract({"accepts": {"modalities": ["FOO"]}}), "no modality of DICOM"),
    ],
)
def test_contract_that_does_not_fit_says_why(document: dict[str, Any] | str, said: str):
    with pytest.raises(ContractError, match=said):
        read_contract("x", "1", config(document))


@pytest.mark.parametrize("datatype", ["FP16", "FP64", "INT64", "BYTES"])
def test_other_types_than_fp32_are_kept_out(datatype: str):
    with pytest.raises(ContractError, match=f"'image' is {datatype}, not FP32"):
        read_contract(
            "x", "1", config(contract(), inputs=(replace(CONFIG.inputs[0], datatype=datatype),))
        )


def test_missing_contract_is_named():
    with pytest.raises(ContractError, match="has no parameter 'radstream'"):
        read_contract("x", "1", CONFIG)


def test_a_contract_is_read_in_the_words_that_studies_are_known_by():
    words = contract({"accepts": {"modalities": ["DR"], "body_parts": ["Thorax"]}})
    accepts = read_contract("x", "1", config(words)).contract.accepts
    assert (accepts.modalities, accepts.body_parts) == ({"DX"}, {"CHEST"})


# --- output to probabilities ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("activation", "output", "expected"),
    [
        ("sigmoid", [0.0, 0.8], [0.5, 0.689974]),
        ("sigmoid", [1e30, -1e30], [1.0, 0.0]),
        ("softmax", [0.0, 0.0], [0.5, 0.5]),
        ("softmax", [0.8, -0.8], [0.832018, 0.167982]),
        ("softmax", [1e30, 0.0], [1.0, 0.0]),
        ("identity", [0.0, 1.0], [0.0, 1.0]),
        ("identity", [1.0000001, -0.0000001], [1.0, 0.0]),
    ],
)
def test_activation_makes_probabilities(
    activation: str, output: list[float], expected: list[float]
):
    document = parsed(TWO_LABELS | {"output": {**TWO_LABELS["output"], "activation": activation}})
    given = np.array([output], np.float32)
    before = given.copy()
    assert probabilities(document, given) == pytest.approx(expected, abs=1e-6)
    assert (given == before).all()


@pytest.mark.parametrize(
    ("activation", "output"),
    [
        ("sigmoid", [[0.0]]),
        ("sigmoid", [[0.0, 0.0, 0.0]]),
        ("sigmoid", [[0.0, 0.0], [0.0, 0.0]]),
        ("sigmoid", [0.0, 0.0]),
        ("sigmoid", []),
        ("sigmoid", [[float("nan"), 0.0]]),
        ("softmax", [[float("inf"), 0.0]]),
        ("identity", [[1.1, 0.0]]),
        ("identity", [[0.5, -0.1]]),
    ],
)
def test_output_that_is_none_breaks_the_contract(activation: str, output: Any):
    document = parsed(TWO_LABELS | {"output": {**TWO_LABELS["output"], "activation": activation}})
    with pytest.raises(ContractError):
        probabilities(document, np.array(output, np.float32))


@pytest.mark.parametrize(
    ("threshold", "logit", "probability", "positive"),
    [
        (0.5, 0.0, 0.5, True),  # reaches it
        (0.5, -0.1, 0.475021, False),
        (0.5, -1e-7, 0.5, True),  # 0.499999975 is shown, and so judged, as 0.5
        (0.0, -100.0, 0.0, True),
        (1.0, 5.0, 0.993307, False),
    ],
)
def test_finding_is_positive_from_its_threshold_on(
    threshold: float, logit: float, probability: float, positive: bool
):
    document = parsed({"output": {"labels": [{"label": "bright", "threshold": threshold}]}})
    [finding] = findings(document, np.array([[logit]], np.float64))
    assert (finding.probability, finding.positive) == (probability, positive)


def test_findings_keep_the_order_and_codes_of_the_labels():
    code = {"system": "http://snomed.info/sct", "code": "233604007", "display": "Pneumonia"}
    labels = [
        {"label": "dark", "threshold": 0.5},
        {"label": "bright", "threshold": 0.5, "code": code},
    ]
    document = parsed(
        {"output": {"labels": labels}, "golden": {"probabilities": {"dark": 0, "bright": 1}}}
    )
    dark, bright = findings(document, np.array([[-4.0, 4.0]], np.float32))
    assert (dark.label, dark.positive, dark.code) == ("dark", False, None)
    assert bright.code is not None
    assert (bright.label, bright.positive, bright.code.code) == ("bright", True, "233604007")


def test_activation_cells_are_half_floats_of_the_one_image():
    cells = activation_cells(parsed(), np.array([[[[1.0, -2.5], [1e9, -1e9]]]], np.float32))
    assert cells.dtype == np.dtype("<f2")
    assert cells.tolist() == [[[1.0, -2.5], [65504.0, -65504.0]]]


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 2, 8, 8), (2, 1, 8, 8), (1, 1, 0, 8), (0,)])
def test_activation_map_of_another_shape_breaks_the_contract(shape: tuple[int, ...]):
    with pytest.raises(ContractError, match="activation map has shape"):
        activation_cells(parsed(), np.zeros(shape, np.float32))


SCORED = contract({"output": {"applicability": {"tensor": "score", "threshold": 0.5}}})


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ((), "no output named 'score'"),
        ((TensorMetadata("score", "FP32", (2,)),), "has shape"),
        ((TensorMetadata("score", "FP64", (1,)),), "is FP64"),
    ],
)
def test_score_that_the_model_does_not_give_breaks_the_contract(
    tensors: tuple[TensorMetadata, ...], said: str
):
    with pytest.raises(ContractError, match=said):
        read_contract("x", "1", config(SCORED, outputs=(*CONFIG.outputs, *tensors)))


def test_score_is_asked_for_and_read():
    outputs = (*CONFIG.outputs, TensorMetadata("score", "FP32", (1,)))
    model = read_contract("x", "1", config(SCORED, outputs=outputs))
    assert model.outputs == ("logits", "activation_map", "score")
    score = applicability_score(model.contract, {"score": np.array([[0.25]], np.float32)})
    assert score == 0.25
    assert applicability_score(parsed(), {}) is None


@pytest.mark.parametrize("output", [[[np.nan]], [[np.inf]], [[0.1, 0.2]], [0.1], [[0.1], [0.1]]])
def test_score_that_is_no_number_breaks_the_contract(output: Any):
    outputs = {"score": np.array(output, np.float32)}
    with pytest.raises(ContractError, match="not one finite number"):
        applicability_score(Contract.model_validate(SCORED), outputs)
