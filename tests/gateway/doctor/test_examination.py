"""The examination of an installation: every part, in order, one broken document and all."""

from pathlib import Path

from gateway.doctor.examination import examine
from gateway.doctor.findings import Check, Finding, Outcome, Side
from gateway.routing.sources import StoredRouting
from gateway.settings import AccessSettings, DimseSettings, RoutingSettings, Settings
from gateway.storage.folder import FolderStore
from tests.support.aws import free_port
from tests.support.gateway import LiveGateway, settings_for
from tests.support.s3 import aws_environment, store_settings


def _settings(folder: Path) -> Settings:
    """Settings of a gateway whose Triton is away, and on whose DICOM port nobody listens."""
    settings = settings_for(f"127.0.0.1:{free_port()}", folder / "store")
    return settings.model_copy(update={"dimse": DimseSettings(port=free_port())})


async def found(settings: Settings, url: str | None = None) -> list[Finding]:
    return [each async for each in examine(settings, url)]


async def test_a_running_gateway_has_no_fault(gateway: LiveGateway):
    findings = await found(gateway.settings, gateway.url)
    assert [each for each in findings if each.outcome is Outcome.FAULT] == []
    checks = list(dict.fromkeys(each.check for each in findings))
    assert checks == [
        *(Check.ROUTING, Check.MACHINE, Check.LISTENER, Check.DICOM_LISTENER, Check.STORE),
        *(Check.TRITON, Check.TELEMETRY, Check.CLOCKS),
    ]


async def test_a_bad_routing_document_is_named_by_its_place(tmp_path: Path):
    path = tmp_path / "routing.json"
    path.write_text(
        '{"schema": "radstream.routing/1", "destinations": '
        '[{"name": "pacs", "kind": "dicom", "host": "pacs", "port": 104}]}'
    )
    settings = _settings(tmp_path)
    issuer = f"http://127.0.0.1:{free_port()}"
    settings = settings.model_copy(
        update={
            "routing": RoutingSettings(file=path),
            "access": AccessSettings(issuer=issuer, audience="radstream"),
        }
    )
    findings = {each.check: each for each in await found(settings)}
    routing = findings[Check.ROUTING]
    assert (routing.outcome, routing.side) == (Outcome.FAULT, Side.GATEWAY)
    assert "/destinations/0/ae_title: is required" in routing.detail
    assert findings[Check.IDENTITY].outcome is Outcome.FAULT
    assert findings[Check.TRITON].outcome is Outcome.FAULT
    assert Check.LISTENER not in findings


async def test_destinations_are_looked_at_beside_one_another(tmp_path: Path):
    path = tmp_path / "routing.json"
    path.write_text(
        '{"schema": "radstream.routing/1", "destinations": ['
        '{"name": "a", "kind": "hl7", "host": "a.invalid", "port": 2575},'
        '{"name": "b", "kind": "hl7", "host": "b.invalid", "port": 2575}]}'
    )
    settings = _settings(tmp_path)
    settings = settings.model_copy(update={"routing": RoutingSettings(file=path)})
    findings = [each for each in await found(settings) if each.check is Check.DESTINATION]
    assert [each.target for each in findings] == ["a", "b"]
    assert "/destinations/1/host" in (findings[1].change or "")


async def test_the_document_of_the_store_is_looked_at(tmp_path: Path):
    settings = _settings(tmp_path)
    settings = settings.model_copy(update={"routing": RoutingSettings(stored=True)})
    [missing] = [each for each in await found(settings) if each.check is Check.ROUTING]
    assert (missing.target, missing.outcome) == ("routing/document.json", Outcome.FAULT)
    assert "the store has none" in missing.detail
    objects = FolderStore(tmp_path / "store")
    await objects.open()
    destination = b'{"name": "a", "kind": "hl7", "host": "a.invalid", "port": 2575}'
    document = b'{"schema": "radstream.routing/1", "destinations": [' + destination + b"]}"
    await StoredRouting(objects).write(document)
    findings = {each.check: each for each in await found(settings)}
    assert findings[Check.ROUTING].outcome is Outcome.OK
    line = "routing/document.json: /destinations/0/host"
    assert line in (findings[Check.DESTINATION].change or "")


async def test_a_document_is_not_looked_for_in_a_store_that_is_away(tmp_path: Path):
    settings = _settings(tmp_path)
    store = store_settings(f"http://127.0.0.1:{free_port()}", timeout_s=1)
    changes = {"routing": RoutingSettings(stored=True), "store": store}
    settings = settings.model_copy(update=changes)
    with aws_environment():
        [routing] = [each for each in await found(settings) if each.check is Check.ROUTING]
    assert (routing.outcome, routing.side) == (Outcome.FAULT, Side.EITHER)
    assert "the store does not answer" in routing.detail
