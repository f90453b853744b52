"""A real Triton for the tests: the embedded one, on free ports, over any model repository."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.triton.embedded import EmbeddedTriton
from gateway.triton.embedded.log import LogSink, log_line


@asynccontextmanager
async def running_triton(
    model_repository: Path, *, on_log: LogSink = log_line
) -> AsyncIterator[EmbeddedTriton]:
    """A live server with the repository's models loaded; it takes two seconds to start and to end.

    Make it a fixture of the module or session with the repository that the tests need:

        @pytest.fixture(scope="session")
        async def triton() -> AsyncIterator[EmbeddedTriton]:
            async with running_triton(MODEL_REPOSITORY) as triton:
                yield triton
    """
    async with EmbeddedTriton(model_repository, on_log=on_log) as triton:
        yield triton
