"""Entries are written once for many changes, and never of an older state."""

from gateway.storage.protocol import ObjectStore
from tests.support.search import IndexingGateway
from tests.support.store import MemoryStore


async def test_later_state_of_a_study_counts(gateway: IndexingGateway, objects: ObjectStore):
    other = IndexingGateway(objects)
    await gateway.receive("S1", modality="DX")
    await other.receive("S1", modality="CR")
    await other.write()
    await gateway.write()  # of the older state: it remembers no other
    for _ in range(2):
        [entry] = (await gateway.page()).entries
        assert (entry.images, entry.modalities) == (2, ("DX", "CR"))
        await gateway.index.writer.merge()
        await other.index.writer.merge()


async def test_burst_of_a_study_is_written_once(gateway: IndexingGateway, objects: MemoryStore):
    for _ in range(300):
        await gateway.receive("S1", patient_id="P1")
    await gateway.write()
    written = [key for call, key in objects.calls if call == "create" and "index/" in key]
    assert len(written) == 3  # the key of the hashes, the pointer, the entry
    assert (await gateway.page()).entries[0].images == 300
