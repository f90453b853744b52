"""The reference model's contract reduces JPEGs only as far as its findings bear it."""

from pathlib import Path

import numpy as np
import pytest

from bench.scaled_decoding import reader, recompressed, reduced
from preprocess import decode, to_tensor
from tests.support.gateway import ROOT

IMAGES = sorted((ROOT / "tests/data/images").glob("*.jpeg"))


@pytest.mark.parametrize("quality", [None, 95, 75])
@pytest.mark.parametrize("image", IMAGES, ids=lambda path: path.stem)
def test_the_reference_models_findings_bear_the_contracts_reduction(
    image: Path, quality: int | None
) -> None:
    contract, read = reader(ROOT / "model_repository/cxr_pneumonia")
    assert contract.input.jpeg_reduction > 1
    data, spec = recompressed(image.read_bytes(), quality), contract.input.spec()
    [full] = decode(data)
    small = reduced(data, contract.input.jpeg_reduction)
    found, expected = read(to_tensor(small, spec)), read(to_tensor(full, spec))
    np.testing.assert_allclose(found, expected, atol=0.003)
    threshold = contract.output.labels[0].threshold
    assert (found >= threshold) == (expected >= threshold)
