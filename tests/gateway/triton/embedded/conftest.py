"""Models and a Triton of a test's own."""

import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.gateway.triton.embedded import onnx_models
from tests.support.triton import running_triton


@pytest.fixture(scope="module")
def model_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    repository = tmp_path_factory.mktemp("models")
    onnx_models.affine(repository / "affine")
    return repository


@pytest.fixture
def own_temporary_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in which only the test's own server can make its own."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture(scope="module")
async def triton(model_repository: Path) -> AsyncIterator[EmbeddedTriton]:
    async with running_triton(model_repository) as triton:
        yield triton
