"""Readings by shadow models in the store, and their pairs with those that are shown."""

import pytest

from gateway.errors import StudyNotFoundError
from gateway.results.joins import Request
from gateway.results.shadows import ReadingPair, ShadowFrame, ShadowReading, Shadows, pairs_of
from gateway.results.tombstone import Reason
from gateway.schemas.result import Finding, Mode, ModelVersion
from tests.gateway.results.test_store import metadata, reading, results_on
from tests.support.deletion import deletion_on
from tests.support.readings import NOON
from tests.support.store import MemoryStore

SECOND = ModelVersion(name="brightness", version="2")


def frame(label: str, probability: float, *, positive: bool | None) -> ShadowFrame:
    finding = Finding(label=label, probability=probability, threshold=0.5, positive=positive)
    return ShadowFrame(findings=(finding,))


def shadow(sha256: str = "0") -> ShadowReading:
    return ShadowReading(
        study_id="S1",
        sha256=sha256,
        model=SECOND,
        completed_at=NOON,
        timings_ms={},
        frames=(frame("bright", 0.25, positive=False),),
        pairs=(),
    )


def test_pairs_are_of_the_labels_that_both_have():
    frames = (frame("bright", 0.25, positive=False), frame("bright", 1.0, positive=True))
    [pair] = pairs_of(frames, reading(b"image"))
    assert (pair.frame, pair.label, pair.mode) == (1, "bright", Mode.LIVE)
    assert (pair.probability, pair.shadow_probability) == (0.75, 0.25)
    assert pair.verdicts == "only_shown"
    assert list(pairs_of((frame("dark", 0.25, positive=False),), reading(b"image"))) == []


@pytest.mark.parametrize(
    ("shown", "shadowed", "verdicts"),
    [
        (True, True, "both_positive"),
        (False, False, "both_negative"),
        (True, False, "only_shown"),
        (False, True, "only_shadow"),
        (None, True, "not_applicable"),
        (False, None, "not_applicable"),
    ],
)
def test_verdicts_of_a_pair(shown: bool | None, shadowed: bool | None, verdicts: str):
    pair = ReadingPair(
        model=SECOND,
        mode=Mode.LIVE,
        label="bright",
        probability=0.5,
        positive=shown,
        shadow_probability=0.5,
        shadow_positive=shadowed,
    )
    assert pair.verdicts == verdicts


async def test_a_reading_is_kept_once_and_goes_with_its_study():
    objects = MemoryStore()
    results = results_on(objects)
    shadows = Shadows(objects, results)
    with pytest.raises(StudyNotFoundError):
        await shadows.add(shadow())
    first = reading(b"image")
    request = Request(metadata(), NOON, (first,), {"image": first})
    await results.add("S1", await results.known(metadata()), request)
    assert await shadows.add(shadow())
    assert not await shadows.add(shadow())
    assert [key for key in objects.objects if "shadows" in key] == [
        "results/S1/shadows/0/brightness-2.json"
    ]
    await deletion_on(objects).delete("S1", Reason.REQUEST)
    assert not [key for key in objects.objects if "shadows" in key]
