"""Nothing that a sender names makes a key outside of its own study."""

import asyncio
import datetime as dt
import re
import unicodedata
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from gateway.dropfolder.objects import Inbox
from gateway.errors import InvalidMetadataError
from gateway.results.tombstone import Reason
from gateway.schemas.metadata import validate_document
from gateway.schemas.patterns import STUDY_ID_PATTERN
from gateway.storage.keys import split_key
from gateway.studies.study import Route
from gateway.work.keys import KINDS, WorkId, entry_key, kept_folder
from tests.support.deletion import deletion_on
from tests.support.store import MemoryStore

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
STUDY_IDS = st.from_regex(STUDY_ID_PATTERN, fullmatch=True)
NAMES = (
    st.text(max_size=70)
    | STUDY_IDS
    | st.builds(
        str.__add__, STUDY_IDS, st.sampled_from(["\n", "\0", "/", "/..", "\u0130", "\u212a"])
    )
    | st.sampled_from(["..", ".", "a/b", "a\\b", "%2e%2e", "\uff0e\uff0e", "CON", "-rf"])
)
KEYS = st.lists(NAMES, max_size=4).map("/".join)
INBOX = Inbox(MemoryStore(), prefix="images/", route=Route.EVENT, image_bytes=1, metadata_bytes=1)


@given(name=NAMES)
def test_a_study_id_that_is_taken_is_one_plain_step_of_a_key(name: str):
    document = {"study_id": name, "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}
    with suppress(InvalidMetadataError):
        study_id = validate_document(document).study_id
        assert re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}", study_id)
        assert split_key(f"results/{study_id}/result.json") == ["results", study_id, "result.json"]


@given(key=KEYS, extension=st.sampled_from([".json", ".jpg", ".DCM", ".exe", ""]))
def test_what_is_found_in_the_drop_folder_lies_in_it(key: str, extension: str):
    dropped = INBOX.find(f"images/{key}{extension}")
    if dropped is None:
        return
    for found in (dropped, dropped.sidecar):
        assert found.key.startswith("images/")
        steps = found.key.removeprefix("images/").split("/")
        assert len(steps) <= 2
        assert not any(step[:1] in {"", "."} for step in steps)
        # Names that Unicode holds to be the same are one: the Kelvin sign is a K.
        folder = unicodedata.normalize("NFC", steps[0])
        assert found.study_folder == (folder if len(steps) == 2 else None)
        assert re.fullmatch("[0-9a-f]{32}", found.reference)


@given(key=KEYS)
def test_nothing_outside_of_the_drop_folder_is_found_in_it(key: str):
    if not key.startswith("images/"):
        assert INBOX.find(key) is None


@given(study_id=STUDY_IDS, others=st.lists(STUDY_IDS, max_size=4))
def test_deleting_a_study_touches_no_other(study_id: str, others: list[str]):
    store = MemoryStore()
    names = {*others, f"{study_id}x"[:64], study_id[:-1] or "x", study_id.swapcase()} - {study_id}
    kept, own = [keys_of(name) for name in names], keys_of(study_id)
    store.objects = dict.fromkeys([*own, *(key for keys in kept for key in keys)], b"")
    asyncio.run(deletion_on(store).delete(study_id, Reason.REQUEST))
    notes = ("deleted/", "work/deletions/", f"results/{study_id}/result.json")
    left = {key for key in store.objects if not key.startswith(notes)}
    assert left == {key for keys in kept for key in keys}


def keys_of(study_id: str) -> list[str]:
    """Return keys of a study, and of its work."""
    work = WorkId.new(study_id, NOW)
    entries = [entry_key(kind, work, NOW) for kind in KINDS]
    return [f"results/{study_id}/x", *(f"{kept_folder(kind, work)}x" for kind in KINDS), *entries]
