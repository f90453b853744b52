"""`radstream rules`: explains, compares and tests a routing document."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from gateway.cli.main import main
from tests.support.dicom import file_of, radiograph
from tests.support.models import flat_png

CHEST: dict[str, Any] = {
    "name": "chest",
    "when": {
        "all": [
            {"field": "metadata.body_part", "equals": "CHEST"},
            {"not": {"field": "dicom.PatientAge", "younger_than": "18Y"}},
        ]
    },
    "models": [{"name": "cxr"}],
}
METADATA = {"study_id": "S1", "view": "AP", "timestamp": "2026-01-31T08:15:00Z"}


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["rules", *map(str, arguments)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def document(path: Path, *rules: dict[str, Any], **parts: Any) -> Path:
    path.write_text(json.dumps({"schema": "radstream.routing/1", "rules": rules} | parts))
    return path


def test_an_image_is_explained_condition_by_condition(tmp_path: Path):
    routing = document(tmp_path / "routing.json", CHEST)
    image = tmp_path / "image.dcm"
    image.write_bytes(file_of(radiograph(PatientAge="012Y")))
    code, out = run("explain", image, "--document", routing)
    assert code == 0
    assert f"{image}: no_rule\n" in out
    assert "- rule own-results, built in, keeps out" in out
    assert "- rule chest\n    - all\n      + metadata.body_part equals CHEST  [CHEST]\n" in out
    assert "      - not\n        + dicom.PatientAge younger_than 18Y  [012Y]\n" in out
    image.write_bytes(file_of(radiograph(PatientAge="045Y")))
    code, out = run("explain", image, "--document", routing)
    assert f"{image}: rules\n  model cxr, live\n" in out
    assert "  + rule chest\n" in out


def test_an_explanation_in_json_names_the_documents_digest(tmp_path: Path):
    routing = document(tmp_path / "routing.json", otherwise={})
    image = tmp_path / "image.png"
    image.write_bytes(flat_png(153))
    image.with_suffix(".json").write_text(json.dumps(METADATA))
    _, out = run("explain", image, "--document", routing, "--json", "--sender", "ward-3")
    explanation = json.loads(out)
    assert explanation["outcome"] == "otherwise"
    assert len(explanation["document"]) == 32
    assert next(rule["name"] for rule in explanation["rules"]) == "own-results"


def test_a_file_that_is_refused_before_any_rule_is_told_with_its_fault(tmp_path: Path):
    routing = document(tmp_path / "routing.json", otherwise={})
    image = tmp_path / "image.png"
    image.write_bytes(flat_png(153))
    code, out = run("explain", image, "--document", routing)
    assert code == 1
    assert "refused before any rule" in out


def test_sender_route_and_time_are_the_options(tmp_path: Path):
    rule = {
        "name": "night",
        "when": {
            "all": [
                {"field": "sender", "equals": "ward-3"},
                {"field": "route", "equals": "stow"},
                {"field": "time_of_day", "range": {"from": "22:00", "to": "06:00"}},
            ]
        },
    }
    routing = document(tmp_path / "routing.json", rule)
    image = tmp_path / "image.dcm"
    image.write_bytes(file_of(radiograph()))
    options = ("--sender", "ward-3", "--route", "stow", "--at", "2026-01-31T23:10")
    _, out = run("explain", image, "--document", routing, *options)
    assert f"{image}: rules\n" in out
    assert "[23:10]" in out


def test_images_that_change_between_documents_are_listed_and_no_others(tmp_path: Path):
    old = document(tmp_path / "old.json", CHEST, otherwise={})
    new = document(tmp_path / "new.json", CHEST | {"models": [{"name": "new"}]}, otherwise={})
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    for number in range(3):
        hand = file_of(radiograph(BodyPartExamined="HAND"))
        (folder / f"hand-{number}.dcm").write_bytes(hand)
    (folder / "deep" / "chest.dcm").write_bytes(file_of(radiograph(StudyInstanceUID="1.2.3")))
    (folder / "lone.json").write_text(json.dumps(METADATA | {"body_part": "CHEST"}))
    code, out = run("diff", old, new, "--against", folder)
    lines = out.splitlines()
    assert code == 0
    assert lines[-1] == "2 of 5 images are routed differently"
    assert sorted(line.split()[0] for line in lines[:-1]) == ["1.2.3", "S1"]
    assert "rules, chest, cxr live -> rules, chest, new live" in lines[0]
    _, out = run("diff", old, new, "--against", folder, "--json")
    told = [json.loads(each) for each in out.splitlines()]
    assert told[0]["after"] == "rules, chest, new live"
    assert told[-1] == {"changed": 2, "images": 5}


@pytest.mark.long
def test_ten_thousand_headers_are_compared(tmp_path: Path):
    old = document(tmp_path / "old.json", otherwise={})
    new = document(tmp_path / "new.json", CHEST, otherwise={})
    folder = tmp_path / "headers"
    folder.mkdir()
    for number in range(10_000):
        part = "CHEST" if number % 4 == 0 else "HAND"
        header = METADATA | {"study_id": f"S{number}", "body_part": part}
        (folder / f"{number}.json").write_text(json.dumps(header))
    _, out = run("diff", old, new, "--against", folder)
    assert out.splitlines()[-1] == "2500 of 10000 images are routed differently"


def test_examples_are_kept_in_the_document(tmp_path: Path):
    good = {
        "name": "adult chest",
        "metadata": {"body_part": "CHEST", "study_id": "S1"},
        "dicom": {"PatientAge": ["045Y"]},
        "expect": {"outcome": "rules", "rules": ["chest"], "models": ["cxr"]},
    }
    bad = good | {"name": "hand", "metadata": {"body_part": "HAND"}}
    assert run("test", document(tmp_path / "routing.json", CHEST, examples=[good])) == (
        0,
        "passed  adult chest\n1 of 1 examples passed\n",
    )
    _, out = run("test", document(tmp_path / "routing.json", CHEST, examples=[good]), "--json")
    assert [json.loads(each) for each in out.splitlines()] == [
        {"example": "adult chest", "faults": []},
        {"passed": 1, "examples": 1},
    ]
    code, out = run("test", document(tmp_path / "routing.json", CHEST, examples=[good, bad]))
    assert code == 1
    assert "failed  hand\n        outcome: no_rule, not rules\n" in out
    assert "        rules: none, not chest\n        models: none, not cxr\n" in out


@pytest.mark.parametrize("command", ["test", "diff"])
def test_what_is_no_document_is_told_in_a_sentence(command: str, tmp_path: Path):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    more = (broken, "--against", tmp_path) if command == "diff" else ()
    code, out = run(command, broken, *more)
    assert code == 1
    assert "is no routing document" in out


def test_the_tenant_of_a_sender_stands_in_the_document(tmp_path: Path):
    rule = {"name": "of-north", "when": {"field": "tenant", "equals": "north"}}
    senders = [{"name": "ris", "key": "ris", "tenant": "north"}]
    examples = [
        {"name": "of a sender", "sender": "ris", "expect": {"rules": ["of-north"]}},
        {"name": "of a tenant", "tenant": "north", "expect": {"rules": ["of-north"]}},
        {"name": "of none", "expect": {"outcome": "no_rule"}},
    ]
    routing = document(tmp_path / "routing.json", rule, senders=senders, examples=examples)
    code, out = run("test", routing)
    assert code == 0, out
    metadata = tmp_path / "metadata.json"
    metadata.write_text(json.dumps(METADATA))
    _, out = run("explain", metadata, "--document", routing, "--sender", "ris")
    assert "+ rule of-north\n    + tenant equals north  [north]\n" in out


def test_a_document_is_judged_and_put_into_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RADSTREAM_STORE__FOLDER", str(tmp_path / "store"))
    monkeypatch.setenv("RADSTREAM_ROUTING__STORED", "true")
    stored = tmp_path / "store/routing/document.json"
    good = document(tmp_path / "routing.json", CHEST)
    code, out = run("publish", good)
    assert (code, stored.read_bytes()) == (0, good.read_bytes())
    assert re.fullmatch("routing/document.json is version [0-9a-f]{32}\n", out)
    wrong = document(tmp_path / "wrong.json", CHEST | {"models": [{"nam": "cxr"}]})
    code, out = run("publish", wrong)
    assert code == 1
    assert "is no routing document: /rules/0/models/0/" in out
    key = {"name": "north", "key": "ris", "tenant": "north"}
    code, out = run("publish", document(tmp_path / "tenants.json", senders=[key]))
    assert code == 1
    assert "its tenant is none of RADSTREAM_TENANCY__TENANTS" in out
    assert stored.read_bytes() == good.read_bytes()
    edited = document(tmp_path / "routing.json", CHEST, otherwise={})
    code, out = run("publish", edited, "--json")
    assert json.loads(out) == {
        "version": json.loads(out)["version"],
        "key": "routing/document.json",
    }
    assert stored.read_bytes() == edited.read_bytes()


def test_a_document_that_no_gateway_of_the_settings_reads_is_published_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("RADSTREAM_STORE__FOLDER", str(tmp_path / "store"))
    routing = document(tmp_path / "routing.json", CHEST)
    result = CliRunner().invoke(main, ["rules", "publish", str(routing)])
    assert result.exit_code == 0
    assert result.stdout.startswith("routing/document.json is version ")
    assert result.stderr == (
        "a gateway of these settings does not read it: RADSTREAM_ROUTING__STORED is not true\n"
    )
    assert (tmp_path / "store/routing/document.json").read_bytes() == routing.read_bytes()


def test_a_store_that_does_not_take_a_document_ends_with_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "store").write_bytes(b"no folder")
    monkeypatch.setenv("RADSTREAM_STORE__FOLDER", str(tmp_path / "store"))
    code, out = run("publish", document(tmp_path / "routing.json", CHEST))
    assert code == 2
    assert "the store does not answer" in out
