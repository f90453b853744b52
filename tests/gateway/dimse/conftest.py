"""A listener that the tests of a module share."""

from collections.abc import AsyncIterator

import pytest

from tests.support.dimse import LiveListener, dimse_settings, running_listener


@pytest.fixture(scope="module")
async def listener(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LiveListener]:
    settings = dimse_settings(tmp_path_factory.mktemp("dimse"), object_bytes=8_000_000)
    async with running_listener(settings) as listener:
        yield listener
