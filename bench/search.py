"""Search of 100,000 studies in 30 days: requests to the store, and seconds.

    python -m bench.search

Entries come as two gateways write them, and are merged as they merge them; what a minute brings
stays unmerged. Every search is counted at the store, a listing as one request for each 1,000 keys,
as S3 answers it. The store is a folder: there the time is of reading, parsing and matching alone.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import math
import random
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.results.study_documents import StudyDocuments
from gateway.schemas.result import Status
from gateway.search.changed_studies import ChangedStudies
from gateway.search.entries import IndexEntry
from gateway.search.query import DateRange, StudyQuery
from gateway.search.study_index import StudyIndex
from gateway.storage.folder import FolderStore

if TYPE_CHECKING:
    from collections.abc import Iterator

_LISTED_AT_ONCE = 1000
_BATCH = 250
_UNMERGED = 30  # objects that two gateways write in a minute


class Counting:
    """A store that counts the requests made of it."""

    def __init__(self, objects: FolderStore) -> None:
        self._objects = objects
        self.requests = 0

    def __getattr__(self, name: str) -> Any:
        """Return the store's method, counted."""
        method = getattr(self._objects, name)

        async def counted(*arguments: Any, **options: Any) -> Any:
            found = await method(*arguments, **options)
            listed = len(found) if name in {"keys", "folders"} else 1
            self.requests += max(1, math.ceil(listed / _LISTED_AT_ONCE))
            return found

        return counted


def entries(studies: int, days: int, today: dt.date) -> Iterator[IndexEntry]:
    """Yield entries like those of radiographs, spread over the days."""
    chance = random.Random(15)  # noqa: S311 - a repeatable bench
    for number in range(studies):
        day = today - dt.timedelta(days=number * days // studies)
        at = dt.datetime.combine(day, dt.time(12), dt.UTC) + dt.timedelta(seconds=number % 40000)
        uid = f"1.2.826.0.1.3680043.8.498.{chance.randrange(10**32)}"
        yield IndexEntry(
            study_id=uid,
            received_at=at,
            changed_at=at,
            completed_at=at,
            state=Status.COMPLETED,
            study_instance_uid=uid,
            patient_id=f"P{chance.randrange(10**8):08}",
            accession_number=f"A{number:010}",
            study_date=day,
            study_time=at.timetz(),
            modalities=("DX",) if chance.random() < 0.9 else ("CR",),
            body_parts=("CHEST",),
            senders=(f"site-{chance.randrange(20)}",),
            routes=("dimse",),
            series={f"{uid}.1": 2},
            images=2,
            positive=("pneumonia",) if chance.random() < 0.1 else (),
        )


async def filled(objects: Any, studies: int, days: int) -> StudyIndex:
    """Return the index of so many studies on the store."""
    index = StudyIndex(objects, StudyDocuments(objects), ChangedStudies())
    today = dt.datetime.now(dt.UTC).date()
    all_entries = list(entries(studies, days, today))
    for start in range(_UNMERGED, studies, _BATCH):
        await index.days.add(all_entries[start : start + _BATCH])
    for day in await index.days.listed():
        await index.days.merge(day)
    for entry in all_entries[:_UNMERGED]:
        await index.days.add([entry])
        await index.pointers.add(await index.pointers.keys_of(entry))
    return index


async def measured(
    studies: int, days: int, folder: Path
) -> list[tuple[str, int, int, float, float]]:
    """Return each search with the studies it found, its requests, its seconds and those of CPU."""
    store = FolderStore(folder)
    await store.open()
    counting = Counting(store)
    index = await filled(counting, studies, days)
    today = dt.datetime.now(dt.UTC).date()
    month = DateRange(today - dt.timedelta(days=days - 1), today)
    searches = {
        "newest of the last seven days": StudyQuery(),
        "one sender, last seven days": StudyQuery(senders=("site-7",)),
        "newest of all days": StudyQuery(received=month),
        "one modality, all days": StudyQuery(modalities=("CR",), received=month),
        "nothing that there is, all days": StudyQuery(modalities=("MR",), received=month),
        "a patient that there is not": StudyQuery(patient_id="unknown"),
    }
    rows = []
    for name, query in searches.items():
        counting.requests = 0
        began, cpu_began = time.perf_counter(), time.process_time()
        page = await index.search.find(query, limit=50)
        seconds, cpu_s = time.perf_counter() - began, time.process_time() - cpu_began
        rows.append((name, len(page.entries), counting.requests, seconds, cpu_s))
    return rows


def main() -> None:
    """Measure and print a table; end with 1 where a search took more than 100 requests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(measured(options.studies, options.days, Path(folder)))
    print("| search, 50 on a page | found | requests | seconds | CPU seconds |")
    print("|---|---:|---:|---:|---:|")
    for name, found, requests, seconds, cpu_s in rows:
        print(f"| {name} | {found} | {requests} | {seconds:.2f} | {cpu_s:.2f} |")
    most = max(requests for _, _, requests, *_ in rows)
    raise SystemExit(0 if most <= 100 else 1)


if __name__ == "__main__":
    main()
