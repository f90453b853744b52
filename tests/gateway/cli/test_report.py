"""`radstream report`, from this folder and from a wheel."""

import datetime as dt
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

import gateway
from gateway.cli.main import main
from gateway.monitoring.documents import ModelHealth, Signal
from gateway.monitoring.silences import health_key
from gateway.report import questions
from gateway.storage.documents import stored_form
from tests.support.analytics import FIRST_DAY, SECOND_DAY, lines_of, two_days, write
from tests.support.gateway import ROOT
from tests.support.telemetry import reading_event

DAYS = f"{FIRST_DAY} 09:00 to {SECOND_DAY} 23:10 UTC"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two days of telemetry."""
    write(tmp_path / "telemetry", lines_of(two_days()))
    return tmp_path / "telemetry"


def report(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error."""
    result = CliRunner().invoke(main, ["report", *map(str, arguments)], env=environment)
    return result.exit_code, result.stdout, result.stderr


def test_a_report_answers_every_question_and_writes_the_page(folder: Path, tmp_path: Path):
    page = tmp_path / "report.html"
    code, out, err = report("--folder", folder, "--html", page)
    assert (code, err) == (0, "")
    assert out.startswith(f"RadStream: 164 events in 1 file, {DAYS}\n")
    for question in questions():
        assert f"\n{question.title.upper()}\n" in out
    assert "  submissions  24\n" in out
    assert f"  {SECOND_DAY}  event            1    50.0    50.0    50.0        50.0\n" in out
    assert out.endswith(f"The page is {page}\n")
    assert page.read_text().startswith("<!doctype html>")
    _, out, _ = report("--folder", folder, "--json")
    told = json.loads(out)
    assert told["summary"][0]["submissions"] == 24
    assert told.keys() >= {question.name for question in questions()}


def test_drift_is_told_from_a_stores_folder_or_that_of_the_settings(folder: Path, tmp_path: Path):
    store, page = tmp_path / "store", tmp_path / "report.html"
    signal = Signal(value=0.5, low=0.4, high=0.6, limit=0.2, n=500)
    health = ModelHealth(model="chest", version="2", signals={"mean": signal})
    file = store / health_key("chest", "2")
    file.parent.mkdir(parents=True)
    file.write_bytes(stored_form(health))
    code, out, _ = report(
        *("--folder", folder, "--store", store, "--health", "--html", page, "--json")
    )
    assert code == 0
    [told] = json.loads(out)["drift"]
    assert (told["model"], told["signal"], told["bounds"]) == ("chest", "mean", "0.400 to 0.600")
    assert '<h2 id="drift">Drift of models</h2>' in page.read_text()
    code, out, _ = report("--folder", folder, "--health", RADSTREAM_STORE__FOLDER=str(store))
    assert code == 0
    assert "DRIFT OF MODELS" in out
    code, _, err = report("--folder", folder, "--store", folder, "--health")
    assert code == 0, err
    elsewhere = str(tmp_path / "none")
    assert report("--folder", folder, "--health", RADSTREAM_STORE__FOLDER=elsewhere)[0] == 2


def test_the_folder_is_the_gateways_and_days_and_prices_can_be_chosen(folder: Path):
    code, out, _ = report(
        *("--since", SECOND_DAY, "--until", SECOND_DAY, "--price", "instance_hour=60"),
        RADSTREAM_TELEMETRY__FOLDER=str(folder),
    )
    assert code == 0
    assert "  submissions  1\n" in out
    assert "  all days         1            0.02         1.00" in out


def test_a_file_that_is_gone_by_the_time_it_is_read_costs_no_report(folder: Path):
    (folder / "telemetry-20260101T000000.000000Z-00000000.jsonl").symlink_to(folder / "gone")
    code, out, err = report("--folder", folder)
    assert (code, err) == (0, "")
    assert out.startswith(f"RadStream: 164 events in 1 file, {DAYS}\n")


def test_a_folder_without_telemetry_is_named(tmp_path: Path):
    code, out, err = report("--folder", tmp_path)
    assert (code, out) == (1, "")
    assert err.startswith(f"Error: there is no telemetry in {tmp_path}: ")


def test_days_without_a_study_say_which_days_have_some(folder: Path):
    code, out, err = report("--folder", folder, "--since", "2999-01-01")
    assert (code, out) == (1, "")
    assert err.startswith("Error: no study came to its end in these days; ")
    assert f"has 164 events in 1 file, {DAYS}" in err
    code, _, err = report("--folder", folder, "--until", "2020-01-01")
    assert (code, err.startswith("Error: no study came to its end")) == (1, True)


def test_examinations_are_written_with_their_truth_only_by_the_key(folder: Path, tmp_path: Path):
    seen = reading_event(occurred_at=dt.datetime.combine(SECOND_DAY, dt.time(9), dt.UTC))
    write(folder, lines_of([seen]))
    file = tmp_path / "examinations.jsonl"
    code, _, err = report("--folder", folder, "--examinations", file)
    assert (code, err) == (0, f"{file} has 1 rows of examinations\n")
    assert json.loads(file.read_text())["study_ref"] == seen.study_ref
    spool = str(tmp_path / "spool")
    code, _, err = report(
        *("--folder", folder, "--examinations", file, "--feedback"),
        RADSTREAM_TELEMETRY__SPOOL_FOLDER=spool,
    )
    assert code == 1
    assert f"there is neither RADSTREAM_TELEMETRY__STUDY_REF_KEY nor {spool}/study-ref.key" in err
    code, _, err = report("--folder", folder, "--examinations", tmp_path / "none" / "rows.csv")
    assert (code, "none/rows.csv cannot be written" in err) == (1, True)


def test_a_page_that_cannot_be_written_is_named(folder: Path, tmp_path: Path):
    page = tmp_path / "none" / "report.html"
    code, _, err = report("--folder", folder, "--html", page)
    assert code == 1
    assert err.startswith(f"Error: Could not open file '{page}': ")


@pytest.mark.parametrize(
    "price", ["instance_hour", "gpu=1", "instance_hour=-1", "events_million=x"]
)
def test_a_price_that_is_none_is_named(price: str, folder: Path):
    code, _, err = report("--folder", folder, "--price", price)
    assert code == 2
    assert f"{price} is not NAME=USD with one of the names instance_hour, " in err


@pytest.mark.parametrize("library", ["duckdb", "matplotlib", "sqlglot"])
def test_without_its_extra_it_says_what_to_install(library: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(gateway, "report")
    for name in [name for name in sys.modules if f"{name}.".startswith("gateway.report.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    code, out, err = report()
    assert (code, out) == (1, "")
    assert err == f"Error: the report needs {library}: pip install 'radstream[report]' brings it\n"


@pytest.mark.server
def test_a_wheel_has_the_queries_and_the_page(folder: Path, tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "site-packages"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    done = subprocess.run(
        [sys.executable, "-m", "gateway", "report", "--folder", folder, "--html", "page.html"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "  submissions  24\n" in done.stdout
    assert (tmp_path / "page.html").exists()
