"""Requests for storage commitment are known until they are reported on, or are over."""

import time
from uuid import UUID

import pytest
from pydicom.uid import UID, generate_uid

from gateway.results.asked_commitments import (
    KEPT_S,
    AskedCommitment,
    AskedCommitments,
    KeptReport,
    new_transaction_uid,
)
from gateway.schemas.result import RenderingKind
from gateway.storage.layout import ASKED
from gateway.work.keys import WorkId
from tests.support.store import MemoryStore

WORK = WorkId("S.1", "20260131T120000000000Z-00")
ASKED_FOR = AskedCommitment(
    destination="pacs",
    rendering=RenderingKind.STRUCTURED_REPORT,
    revision="r",
    sop_instance_uid="1.2.3",
)


def test_transaction_uids_are_in_the_order_of_their_times():
    uids = [new_transaction_uid("S.1", at_s) for at_s in (0.001, 1.0, 1.5, time.time(), 2e9)]
    assert [int(uid.removeprefix("2.25.")) for uid in uids] == sorted(
        int(uid.removeprefix("2.25.")) for uid in uids
    )
    assert all(UID(uid).is_valid for uid in uids)
    assert all(UUID(int=int(uid.removeprefix("2.25."))).version == 8 for uid in uids)
    assert new_transaction_uid("S.1", 1.0) != new_transaction_uid("S.1", 1.0)


@pytest.mark.parametrize(
    ("committed", "failed", "kept"),
    [
        (["1.2.3"], {}, KeptReport(committed=True)),
        ([], {"1.2.3": 0x0213}, KeptReport(committed=False, reason=0x0213)),
        ([], {"1.2.3": None}, KeptReport(committed=False)),
    ],
)
async def test_the_first_report_on_a_request_is_kept_with_it(
    committed: list[str], failed: dict[str, int | None], kept: KeptReport
):
    asked = AskedCommitments(objects := MemoryStore())
    uid = await asked.add(WORK, ASKED_FOR)
    assert await asked.report(uid) is None
    assert await asked.keep(uid, committed, failed)
    assert await asked.keep(uid, [], {"1.2.3": 0x0110})
    other = AskedCommitments(objects)
    assert await other.all_reported() == [uid]
    assert await other.reported(uid) == (uid, WORK, ASKED_FOR, kept)
    await other.end(uid)
    assert await objects.keys(ASKED) == []


@pytest.mark.parametrize("uid", ["", "1.2.3", "2.25.x", "2.25." + "1" * 5000, "/", "none"])
async def test_a_report_on_no_such_request_is_not_kept(uid: str):
    asked = AskedCommitments(objects := MemoryStore())
    known = await asked.add(WORK, ASKED_FOR)
    assert not await asked.keep(generate_uid() if uid == "none" else uid, ["1.2.3"], {})
    assert not await asked.keep(known, ["1.2.4"], {"1.2.5": None})  # on another object
    assert await asked.reported(known) is None
    assert len(await objects.keys(ASKED)) == 1


async def test_a_request_that_is_over_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    asked = AskedCommitments(MemoryStore())
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - KEPT_S - 1)
    old = await asked.add(WORK, ASKED_FOR)
    monkeypatch.setattr(time, "time", lambda: now)
    new = await asked.add(WORK, ASKED_FOR)
    await asked.end_old()
    assert not await asked.keep(old, ["1.2.3"], {})
    assert await asked.keep(new, ["1.2.3"], {})


async def test_requests_for_an_object_at_a_destination_are_found():
    asked = AskedCommitments(MemoryStore())
    uid = await asked.add(WORK, ASKED_FOR)
    for changes in ({"destination": "vna"}, {"sop_instance_uid": "1.2.4"}):
        await asked.add(WORK, ASKED_FOR.model_copy(update=changes))
    await asked.add(WorkId("S.2", WORK.id), ASKED_FOR)
    assert await asked.open_on("S.1", "pacs", "1.2.3") == [uid]
    await asked.end(uid)
    assert await asked.open_on("S.1", "pacs", "1.2.3") == []


async def test_requests_of_a_study_are_listed_alone():
    asked = AskedCommitments(objects := MemoryStore())
    for study_id in ("S.1", "S.2", "S.3"):
        await asked.add(WorkId(study_id, WORK.id), ASKED_FOR)
    objects.calls.clear()
    await asked.remove_of("S.1")
    assert len(await objects.keys(ASKED)) == 2
    folder = "work/asked/dee438fb98/"
    assert [key for call, key in objects.calls if call == "keys"] == [folder, ASKED]


async def test_requests_go_with_their_study():
    asked = AskedCommitments(MemoryStore())
    gone = await asked.add(WORK, ASKED_FOR)
    stays = await asked.add(WorkId("S", WORK.id), ASKED_FOR)
    await asked.remove_of("S.1")
    assert not await asked.keep(gone, ["1.2.3"], {})
    assert await asked.keep(stays, ["1.2.3"], {})
