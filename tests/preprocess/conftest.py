from pathlib import Path

import pytest

from preprocess import DecodeWorkers

IMAGES = Path(__file__).parent.parent / "data" / "images"


@pytest.fixture(scope="session")
def images() -> Path:
    """The folder of the radiographs that the tests may use."""
    return IMAGES


@pytest.fixture(scope="session")
def radiograph() -> bytes:
    """A grey baseline JPEG of 712 rows and 984 columns."""
    return (IMAGES / "person931_bacteria_2856.jpeg").read_bytes()


@pytest.fixture(scope="module")
def workers():
    with DecodeWorkers() as pool:
        yield pool
