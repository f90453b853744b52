"""Readings as models give them: maps and findings."""

import numpy as np
import pytest
from tritonclient.grpc.model_config_pb2 import TYPE_FP32

from tests.gateway.studies.piped import LOGITS, WHITE, Parts, Scripted
from tests.support.inference import (
    Answer,
    answers,
    configured,
    inferred,
)
from tests.support.models import contract, flat_png, png


async def test_activation_map_lies_as_the_picture_does(parts: Parts):
    picture = np.zeros((32, 32), np.uint8)
    picture[4:8, 24:28] = 255  # cell row 1, column 6
    answer = await parts.read(png(picture))
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    cells = np.frombuffer(activation_map.data, "<f2").reshape(8, 8)
    assert cells[1, 6] == 4.0
    assert (cells == 4.0).sum() == 1
    assert (cells == -4.0).sum() == 63


async def test_model_asked_for_past_its_contract_is_told_with_a_warning(parts: Parts):
    inside = await parts.read(WHITE, model={"name": "brightness"})
    outside = await parts.read(WHITE, model={"name": "brightness"}, body_part="HIP")
    assert inside.result.warnings == ()
    [warning] = outside.result.warnings
    assert warning.pointer == "/model"
    assert "image[0]" in warning.detail


async def test_map_of_a_model_that_crops_covers_what_it_saw(scripted: Scripted):
    triton, parts = scripted
    triton.config = answers(configured(contract({"input": {"aspect": "crop"}})))
    await parts.models.refresh()
    answer = await parts.read(flat_png(255, rows=10, columns=20))
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert activation_map.covers == (0, 0.25, 1, 0.75)


async def test_map_beyond_half_precision_is_kept_at_its_bounds(scripted: Scripted):
    triton, parts = scripted
    cells = np.full((1, 1, 8, 8), 1e6, np.float32)
    triton.infer = answers(inferred(logits=LOGITS, activation_map=cells))
    answer = await parts.read(WHITE)
    [reading] = await parts.results.readings(answer.result.study_id)
    activation_map = reading.frames[0].activation_map
    assert activation_map is not None
    assert set(np.frombuffer(activation_map.data, "<f2")) == {65504.0}


@pytest.mark.parametrize(
    ("age", "unknown", "verdict", "pointers"),
    [
        ("004Y", "warn", "applicable", []),
        ("034Y", "warn", "not_applicable", ["/model"]),
        (None, "warn", "applicable", ["/patient_age"]),
        (None, "not_applicable", "not_applicable", ["/model"]),
        ("004Y", "not_applicable", "applicable", []),
    ],
)
async def test_a_model_gives_no_verdict_on_patients_of_another_age(
    scripted: Scripted, age: str | None, unknown: str, verdict: str, pointers: list[str]
):
    triton, parts = scripted
    ages = {"from": 1, "below": 6, "unknown": unknown}
    triton.config = answers(configured(contract({"accepts": {"ages_years": ages}})))
    await parts.models.refresh()
    answer = await parts.read(WHITE, patient_age=age)
    [image] = answer.result.images
    [reading] = image.readings
    assert reading.applicable.verdict == verdict
    doubts = ("was made for patients of 1 to below 6 years, not for an unknown age",)
    assert reading.applicable.doubts == (doubts if pointers == ["/patient_age"] else None)
    [finding] = reading.findings
    assert finding.probability > finding.threshold
    assert finding.positive is (True if verdict == "applicable" else None)
    assert [warning.pointer for warning in answer.result.warnings] == pointers
    for warning in answer.result.warnings:
        assert "1 to below 6 years" in warning.detail
        assert "34" not in warning.detail


async def test_a_picture_that_the_contract_does_not_accept_gets_no_verdict(scripted: Scripted):
    triton, parts = scripted
    bounds = {"pixels": {"least_rows": 16, "most_white": 0.5}}
    triton.config = answers(configured(contract({"accepts": bounds})))
    await parts.models.refresh()
    grey, white = flat_png(200), WHITE
    verdicts = {}
    for name, picture in {"grey": grey, "white": white}.items():
        answer = await parts.read(picture, study_id=name)
        [reading] = answer.result.images[0].readings
        verdicts[name] = (reading.applicable.reason, reading.findings[0].positive)
    assert verdicts["grey"] == (None, True)
    reason = "was made for pictures of which 50 % or less is white"
    assert verdicts["white"] == (reason, None)
    [warning] = answer.result.warnings
    assert warning.detail == (f"image[0]: brightness {reason}; its findings may mean nothing")


@pytest.mark.parametrize(("score", "verdict"), [(0.5, "applicable"), (0.499, "not_applicable")])
async def test_a_model_that_finds_a_picture_foreign_gives_no_verdict(
    scripted: Scripted, score: float, verdict: str
):
    triton, parts = scripted
    document = contract({"output": {"applicability": {"tensor": "score", "threshold": 0.5}}})
    config = configured(document)
    config.config.output.add(name="score", data_type=TYPE_FP32, dims=[1])
    triton.config = answers(config)
    logits = np.array([[0.8]], np.float32)
    cells = np.full((1, 1, 8, 8), 0.8, np.float32)

    def scored(value: float) -> Answer:
        scores = np.array([[value]], np.float32)
        return answers(inferred(logits=logits, activation_map=cells, score=scores))

    triton.infer = scored(0.9)  # of the golden image
    await parts.models.refresh()
    triton.infer = scored(score)
    answer = await parts.read(WHITE)
    [image] = answer.result.images
    [reading] = image.readings
    assert (reading.applicable.verdict, reading.applicable.score) == (
        verdict,
        pytest.approx(score),
    )
    [finding] = reading.findings
    assert finding.positive is (True if verdict == "applicable" else None)
    told = [warning.detail for warning in answer.result.warnings]
    detail = (
        "image[0]: brightness was not made for a picture like this one, by its own score; its "
        "findings may mean nothing"
    )
    assert told == ([] if verdict == "applicable" else [detail])
