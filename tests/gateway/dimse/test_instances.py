"""An instance waits for room, and is refused once its sender has waited long enough."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from prometheus_client import CollectorRegistry

from gateway.access.callers import ANONYMOUS
from gateway.admission.admission import Admission
from gateway.audit.sinks import AuditFiles
from gateway.audit.trail import Audit
from gateway.dimse.data_sets import ReceivedDataSet
from gateway.dimse.instances import InstanceStore, Peer, ReceivedInstance
from gateway.errors import AuditUnavailableError
from gateway.observability.metrics import Metrics
from gateway.results.instances import Instances
from gateway.studies.dicom_instance import FailureReason, InstanceUids
from tests.support.store import MemoryStore

if TYPE_CHECKING:
    from gateway.deferred.dicom_store import DicomStore

PEER = Peer(ANONYMOUS, "192.0.2.1", "request")


def instance() -> ReceivedInstance:
    data_set = ReceivedDataSet(limit_bytes=1000)
    data_set.write(b"\0" * 100)
    return ReceivedInstance(b"", data_set, InstanceUids())


async def test_without_room_it_is_refused_and_on_record(tmp_path: Path):
    metrics = Metrics(CollectorRegistry())
    admission = Admission(bytes_limit=100, studies_limit=2, pictures_limit=2, metrics=metrics)
    sink = AuditFiles(tmp_path, file_bytes=10_000)
    never = cast("DicomStore", None)  # it comes to no store
    store = InstanceStore(
        never,
        admission=admission,
        audit=Audit(sink, metrics, instance="here"),
        instances=Instances(MemoryStore()),
        timeout_s=0.05,
    )
    with admission.slot("another") as slot:
        await slot.wait_for_bytes(100)
        assert await store.store(PEER, instance()) is FailureReason.OUT_OF_RESOURCES
    await sink.close()
    [line] = [line for file in tmp_path.iterdir() for line in file.read_text().splitlines()]
    assert '"operation":"C-STORE"' in line
    assert '"outcome":"failed"' in line


class _FullSink:
    async def append(self, _lines: bytes) -> None:
        raise AuditUnavailableError("No space left on device")

    async def close(self) -> None: ...


class _Stores:
    async def store(self, *_: object) -> object:
        class Outcome:
            failure = accepted = None

        return Outcome


async def test_what_is_on_no_record_is_no_success():
    metrics = Metrics(CollectorRegistry())
    store = InstanceStore(
        cast("DicomStore", _Stores()),
        admission=Admission(bytes_limit=1000, studies_limit=2, pictures_limit=2, metrics=metrics),
        audit=Audit(_FullSink(), metrics, instance="here"),
        instances=Instances(MemoryStore()),
        timeout_s=5,
    )
    assert await store.store(PEER, instance()) is FailureReason.OUT_OF_RESOURCES
