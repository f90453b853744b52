"""`radstream models build` writes models that Triton loads, beside the model they are for."""

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as pb

from gateway.cli.main import main
from tests.support.models import write_repository, write_version


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "models")


def build(repository: Path, *names: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["models", "build", str(repository), *names])
    return result.exit_code, result.output


def config(folder: Path) -> pb.ModelConfig:
    return text_format.Parse((folder / "config.pbtxt").read_text(), pb.ModelConfig())


def test_a_graph_and_an_ensemble_for_each_depth(repository: Path) -> None:
    code, output = build(repository)
    assert code == 0
    made = [Path(line).name for line in output.splitlines()]
    assert made == [
        "brightness_graph_uint8",
        "brightness_uint8",
        "brightness_graph_uint16",
        "brightness_uint16",
    ]
    for name in made:
        assert config(repository / name).name == name
        assert (repository / name / "1").is_dir()


def test_the_ensemble_is_marked_as_part_of_its_model(repository: Path) -> None:
    build(repository)
    parameters = config(repository / "brightness_uint16").parameters
    assert json.loads(parameters["radstream_placement"].string_value) == {
        "schema": "radstream.placement/1",
        "role": "ensemble",
        "model": "brightness",
        "version": "1",
        "datatype": "UINT16",
        "pixels": "pixels",
        "largest": "largest",
    }


def test_the_graph_gives_the_models_input(repository: Path) -> None:
    build(repository)
    model = onnx.load(repository / "brightness_graph_uint8" / "1" / "model.onnx")
    shape = [size.dim_value for size in model.graph.output[0].type.tensor_type.shape.dim]
    assert shape == [1, 1, 32, 32]


def test_building_again_replaces_what_is_there_and_builds_nothing_of_it(repository: Path) -> None:
    _, first = build(repository)
    code, second = build(repository)
    assert (code, second) == (0, first)


def test_the_newest_version_is_taken(repository: Path) -> None:
    (repository / "brightness" / "10").mkdir()
    build(repository)
    steps = config(repository / "brightness_uint8").ensemble_scheduling.step
    assert [(step.model_name, step.model_version) for step in steps] == [
        ("brightness_graph_uint8", 1),
        ("brightness", 10),
    ]


def test_a_version_that_triton_does_not_serve_is_passed_over(repository: Path) -> None:
    folder = repository / "brightness"
    (folder / "10").mkdir()
    served = config(folder)
    served.version_policy.specific.versions.append(1)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(served))
    build(repository)
    steps = config(repository / "brightness_uint8").ensemble_scheduling.step
    assert steps[1].model_version == 1


def test_the_graph_is_that_of_the_newest_versions_contract(repository: Path) -> None:
    write_version(repository / "brightness", "2", {"input": {"range": [-1, 1]}})
    build(repository)
    of_second = (repository / "brightness_graph_uint8/1/model.onnx").read_bytes()
    write_version(repository / "brightness", "3", {})
    build(repository)
    assert (repository / "brightness_graph_uint8/1/model.onnx").read_bytes() != of_second


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere", "nowhere/config.pbtxt cannot be read"),
        ("bare", "bare 1: config.pbtxt has no parameter"),
        ("empty", "empty has no version"),
    ],
)
def test_a_model_without_a_contract_is_refused(repository: Path, name: str, words: str) -> None:
    (repository / "bare" / "1").mkdir(parents=True)
    (repository / "empty").mkdir()
    for bare in ("bare", "empty"):
        (repository / bare / "config.pbtxt").write_text(f'name: "{bare}"')
    code, output = build(repository, name)
    assert code == 1
    assert words in output
