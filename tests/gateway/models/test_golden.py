"""The golden image is read on every way to a model, and held to the contract's probability."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gateway.errors import ContractError
from gateway.models.contracts import read_contract
from gateway.models.golden import try_golden
from gateway.models.served_model import Ensemble, ServedModel
from gateway.triton.protocol import TensorMetadata
from tests.gateway.models.configs import CONFIG, config
from tests.support.models import contract

U8, U16 = (Ensemble(f"brightness_{kind}", "1", "pixels", "largest") for kind in ("u8", "u16"))


class Server:
    """Answers every question by one logit."""

    def __init__(self, logit: float) -> None:
        self.logit = logit
        self.asked: list[str] = []

    async def infer(
        self, name: str, version: str, inputs: Mapping[str, Any], outputs: Sequence[str], **_: Any
    ) -> Mapping[str, Any]:
        del version, inputs
        self.asked.append(name)
        return {outputs[0]: np.array([[self.logit]], np.float32)}


def model(**ensembles: Ensemble) -> ServedModel:
    return replace(read_contract("brightness", "1", config(contract())), ensembles=ensembles)


def logit_of(served: ServedModel) -> float:
    [probability] = served.contract.golden.probabilities.values()
    return float(np.log(probability / (1 - probability)))


async def tried(server: Any, served: ServedModel, *, instances: int = 1) -> None:
    await try_golden(server, served, 60, instances=instances)


async def test_the_expected_probability_is_proof():
    server = Server(logit_of(model()))
    await tried(server, model())
    assert server.asked == ["brightness"]


async def test_each_instance_and_each_ensemble_is_asked():
    server = Server(logit_of(model()))
    await tried(server, model(uint8=U8, uint16=U16), instances=2)
    assert sorted(server.asked) == sorted(["brightness_u8", "brightness_u16"] * 2)


async def test_another_probability_is_told_with_both():
    with pytest.raises(
        ContractError, match=r"the golden image gives bright 0\.\d{4} by brightness"
    ):
        await tried(Server(logit_of(model()) + 1), model())


async def test_a_golden_image_that_is_none_breaks_the_contract():
    served = model()
    golden = served.contract.golden.model_copy(update={"image": b"GIF89a"})
    broken = replace(served, contract=served.contract.model_copy(update={"golden": golden}))
    with pytest.raises(ContractError, match="the golden image cannot be read"):
        await tried(Server(0.0), broken)


async def test_the_golden_image_is_held_to_the_bounds_of_pixels():
    document = contract({"accepts": {"pixels": {"least_rows": 33}}})
    served = read_contract("brightness", "1", config(document))
    with pytest.raises(
        ContractError, match=r"not accepted: the model was made for .* 33 x 1 pixels"
    ):
        await tried(Server(logit_of(served)), served)


@pytest.mark.parametrize(("score", "is_proof"), [(0.5, True), (0.4, False)])
async def test_the_golden_image_must_be_one_that_the_model_was_made_for(
    score: float, is_proof: bool
):
    document = contract({"output": {"applicability": {"tensor": "score", "threshold": 0.5}}})
    outputs = (*CONFIG.outputs, TensorMetadata("score", "FP32", (1,)))
    served = read_contract("brightness", "1", config(document, outputs=outputs))

    class Scoring(Server):
        """Gives a score as well."""

        async def infer(self, *asked: Any, **_: Any) -> Mapping[str, Any]:
            assert asked[3] == ["logits", "score"]
            return {
                "logits": np.array([[self.logit]], np.float32),
                "score": np.array([[score]], np.float32),
            }

    if is_proof:
        await tried(Scoring(logit_of(served)), served)
        return
    with pytest.raises(ContractError, match=r"score of 0\.4000 by brightness, below"):
        await tried(Scoring(logit_of(served)), served)
