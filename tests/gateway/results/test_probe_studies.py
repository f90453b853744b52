"""Studies of probes: removed without a trace once they are old, and no other study with them."""

import pytest
from prometheus_client import CollectorRegistry

from gateway.audit.trail import Audit
from gateway.observability.metrics import Metrics
from gateway.results.catalog import StudyCatalog
from gateway.results.probe_studies import ProbeStudies
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.storage.protocol import ObjectStore
from tests.support.audit import Trail
from tests.support.deletion import deletion_on
from tests.support.search import IndexingGateway

PROBES = [f"{PROBE_PREFIX}{number}" for number in range(3)]
OTHERS = ["radstream-prob", "radstream-probes", "radstream-z"]


def sweeper(objects: ObjectStore, trail: Trail, **changes: float) -> ProbeStudies:
    deletion, gateway = deletion_on(objects), IndexingGateway(objects)
    studies = StudyCatalog(objects, results=gateway.results, deletion=deletion)
    audit = Audit(trail, Metrics(CollectorRegistry()), instance="test")
    return ProbeStudies(studies, deletion, audit, **changes)


@pytest.fixture
async def objects(folder_store: ObjectStore) -> ObjectStore:
    gateway = IndexingGateway(folder_store)
    for study_id in (*PROBES, *OTHERS):
        await gateway.receive(study_id)
    await gateway.write()
    return folder_store


async def test_probes_that_are_young_stay(objects: ObjectStore):
    trail = Trail()
    await sweeper(objects, trail).sweep()
    assert trail.records == []
    assert await objects.folders("results/", after="", limit=10) == sorted([*PROBES, *OTHERS])


async def test_old_probes_leave_nothing_and_others_stay(objects: ObjectStore):
    await sweeper(objects, Trail(), kept_s=0).sweep()
    left = await objects.keys("")
    assert not [key for key in left if PROBE_PREFIX in key or key.startswith("deleted/")]
    assert await objects.folders("results/", after="", limit=10) == sorted(OTHERS)


async def test_each_removal_is_on_record(objects: ObjectStore):
    trail = Trail()
    await sweeper(objects, trail, kept_s=0).sweep()
    assert [record["studies"] for record in trail.records] == [[probe] for probe in PROBES]
    told = {(record["operation"], record["action"]) for record in trail.records}
    assert told == {("probe: delete", "D")}
