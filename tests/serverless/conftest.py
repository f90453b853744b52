"""The packaged stack, made once for all tests, and a receiver in the gateway's place."""

from collections.abc import Iterator

import pytest

from tests.serverless.receiver import Receiver, receiving
from tests.support.aws import Package, package


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """What `serverless package` writes for the stage dev."""
    return package(tmp_path_factory.mktemp("dev"), stage="dev")


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    """A live HTTPS server that records what it is sent."""
    with receiving(tmp_path_factory.mktemp("receiver")) as receiver:
        yield receiver
