"""Which models may be used, whatever becomes of Triton; see `tests.support.models` for theirs."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from onnx import TensorProto
from structlog.testing import capture_logs
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from gateway.errors import (
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    UnknownModelError,
)
from gateway.models.acceptances import Acceptances
from gateway.models.registry import ModelRegistry
from gateway.schemas.metadata import StudyMetadata
from gateway.triton.embedded import EmbeddedTriton
from gateway.triton.restart_flag import RestartFlag
from tests.gateway.models.registered import (
    READY,
    Scripted,
    registered,
    states,
    study,
    watched,
)
from tests.support.gateway import until
from tests.support.inference import (
    ScriptedTriton,
    answers,
    indexed,
    never,
    serving,
)
from tests.support.models import TWO_LABELS, contract, write_model, write_repository, write_version
from tests.support.processes import backend_process, stopped, triton_process
from tests.support.store import MemoryStore
from tests.support.triton import running_triton

HAND = {"accepts": {"body_parts": ["HAND"], "views": ["PA"]}}


def chosen(registry: ModelRegistry, **fields: Any) -> str:
    model = registry.select(study(**fields))
    return f"{model.name} {model.version}"


# --- contracts and golden images, in a real Triton -----------------------------------------------


@pytest.fixture(scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ModelRegistry]:
    """A registry that has looked once at a repository where much is wrong."""
    repository = tmp_path_factory.mktemp("models")
    write_model(repository, "brightness", versions=("2", "10"))
    write_model(repository, "special", document=contract({"priority": 1} | HAND))
    write_model(repository, "two_labels", labels=2, document=contract(TWO_LABELS | HAND))
    write_model(repository, "one_by_one", max_batch_size=0, document=contract(HAND))
    write_model(repository, "no_contract", document="")
    write_model(repository, "half_precision", element_type=TensorProto.FLOAT16)
    write_model(repository, "other_weights", gain=8.1)
    revised = write_model(repository, "revised", document=contract(HAND))
    golden = {"probabilities": {"bright": 0.401312}}  # the logit is 6 * 0.6 - 4 = -0.4
    write_version(revised, "2", {"golden": golden, "title": "Second"}, gain=6)
    write_version(revised, "3", {}, gain=6)
    async with running_triton(repository) as triton, registered(triton.grpc_url) as registry:
        await registry.refresh()
        yield registry


async def test_model_is_ready_when_contract_and_golden_image_hold(zoo: ModelRegistry):
    assert states(zoo) == {
        "brightness 2": READY,
        "brightness 10": READY,
        "half_precision 1": ("refused", "tensor 'image' is FP16, not FP32"),
        "no_contract 1": ("refused", "config.pbtxt has no parameter 'radstream'"),
        "one_by_one 1": READY,
        # Its logit is 8.1 * 0.6 - 4 = 0.86.
        "other_weights 1": (
            "refused",
            "the golden image gives bright 0.7027 by other_weights, not 0.6900",
        ),
        "revised 1": READY,
        "revised 2": READY,
        "revised 3": ("refused", "the golden image gives bright 0.4013 by revised, not 0.6900"),
        "special 1": READY,
        "two_labels 1": READY,
    }
    assert zoo.ready()  # what was never usable takes nothing from readiness


async def test_newest_version_is_the_one_with_the_greatest_number(zoo: ModelRegistry):
    assert chosen(zoo) == "brightness 10"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "brightness 10"),
        ({"view": "PA"}, "special 1"),  # the chest model takes it as well, with less priority
        ({"view": "PA", "body_part": "CHEST"}, "brightness 10"),
        ({"view": "PA", "body_part": "HAND"}, "special 1"),
        ({"modality": "CR"}, "brightness 10"),
        ({"modality": "X-RAY"}, "brightness 10"),
    ],
)
async def test_contracts_choose_the_model(zoo: ModelRegistry, fields: dict[str, str], name: str):
    assert chosen(zoo, **fields) == name


@pytest.mark.parametrize(
    "fields",
    [{"view": "LATERAL"}, {"modality": "MR"}, {"body_part": "SKULL"}, {"body_part": "HAND"}],
)
async def test_study_that_no_contract_takes_is_told_what_they_take(
    zoo: ModelRegistry, fields: dict[str, str]
):
    with pytest.raises(NoModelAcceptsError) as caught:
        zoo.select(study(**fields))
    assert "brightness: CR/DX, CHEST, AP/PA" in caught.value.accepted


def without_view(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


@pytest.mark.parametrize("fields", [{}, {"model": "brightness"}, {"body_part": "HAND"}])
async def test_a_view_is_demanded_where_every_fitting_contract_names_views(
    zoo: ModelRegistry, fields: dict[str, str]
):
    with pytest.raises(InvalidMetadataError) as caught:
        zoo.select(without_view(**fields))
    [fault] = caught.value.faults
    assert fault.pointer == "/view"
    assert fault.detail.startswith("is required: ")
    assert "PA" in fault.detail


async def test_a_study_without_a_view_that_no_contract_takes_is_told_so(zoo: ModelRegistry):
    with pytest.raises(NoModelAcceptsError) as caught:
        zoo.select(without_view(body_part="SKULL"))
    assert caught.value.view is None


async def test_named_model_is_taken_past_its_contract(zoo: ModelRegistry):
    assert chosen(zoo, view="LATERAL", model="brightness") == "brightness 10"
    assert chosen(zoo, model={"name": "brightness", "version": "2"}) == "brightness 2"


@pytest.mark.parametrize(
    "name",
    ["nothing", "no_contract", "other_weights", {"name": "brightness", "version": "3"}],
)
async def test_model_that_may_not_be_used_is_unknown(zoo: ModelRegistry, name: Any):
    with pytest.raises(UnknownModelError) as caught:
        zoo.select(study(model=name))
    assert caught.value.known == (
        "brightness:2",
        "brightness:10",
        "one_by_one:1",
        "revised:1",
        "revised:2",
        "special:1",
        "two_labels:1",
    )


# --- a Triton that comes, goes and stumbles ------------------------------------------------------


@pytest.fixture(scope="module")
def shifting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_repository(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
async def own_triton(shifting: Path) -> AsyncIterator[EmbeddedTriton]:
    """A Triton that may be killed."""
    async with running_triton(shifting) as triton:
        yield triton


async def test_models_come_and_go_without_a_restart(own_triton: EmbeddedTriton, shifting: Path):
    async with registered(own_triton.grpc_url) as registry:
        await registry.refresh()
        assert states(registry) == {"brightness 1": READY}
        write_model(shifting, "later", document=contract({"priority": 9}))
        operator = InferenceServerClient(own_triton.grpc_url)
        await operator.load_model("later")
        await registry.refresh()
        assert chosen(registry) == "later 1"
        await operator.unload_model("later")
        async with asyncio.timeout(30):
            while states(registry)["later 1"] != ("unavailable", "unloaded"):
                await registry.refresh()
        # Somebody's wish: studies go to the others, and the gateway stays ready.
        assert chosen(registry) == "brightness 1"
        assert registry.ready()
        await operator.close()


@pytest.fixture
async def growing(tmp_path: Path) -> AsyncIterator[tuple[Path, EmbeddedTriton]]:
    """A repository of one model and a Triton of its own, for folders that come while it runs."""
    repository = write_repository(tmp_path / "models")
    async with running_triton(repository) as triton:
        yield repository, triton


async def test_a_new_folder_is_loaded_once_it_is_whole(
    growing: tuple[Path, EmbeddedTriton], tmp_path: Path
):
    repository, triton = growing
    (repository / "lost+found").mkdir()
    whole = write_model(tmp_path / "made", "copied", document=contract({"priority": 1}))
    model = (whole / "1" / "model.onnx").read_bytes()
    host = RestartFlag(tmp_path / "restart")
    async with (
        registered(triton.grpc_url, refresh_s=0.2, host=host) as registry,
        watched(registry),
    ):
        await until(registry.ready)
        with capture_logs() as logs:
            half = repository / "copied"
            (half / "1").mkdir(parents=True)
            (half / "1" / "model.onnx").write_bytes(model[: len(model) // 2])
            (half / "config.pbtxt").write_bytes((whole / "config.pbtxt").read_bytes())
            await until(lambda: "model.load_refused" in [line["event"] for line in logs])
            assert chosen(registry) == "brightness 1"
            (half / "1" / "model.onnx").write_bytes(model)
            await until(lambda: states(registry).get("copied 1") == READY)
        assert chosen(registry) == "copied 1"
    events = {line["event"] for line in logs if line.get("model") == "copied"}
    assert {"model.loaded", "model.ready"} < events
    assert "model.reload_refused" not in events  # which would alert
    assert not [line for line in logs if line.get("model") in {"brightness", "lost+found"}]


async def test_a_broken_new_version_takes_nothing_from_those_beside_it(
    growing: tuple[Path, EmbeddedTriton],
):
    repository, triton = growing
    first, second = repository / "brightness" / "1", repository / "brightness" / "2"
    async with registered(triton.grpc_url, refresh_s=0.2) as registry, watched(registry):
        await until(registry.ready)
        second.mkdir()
        (second / "model.onnx").write_bytes(b"half")
        operator = InferenceServerClient(triton.grpc_url)
        with capture_logs() as logs:
            with pytest.raises(InferenceServerException):
                await operator.load_model("brightness")
            await operator.close()
            await until(lambda: [line["event"] for line in logs].count("model.reload_refused") > 2)
            assert chosen(registry) == "brightness 1"
        lost = [line for line in logs if line["event"] == "model.unavailable"]
        assert {line["version"] for line in lost} == {"2"}
        (second / "model.onnx").write_bytes((first / "model.onnx").read_bytes())
        await until(lambda: states(registry)["brightness 2"] == READY)
        assert chosen(registry) == "brightness 2"


async def test_dead_model_process_is_mended_on_doubt(own_triton: EmbeddedTriton):
    async with registered(own_triton.grpc_url, refresh_s=300) as registry:
        async with watched(registry):
            await until(registry.ready)
            dead = backend_process(own_triton.grpc_url, "brightness")
            dead.kill()
            registry.doubt()  # as the pipeline does when a study was not answered
            await until(lambda: not registry.ready())
            await until(registry.ready)
        assert backend_process(own_triton.grpc_url, "brightness").pid != dead.pid


async def test_triton_that_stands_still_is_not_ready_until_it_goes_on(own_triton: EmbeddedTriton):
    async with registered(own_triton.grpc_url, probe_timeout_s=0.5) as registry, watched(registry):
        await until(registry.ready)
        with stopped(triton_process(own_triton.grpc_url)):
            registry.doubt()
            await until(lambda: not registry.ready())
            with pytest.raises(InferenceUnavailableError):
                registry.select(study(model="brightness"))
        await until(registry.ready)


async def test_model_that_stands_still_behind_a_live_server_is_not_ready(
    own_triton: EmbeddedTriton,
):
    async with registered(own_triton.grpc_url, probe_timeout_s=0.5) as registry, watched(registry):
        await until(registry.ready)
        with stopped(backend_process(own_triton.grpc_url, "brightness")):
            registry.doubt()
            await until(lambda: not registry.ready())
        await until(registry.ready)


async def test_triton_that_dies_and_comes_back_is_noticed(own_triton: EmbeddedTriton):
    async with registered(own_triton.grpc_url) as registry, watched(registry):
        await until(registry.ready)
        triton_process(own_triton.grpc_url).kill()
        registry.doubt()
        await until(lambda: not registry.ready())
        assert states(registry)["brightness 1"][0] == "unavailable"
        await until(registry.ready)


# --- what only a scripted one does ---------------------------------------------------------------


async def test_one_sick_model_takes_nothing_from_the_others(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("sick", "1", "READY")))
    await registry.refresh()
    whole = triton.infer

    async def infer(request: Any, context: Any) -> Any:
        if request.model_name == "sick":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "not at ready state")
        return await whole(request, context)

    triton.infer = infer
    await registry.refresh()
    assert registry.ready()
    assert chosen(registry, model="brightness") == "brightness 1"
    with pytest.raises(InferenceUnavailableError):
        registry.select(study(model="sick"))


async def test_models_that_a_triton_of_others_leaves_out_stay_unloaded(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("left_out", "", "")))
    async with watched(registry):
        await until(registry.ready)
        for _ in range(3):
            await registry.refresh()
    assert "load" not in triton.calls


async def test_equal_priorities_are_told_while_contracts_are_asked():
    triton, asks_contracts = ScriptedTriton(), False
    triton.index = answers(indexed(("brightness", "1", "READY"), ("trial", "1", "READY")))
    async with (
        serving(triton) as url,
        registered(url, asks_contracts=lambda: asks_contracts) as registry,
    ):
        with capture_logs() as logs:
            await registry.refresh()
            assert not [line for line in logs if line["event"] == "model.equal_priority"]
            asks_contracts = True
            await registry.refresh()
            await registry.refresh()
    [told] = [line for line in logs if line["event"] == "model.equal_priority"]
    assert (told["chosen"], told["passed_over"]) == ("brightness", "trial")


async def test_many_who_ask_while_triton_hangs_wait_for_one_look(scripted: Scripted):
    triton, registry = scripted
    triton.index = never
    assert await asyncio.gather(*(registry.check() for _ in range(20))) == [False] * 20
    assert triton.calls == ["index"]


async def test_nothing_is_ready_before_the_first_look(scripted: Scripted):
    _, registry = scripted
    assert not registry.ready()
    with pytest.raises(InferenceUnavailableError):
        registry.select(study())
    assert await registry.check()


async def test_a_version_that_is_not_accepted_reads_as_a_shadow_alone():
    needed = Acceptances(MemoryStore(), required=True)
    async with (
        serving(ScriptedTriton()) as url,
        registered(url, probe_timeout_s=1, acceptances=needed) as registry,
    ):
        await registry.refresh()
        with pytest.raises(UnknownModelError):
            registry.select(study(model="brightness"))
        shadow = registry.select(study(model="brightness"), is_shown=False)
        assert (shadow.name, shadow.version) == ("brightness", "1")
