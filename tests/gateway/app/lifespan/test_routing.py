"""The routing document is followed; each change is on record, and a broken one changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.app.lifespan.audit import open_audit
from gateway.app.lifespan.routing import open_routing
from gateway.routing.document import RoutingFileError
from gateway.settings import RoutingSettings
from tests.gateway.app.lifespan.conftest import InContext
from tests.support.gateway import audit_trail, until

CT: dict[str, Any] = {"name": "ct", "ae_title": "CT3", "addresses": ["10.1.2.0/24"]}


def write(path: Path, *senders: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps({"schema": "radstream.routing/1", "senders": senders}))
    unfinished.replace(path)


async def test_a_change_is_taken_without_a_restart_and_a_broken_one_is_not(
    in_context: InContext, tmp_path: Path
):
    file = tmp_path / "routing.json"
    write(file)
    context = in_context(routing=RoutingSettings(file=file))
    routing = await open_routing(context, await open_audit(context))
    first = routing.routes.digest
    write(file, CT)
    await until(lambda: len(routing.routes.senders) == 1)
    changed = routing.routes.digest
    good = file.read_bytes()
    file.write_bytes(good[:-9])
    value = context.metrics.registry.get_sample_value
    await until(lambda: value("radstream_routing_file_valid") == 0)
    assert routing.routes.digest == changed
    assert routing.fault is not None
    file.write_bytes(good)
    await until(lambda: value("radstream_routing_file_valid") == 1)
    assert routing.fault is None
    read, change, refused = audit_trail(context.settings)
    assert (read["operation"], read["document"]) == ("routing document: read", first)
    assert (change["operation"], change["outcome"]) == ("routing document: change", "success")
    assert change["document"] == changed
    assert [each["pointer"] for each in change["changes"]] == ["/senders/ct"]
    assert (refused["operation"], refused["outcome"]) == ("routing document: change", "refused")
    assert "JSON" in refused["reason"]


async def test_a_document_that_cannot_be_read_stops_the_start(
    in_context: InContext, tmp_path: Path
):
    context = in_context(routing=RoutingSettings(file=tmp_path / "none.json"))
    with pytest.raises(RoutingFileError):
        await open_routing(context, await open_audit(context))


async def test_without_a_file_there_is_none(in_context: InContext):
    context = in_context()
    assert not (await open_routing(context, await open_audit(context))).is_set
