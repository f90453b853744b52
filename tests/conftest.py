"""What tests of every kind share: one real Triton over models whose answers follow by hand."""

import gc
import os
import sys
from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings

from gateway.runtime.imports import importing
from gateway.triton.embedded import EmbeddedTriton
from tests.support.aws import running_ministack
from tests.support.models import write_repository
from tests.support.s3 import aws_environment
from tests.support.triton import running_triton

# No test fails for its time: a busy machine takes longer over an example, or over making one up.
settings.register_profile("radstream", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("radstream")

# Tests that do not configure the log get tracebacks as Python has them: with all values of all
# frames, structlog's default, one error takes a busy machine half a minute.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        ),
    ]
)

# ONNX Runtime's wheel would report its use to Microsoft; it looks when it is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"


# Behind these fixtures stands a server, or another program; the tests in these folders are about
# nothing else. Any other test that starts one says so by itself: `@pytest.mark.server`.
_SERVERS = {
    "triton",
    "s3_store",
    "kinesis_sink",
    "own_triton",
    "gateway",
    "growing",
    "zoo",
    "s3_url",
    "receiver",
    "secured",
    "shared",
    "probed",
}
_FOLDERS = {"docker", "e2e", "helm", "serverless"}


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep the collector from thousands of tests, while they are made and ever after."""
    with importing():
        collected = yield
    gc.freeze()
    return collected


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that `make check` leaves out."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        # Fixtures by their names, also where a parameter names one.
        used = {*getattr(item, "fixturenames", ())}
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            used |= {each for each in item.callspec.params.values() if isinstance(each, str)}
        if folder in _FOLDERS or _SERVERS & used:
            item.add_marker("server")


def pytest_unconfigure() -> None:
    """Let go of DuckDB's types while there is an interpreter to count them.

    They are constants of its modules, and a worker of pytest-xdist ends with threads that keep
    modules alive: DuckDB's bindings would then print each as leaked.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in {"duckdb", "_duckdb"}:
            for attribute, value in list(vars(module).items()):
                if type(value).__name__ == "DuckDBPyType":
                    delattr(module, attribute)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with `brightness` alone; nobody writes to it."""
    return write_repository(tmp_path_factory.mktemp("model_repository"))


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real S3 API server; every test makes its own buckets."""
    with aws_environment(), running_ministack(tmp_path_factory.mktemp("s3")) as ministack:
        yield ministack.url


@pytest.fixture(scope="session")
async def triton(repository: Path) -> AsyncIterator[EmbeddedTriton]:
    """A real Triton that serves `repository`; a test that kills or stops one takes its own."""
    async with running_triton(repository) as triton:
        yield triton
