"""Images that wait for shadow models: those that others have read, by the rules that apply."""

from typing import Any

import pytest

from gateway.studies.shadow_queue import WaitingImage
from tests.gateway.studies.piped import WHITE, Parts, piped, routing
from tests.support.inference import ScriptedTriton, serving
from tests.support.store import MemoryStore


def trial(*versions: str) -> dict[str, Any]:
    shadows = [{"name": "brightness", "version": each, "mode": "shadow"} for each in versions]
    return {"name": "trial", "when": {"all": []}, "models": [{"name": "brightness"}, *shadows]}


async def waiting(parts: Parts) -> int:
    return int(parts.metric("shadow_waiting"))


@pytest.mark.parametrize(
    ("versions", "fields", "expected"),
    [
        (["2"], {}, 1),
        (["2", "3"], {}, 2),
        (["1"], {}, 0),  # it is the version whose reading is shown
        (["2"], {"model": {"name": "brightness"}}, 0),
        ([], {}, 0),
    ],
)
async def test_images_wait_for_other_versions_than_those_that_are_shown(
    objects: MemoryStore, versions: list[str], fields: dict[str, Any], expected: int
):
    triton = ScriptedTriton()
    async with serving(triton) as url, piped(url, objects, routing(trial(*versions))) as parts:
        await parts.read(WHITE, WHITE, **fields)
        assert await waiting(parts) == expected


async def test_a_repeat_waits_for_no_second_time(objects: MemoryStore):
    triton = ScriptedTriton()
    async with serving(triton) as url, piped(url, objects, routing(trial("2"))) as parts:
        answer = await parts.read(WHITE, study_id="S1")
        await parts.read(WHITE, study_id="S1")
        assert await waiting(parts) == 1
        [image] = answer.result.images
        first = await parts.shadows.get()
        assert first == WaitingImage("S1", image.sha256, first.arm)
