"""Configurations of a model, as Triton tells them."""

import json
from dataclasses import replace
from typing import Any

from gateway.schemas.contract import Contract
from gateway.triton.protocol import ModelConfig, TensorMetadata
from tests.support.models import contract

CONFIG = ModelConfig(
    max_batch_size=8,
    inputs=(TensorMetadata("image", "FP32", (1, 32, 32)),),
    outputs=(
        TensorMetadata("logits", "FP32", (1,)),
        TensorMetadata("activation_map", "FP32", (1, 8, 8)),
    ),
    parameters={},
)


def config(document: dict[str, Any] | str, **changes: Any) -> ModelConfig:
    text = document if isinstance(document, str) else json.dumps(document)
    return replace(CONFIG, **{"parameters": {"radstream": text}, **changes})


def parsed(changes: dict[str, Any] | None = None) -> Contract:
    return Contract.model_validate(contract(changes))
