"""`radstream models tune` changes what a machine decides, and nothing else of a model."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb
from tritonclient.grpc.aio import InferenceServerClient

from gateway.cli.main import main
from gateway.triton.embedded import EmbeddedTriton
from tests.support.models import write_repository

ALL = {
    "instances": 3,
    "max_queue_delay_us": 1500,
    "preferred_batch_sizes": [4, 8],
    "max_queue_size": 32,
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "models")


def tune(repository: Path, tuning: object) -> tuple[int, str]:
    file = repository.parent / "tuning.json"
    file.write_text(json.dumps(tuning))
    result = CliRunner().invoke(main, ["models", "tune", str(repository), str(file)])
    return result.exit_code, result.output


def config(repository: Path) -> pb.ModelConfig:
    text = (repository / "brightness" / "config.pbtxt").read_text()
    return text_format.Parse(text, pb.ModelConfig())


def test_the_rest_of_the_file_stays(repository: Path) -> None:
    before = config(repository)
    code, output = tune(repository, {"brightness": ALL})
    assert (code, output.strip()) == (0, str(repository / "brightness" / "config.pbtxt"))
    after = config(repository)
    assert after != before
    for each in (before, after):
        each.ClearField("instance_group")
        each.ClearField("dynamic_batching")
    assert after == before


def test_what_is_not_given_stays(repository: Path) -> None:
    tune(repository, {"brightness": ALL})
    tune(repository, {"brightness": {"max_queue_delay_us": 7}})
    after = config(repository)
    assert [group.count for group in after.instance_group] == [3]
    assert after.dynamic_batching.max_queue_delay_microseconds == 7
    assert list(after.dynamic_batching.preferred_batch_size) == [4, 8]
    assert after.dynamic_batching.default_queue_policy.max_queue_size == 32


def test_every_group_of_instances_is_set(repository: Path) -> None:
    path = repository / "brightness" / "config.pbtxt"
    path.write_text(path.read_text() + 'instance_group [{name: "a"}, {name: "b", kind: KIND_CPU}]')
    tune(repository, {"brightness": {"instances": 2}})
    groups = [group for group in config(repository).instance_group if group.name]
    assert [(group.name, group.count) for group in groups] == [("a", 2), ("b", 2)]


@pytest.mark.parametrize(
    ("tuning", "said"),
    [
        ({"absent": {"instances": 2}}, "absent/config.pbtxt cannot be read"),
        ({"brightness": {"instances": 0}}, "greater than or equal to 1"),
        ({"brightness": {"bogus": 1}}, "bogus"),
        ([], "not valid"),
    ],
)
def test_a_tuning_that_fits_nothing_is_refused(repository: Path, tuning: object, said: str) -> None:
    before = config(repository)
    code, output = tune(repository, tuning)
    assert code == 1
    assert said in output
    assert config(repository) == before


def test_a_model_that_does_not_batch_cannot_be_told_how(repository: Path) -> None:
    path = repository / "brightness" / "config.pbtxt"
    unbatched = config(repository)
    unbatched.max_batch_size = 0
    path.write_text(text_format.MessageToString(unbatched))
    code, output = tune(repository, {"brightness": {"max_queue_delay_us": 10}})
    assert (code, "cannot batch" in output) == (1, True)
    assert tune(repository, {"brightness": {"instances": 2}})[0] == 0


@pytest.mark.server
async def test_triton_serves_the_model_as_tuned(repository: Path) -> None:
    tune(repository, {"brightness": ALL})
    async with (
        EmbeddedTriton(repository) as triton,
        InferenceServerClient(triton.grpc_url) as client,
    ):
        served = (await client.get_model_config("brightness")).config
    assert sum(group.count for group in served.instance_group) == 3
    assert served.dynamic_batching.max_queue_delay_microseconds == 1500
    assert list(served.dynamic_batching.preferred_batch_size) == [4, 8]
    assert served.dynamic_batching.default_queue_policy.max_queue_size == 32
