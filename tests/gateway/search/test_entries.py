"""Entries have the attributes of the whole study; some studies have none."""

import datetime as dt

from tests.support.search import IndexingGateway


async def test_paged_study_has_the_attributes_of_all_its_images(gateway: IndexingGateway):
    uids = {"study_instance_uid": "1.2", "series_instance_uid": "1.2.1"}
    for number in range(200):
        modality = "DX" if number else "CR"
        await gateway.receive("1.2", modality=modality, reading=uids, study_date="2026-01-31")
    record = await gateway.results.record("1.2")
    assert record is not None
    assert record.pages
    await gateway.write()
    [entry] = (await gateway.page()).entries
    assert entry.modalities == ("CR", "DX")
    assert (entry.series, entry.images) == ({"1.2.1": 200}, 200)
    assert entry.study_date == dt.date(2026, 1, 31)


async def test_probes_are_not_indexed(gateway: IndexingGateway):
    await gateway.receive("radstream-probe-1")
    await gateway.write()
    assert await gateway.found() == []
