"""`radstream probe` as a process, through a real gateway to a real Triton, and what it leaves."""

import copy
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.access.callers import Scope
from gateway.cli.probe import ProbeError, check
from gateway.schemas.metadata import PROBE_PREFIX
from gateway.settings import AccessSettings
from gateway.triton.embedded import EmbeddedTriton
from tests.support.access import add_key
from tests.support.gateway import (
    LiveGateway,
    run_command,
    running_gateway,
    settings_for,
    suspended,
    until,
)
from tests.support.models import contract
from tests.support.triton import running_triton


@dataclass
class Probed:
    """A gateway that asks for keys, with the probe's own and one of a reader."""

    gateway: LiveGateway
    triton: EmbeddedTriton
    key: str
    narrow_key: str

    async def probe(self, *arguments: str, key: str | None = None) -> tuple[int, str, str]:
        url = ("--url", self.gateway.url)
        return await run_command(
            "probe", *url, *arguments, RADSTREAM_API_KEY=self.key if key is None else key
        )

    def kept(self) -> set[str]:
        """Ids of the probes' studies that are in the store."""
        parts = [path.split("/") for path in self.gateway.stored()]
        return {
            part[1] for part in parts if part[0] == "results" and part[1].startswith(PROBE_PREFIX)
        }


@pytest.fixture(scope="module")
async def probed(
    repository: Any, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Probed]:
    folder = tmp_path_factory.mktemp("probed")
    key, _ = add_key(folder / "keys", "probe", Scope.STUDIES_WRITE, Scope.STUDIES_READ)
    narrow_key, _ = add_key(folder / "keys", "reader", Scope.STUDIES_READ)
    access = AccessSettings(key_file=folder / "keys", metrics_open=True)
    async with running_triton(repository) as own_triton:
        settings = settings_for(own_triton.grpc_url, folder / "store")
        async with running_gateway(settings.model_copy(update={"access": access})) as gateway:
            await until(gateway.is_ready)
            yield Probed(gateway, own_triton, key, narrow_key)


async def test_golden_study_is_read_anew_each_time_and_counted_as_its_keys(probed: Probed):
    for model in ((), ("--model", "brightness")):
        code, out, err = await probed.probe(*model)
        assert (code, err) == (0, "")
        assert re.fullmatch(r"brightness/1: ok, \d+ ms", out)
    labels = {"caller": "probe", "outcome": "completed"}
    await probed.gateway.comes_to(2, "radstream_caller_studies_total", **labels)
    assert len(probed.kept()) == 2
    _, out, _ = await probed.probe("--json")
    assert json.loads(out) | {"took_ms": 1} == {
        "model": "brightness/1",
        "fault": None,
        "took_ms": 1,
    }


@pytest.mark.timeout(300)  # it goes as fast as the machine starts processes
async def test_it_fails_where_no_study_would_get_an_answer(probed: Probed):
    assert (await probed.probe(key=probed.narrow_key))[0] == 1
    code, _, err = await probed.probe(key="none")
    assert code == 1
    assert "answers 401" in err
    code, _, err = await probed.probe("--model", "nobody")
    assert (code, err) == (1, "Error: not ready: nobody")
    with suspended(probed.triton):
        code, out, _ = await probed.probe()
        assert (code, out) == (1, "")
    await until(probed.gateway.is_ready)
    code, _, err = await run_command("probe", "--url", "http://127.0.0.1:9")
    assert code == 1
    assert "does not answer" in err


ANSWER: dict[str, Any] = {
    "images": [
        {
            "readings": [
                {
                    "model": {"name": "brightness", "version": "1"},
                    "findings": [{"label": "bright", "probability": 0.6899, "positive": True}],
                }
            ]
        }
    ]
}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("model", "version"), "2", "read by brightness/2"),
        (("findings",), [], r"its findings are \[\], not \['bright'\]"),
        (("findings", 0, "probability"), 0.68, "bright is 0.6800, not 0.6900"),
        (("findings", 0, "positive"), False, "wrong side of its threshold"),
    ],
)
def test_answer_that_is_not_the_references_is_told(path: Any, value: Any, told: str):
    check(ANSWER, "brightness/1", contract())
    answer = copy.deepcopy(ANSWER)
    part = answer["images"][0]["readings"][0]
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value
    with pytest.raises(ProbeError, match=told):
        check(answer, "brightness/1", contract())
