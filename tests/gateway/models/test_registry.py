"""Which models may be used, whatever becomes of Triton; see `tests.support.models` for theirs."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from onnx import TensorProto
from prometheus_client import CollectorRegistry
from tritonclient.grpc import service_pb2
from tritonclient.grpc.aio import InferenceServerClient

from gateway.errors import (
    BackendDiedError,
    InferenceUnavailableError,
    InvalidMetadataError,
    NoModelAcceptsError,
    UnknownModelError,
)
from gateway.models.registry import ModelRegistry
from gateway.models.selection import State
from gateway.observability.metrics import Metrics
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import StudyMetadata
from gateway.triton.client import TritonClient
from gateway.triton.embedded import EmbeddedTriton
from tests.support.gateway import until
from tests.support.inference import (
    ScriptedTriton,
    answers,
    brightness,
    configured,
    held_back,
    indexed,
    never,
    refuses,
    serving,
)
from tests.support.models import TWO_LABELS, contract, write_model, write_repository
from tests.support.processes import backend_process, stopped, triton_process
from tests.support.triton import running_triton

READY = ("ready", "")
DIED = BackendDiedError("the backend of brightness died", "brightness_0")
HAND = {"accepts": {"body_parts": ["HAND"], "views": ["PA"]}}


@asynccontextmanager
async def registered(
    url: str, *, refresh_s: float = 5.0, probe_timeout_s: float = 10.0, waiting_limit: int = 32
) -> AsyncIterator[ModelRegistry]:
    client = TritonClient(url, message_bytes=2**20)
    try:
        yield ModelRegistry(
            client,
            Metrics(CollectorRegistry()),
            refresh_s=refresh_s,
            probe_timeout_s=probe_timeout_s,
            waiting_limit=waiting_limit,
        )
    finally:
        await client.close()


@asynccontextmanager
async def watched(registry: ModelRegistry) -> AsyncIterator[None]:
    task = asyncio.create_task(registry.watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def states(registry: ModelRegistry) -> dict[str, tuple[str, str]]:
    return {f"{s.name} {s.version}": (s.state.value, s.reason) for s in registry.states()}


def study(**fields: Any) -> StudyMetadata:
    document = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T12:00:00Z"}
    return StudyMetadata.model_validate(document | fields)


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
    assert caught.value.served == ("brightness", "one_by_one", "special", "two_labels")


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


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[ScriptedTriton, ModelRegistry]]:
    triton = ScriptedTriton()
    async with serving(triton) as url, registered(url, probe_timeout_s=1) as registry:
        yield triton, registry


Scripted = tuple[ScriptedTriton, ModelRegistry]

OVERLOADED = refuses(grpc.StatusCode.UNAVAILABLE, "Exceeds maximum queue size")


async def test_busy_model_stays_ready_while_it_answers_studies(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    model = registry.select(study())
    for busy in (OVERLOADED, never):
        triton.infer = busy
        registry.answered(model)
        registry.doubt()  # one study failed among many that are read
        await registry.refresh()
        assert registry.ready()


@pytest.mark.parametrize("silent", [OVERLOADED, never])
async def test_model_that_answers_neither_probe_nor_study_is_not_ready(
    scripted: Scripted, silent: Any
):
    triton, registry = scripted
    await registry.refresh()
    assert registry.ready()
    triton.infer = silent
    await registry.refresh()
    assert not registry.ready()
    triton.infer = answers(brightness())
    await registry.refresh()
    assert registry.ready()


async def test_answered_study_does_not_spare_the_golden_image(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    registry.answered(registry.select(study()))
    triton.infer = answers(brightness(-3.0))  # as other weights would, under the same version
    await registry.refresh()
    assert not registry.ready()
    [state] = registry.states()
    assert state.state is State.REFUSED


async def test_changed_contract_is_taken_up_and_proved_again(scripted: Scripted):
    triton, registry = scripted
    await registry.refresh()
    registry.answered(registry.select(study()))
    triton.config = answers(configured(contract({"golden": {"probabilities": {"bright": 0.1}}})))
    await registry.refresh()
    assert states(registry)["brightness 1"][0] == "refused"
    assert not registry.ready()


async def test_model_that_is_gone_from_the_index_is_forgotten(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("brightness", "2", "READY")))
    await registry.refresh()
    assert list(states(registry)) == ["brightness 1", "brightness 2"]
    triton.index = answers(indexed(("brightness", "1", "READY")))
    await registry.refresh()
    assert states(registry) == {"brightness 1": READY}
    triton.index = answers(indexed())
    await registry.refresh()
    assert (states(registry), registry.ready()) == ({}, False)


async def test_model_unloaded_between_two_questions_costs_only_itself(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", "READY"), ("gone", "1", "READY")))
    whole = triton.config

    async def config(request: Any, context: Any) -> Any:
        if request.name == "gone":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        return await whole(request, context)

    triton.config = config
    await registry.refresh()
    assert states(registry)["brightness 1"] == READY
    assert states(registry)["gone 1"][0] == State.UNAVAILABLE
    assert registry.ready()


async def test_golden_image_that_the_model_fails_on_refuses_it(scripted: Scripted):
    triton, registry = scripted
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "out of memory")
    await registry.refresh()
    assert states(registry) == {"brightness 1": ("refused", "INTERNAL: out of memory")}


@pytest.mark.parametrize("logit", [float("nan"), float("inf")])
async def test_golden_image_that_gives_no_number_refuses_the_model(
    scripted: Scripted, logit: float
):
    triton, registry = scripted
    triton.infer = answers(brightness(logit))
    await registry.refresh()
    assert states(registry) == {"brightness 1": ("refused", "the output is not finite")}


async def test_server_that_refuses_to_reload_is_asked_all_the_same(scripted: Scripted):
    triton, registry = scripted
    triton.infer = refuses(grpc.StatusCode.INTERNAL, "Stub process 'x_0_0' is not healthy.")
    triton.load = refuses(grpc.StatusCode.UNAVAILABLE, "explicit model load is not allowed")
    async with watched(registry):
        # Each time that it was refused it is asked again.
        await until(lambda: triton.calls.count("load") >= 3)
    assert triton.calls.count("unload") >= 3
    assert states(registry)["brightness 1"][0] == "unavailable"


async def test_backend_that_a_study_met_dead_is_proof_enough_for_a_reload(scripted: Scripted):
    """As where Triton gives the studies to the dead instance, the golden images to the other."""
    triton, registry = scripted
    async with watched(registry):
        await until(registry.ready)
        model = registry.select(study())
        loading = asyncio.Event()
        triton.load = held_back(loading, answers(service_pb2.RepositoryModelLoadResponse()))
        died = BackendDiedError("the backend of brightness died", "brightness_1")
        registry.failed(model, died, time.monotonic())
        assert not registry.ready()  # before anything else is asked
        await until(lambda: "load" in triton.calls)
        assert triton.calls[triton.calls.index("unload") :].count("infer") == 0
        with pytest.raises(InferenceUnavailableError):
            registry.select(study())
        registry.failed(model, died, time.monotonic())  # a second study: one reload does for both
        loading.set()
        await until(registry.ready)
        registry.failed(model, died, 0.0)  # and a third, which was under way before it
        await registry.refresh()
        assert registry.ready()
    assert (triton.calls.count("unload"), triton.calls.count("load")) == (1, 1)


async def test_those_who_wait_for_a_reload_are_bounded_and_leave_their_places():
    triton, loading = ScriptedTriton(), asyncio.Event()
    triton.load = held_back(loading, answers(service_pb2.RepositoryModelLoadResponse()))
    async with (
        serving(triton) as url,
        registered(url, waiting_limit=1) as registry,
        watched(registry),
    ):
        await until(registry.ready)
        model, died, deadline = registry.select(study()), DIED, Deadline.after(60)
        registry.failed(model, died, time.monotonic())
        first = asyncio.create_task(registry.outlast_reload(model, died, deadline))
        await until(lambda: "load" in triton.calls)
        with pytest.raises(BackendDiedError):
            await registry.outlast_reload(model, died, deadline)
        first.cancel()  # its sender has left
        with pytest.raises(asyncio.CancelledError):
            await first
        second = asyncio.create_task(registry.outlast_reload(model, died, deadline))
        loading.set()
        await second
        assert registry.ready()


async def test_golden_image_that_was_under_way_when_a_backend_died_proves_nothing(
    scripted: Scripted,
):
    triton, registry = scripted
    await registry.refresh()
    model, whole = registry.select(study()), triton.infer
    asked, going_on = asyncio.Event(), asyncio.Event()

    async def infer(request: Any, context: Any) -> Any:
        asked.set()
        await going_on.wait()
        return await whole(request, context)

    triton.infer = infer
    registry.failed(model, DIED, time.monotonic())
    async with watched(registry):
        await asked.wait()  # after the reload
        triton.infer = never  # those that come later
        registry.failed(model, DIED, time.monotonic())
        triton.load = never
        going_on.set()
        await until(lambda: triton.calls.count("load") == 2)
        assert not registry.ready()


async def test_each_instance_reads_the_golden_image(scripted: Scripted):
    triton, registry = scripted
    config = configured(contract())
    config.config.instance_group[0].count = 3
    triton.config = answers(config)
    await registry.refresh()
    assert triton.calls == ["index", "config", "infer", "infer", "infer"]


async def test_reload_that_is_refused_after_the_unload_is_no_wish_of_somebodys(
    scripted: Scripted,
):
    triton, registry = scripted
    await registry.refresh()
    triton.load = refuses(grpc.StatusCode.INTERNAL, "no space left")
    registry.failed(registry.select(study()), BackendDiedError("died"), time.monotonic())
    triton.index = answers(indexed(("brightness", "1", "UNAVAILABLE"), reason="unloaded"))
    async with watched(registry):
        await until(lambda: triton.calls.count("load") >= 2)
        # Between two tries; while one is under way the model is being loaded.
        await until(lambda: states(registry) == {"brightness 1": ("unavailable", "not loaded")})
        assert triton.calls.count("unload") == 1


@pytest.mark.parametrize("state", ["LOADING", "UNLOADING"])
async def test_model_that_somebody_loads_or_unloads_is_left_alone(scripted: Scripted, state: str):
    triton, registry = scripted
    triton.index = answers(indexed(("brightness", "1", state)))
    async with watched(registry):
        await until(lambda: triton.calls.count("index") >= 3)
    assert set(triton.calls) == {"index"}
    assert states(registry) == {"brightness 1": ("unavailable", "being loaded")}


async def test_dead_graph_of_an_ensemble_is_reloaded_in_the_models_place(scripted: Scripted):
    triton, registry = scripted
    triton.index = answers(
        indexed(("brightness", "1", "READY"), ("brightness_u8_graph", "1", "UNAVAILABLE"))
    )
    asked: list[str] = []

    async def unload(request: Any, _context: Any) -> Any:
        asked.append(request.model_name)
        return service_pb2.RepositoryModelUnloadResponse()

    triton.unload = unload
    await registry.refresh()
    died = BackendDiedError("died", "brightness_u8_graph_0")
    async with watched(registry):
        registry.failed(registry.select(study()), died, time.monotonic())
        await until(lambda: asked != [])
    assert asked[0] == "brightness_u8_graph"


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
