"""`radstream models`: faults are told in a sentence."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from tests.support.models import write_repository


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["models", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("command", ["fetch", "publish"])
@pytest.mark.parametrize("target", ["bucket/models", "https://bucket/models", "s3:///models"])
def test_a_place_that_is_no_bucket_is_refused(command: str, target: str, tmp_path: Path):
    places = {"fetch": (target, tmp_path), "publish": (tmp_path, target)}
    assert run(command, *places[command]) == (
        1,
        f"Error: {target} is not of the form s3://BUCKET/PREFIX\n",
    )


def test_a_model_without_a_contract_is_told_in_a_sentence(tmp_path: Path):
    code, out = run("build", write_repository(tmp_path / "models"), "absent")
    assert code == 1
    assert out.startswith("Error: ")
    assert "absent" in out


def test_a_tuning_that_is_no_document_is_told_in_a_sentence(tmp_path: Path):
    tuning = tmp_path / "tuning.json"
    tuning.write_text("[]")
    code, out = run("tune", write_repository(tmp_path / "models"), tuning)
    assert code == 1
    assert out.startswith("Error: ")
