"""`radstream health` as it is called: status, text, JSON and CSV."""

import asyncio
import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.silences import health_key
from gateway.storage.documents import create_document
from gateway.storage.folder import FolderStore
from tests.support.monitoring import streamed

NEW = ModelHealth(model="cxr", version="2")


def health(folder: Path, *arguments: str) -> Result:
    env = {"RADSTREAM_STORE__FOLDER": str(folder)}
    return CliRunner().invoke(main, ["health", *arguments], env=env)


def put(folder: Path, *found: ModelHealth) -> None:
    async def write() -> None:
        objects = FolderStore(folder)
        await objects.open()
        for each in found:
            await create_document(objects, health_key(each.model, each.version), each)

    asyncio.run(write())


@pytest.fixture(scope="module")
def drifted() -> ModelHealth:
    generator = np.random.default_rng(1)
    sound = streamed(NEW, generator, 1500)
    return streamed(sound, generator, 750, mean=0.6)


def test_an_alarm_ends_with_status_1_and_says_since_when(tmp_path: Path, drifted: ModelHealth):
    put(tmp_path, drifted)
    answer = health(tmp_path)
    assert answer.exit_code == 1
    assert "cxr 2: 2,250 readings" in answer.stdout
    assert "reference: first readings, 1,000 until 2026-01-05 01:40 UTC" in answer.stdout
    [line] = [each for each in answer.stdout.splitlines() if each.startswith("  mean ")]
    assert "limit 0.2, n 500  ALARM since 2026-01-05" in line
    [line] = [each for each in answer.stdout.splitlines() if each.startswith("  sex ")]
    assert "ALARM" not in line


def test_csv_has_a_line_for_each_signal(tmp_path: Path, drifted: ModelHealth):
    put(tmp_path, drifted)
    rows = list(csv.DictReader(health(tmp_path, "--format", "csv").stdout.splitlines()))
    assert {row["signal"] for row in rows} == drifted.signals.keys()
    [mean] = [row for row in rows if row["signal"] == "mean"]
    assert (mean["model"], mean["version"], mean["reference_readings"]) == ("cxr", "2", "1000")
    assert float(mean["low"]) > float(mean["limit"])


def test_json_has_reference_window_signals_and_days(tmp_path: Path, drifted: ModelHealth):
    put(tmp_path, drifted)
    [found] = json.loads(health(tmp_path, "--format", "json").stdout)
    assert (found["reference"]["readings"], found["window"]["readings"]) == (1000, 500)
    assert [day["readings"] for day in found["days"]] == [2250]
    assert found["signals"].keys() == drifted.signals.keys()
    assert "merged_keys" not in found


def test_a_model_without_a_reference_has_not_enough_data(tmp_path: Path):
    put(tmp_path, streamed(NEW, np.random.default_rng(2), 100))
    answer = health(tmp_path)
    assert answer.exit_code == 0
    assert "not enough data: the reference has 100 readings" in answer.stdout


def test_a_store_without_a_reading_is_told(tmp_path: Path):
    put(tmp_path)
    answer = health(tmp_path)
    assert (answer.exit_code, answer.stdout) == (
        0,
        "No model has been read since monitoring began.\n",
    )


def test_a_store_that_is_not_there_ends_with_status_2(tmp_path: Path):
    assert health(tmp_path / "gone").exit_code == 2
