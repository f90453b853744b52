"""Callers are known by the key file, which is followed, and not without it."""

from pathlib import Path

import pytest

from gateway.access.callers import Scope
from gateway.access.key_file import KeyFileError
from gateway.app.lifespan.access import open_access
from gateway.settings import AccessSettings
from tests.gateway.app.lifespan.conftest import InContext
from tests.support.access import add_key
from tests.support.gateway import until


async def test_a_key_that_is_added_is_known_without_a_restart(
    in_context: InContext, tmp_path: Path
):
    file = tmp_path / "keys.json"
    add_key(file, "first", Scope.OPERATE)
    context = in_context(access=AccessSettings(key_file=file))
    authentication = await open_access(context)
    assert len(authentication.keys or ()) == 1
    add_key(file, "second", Scope.OPERATE)
    await until(lambda: len(authentication.keys or ()) == 2)
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    value = context.metrics.registry.get_sample_value
    await until(lambda: value("radstream_key_file_valid") == 0)
    assert len(authentication.keys or ()) == 2
    file.write_bytes(good)
    await until(lambda: value("radstream_key_file_valid") == 1)


async def test_a_key_file_that_cannot_be_read_stops_the_start(
    in_context: InContext, tmp_path: Path
):
    with pytest.raises(KeyFileError):
        await open_access(in_context(access=AccessSettings(key_file=tmp_path / "none.json")))


async def test_without_keys_and_issuer_nobody_is_asked(in_context: InContext):
    authentication = await open_access(in_context())
    assert authentication.keys is None
