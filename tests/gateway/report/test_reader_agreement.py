"""Agreement of models with what readers say of their studies."""

from typing import Any

from gateway.report.reader_agreement import reader_agreement


def study(
    number: int, probability: float, *judgements: tuple[str, bool], version: str = "1"
) -> dict[str, Any]:
    finding = {"label": "mass", "probability": probability, "threshold": 0.5}
    reading = {
        "model": {"name": "chest", "version": version},
        "findings": [finding | {"positive": probability >= 0.5}],
    }
    return {
        "study_id": f"S{number}",
        "images": [{"readings": [reading]}],
        "feedback": [
            {"label": "mass", "present": present, "author": author, "at": f"2026-01-{number:03}"}
            for author, present in judgements
        ],
    }


def test_figures_are_of_the_latest_judgement():
    studies = [study(number, 0.9, ("A", True)) for number in range(9)]
    studies += [study(number, 0.1, ("A", True)) for number in range(9, 10)]
    studies += [study(number, 0.1, ("A", True), ("B", False)) for number in range(10, 18)]
    studies += [study(number, 0.9, ("B", False)) for number in range(18, 20)]
    studies += [study(20, 0.9)]
    found = reader_agreement(studies)
    [row] = found["reader_agreement"].records()
    assert (row["model"], row["version"], row["label"]) == ("chest", "1", "mass")
    assert (row["studies"], row["with_finding"], row["disputed"]) == (20, 10, 8)
    assert row["sensitivity"].startswith("0.900 (")
    assert row["specificity"].startswith("0.800 (")
    assert row["positive_predictive_value"].startswith("0.818 (")
    assert row["negative_predictive_value"].startswith("0.889 (")
    assert row["concordance"].startswith("0.850 (")
    # Of 11 at 0.9 nine have it, of nine at 0.1 one.
    assert row["calibration_error"].startswith("0.050 (")
    discordant = found["discordant_studies"].records()
    assert [each["study_id"] for each in discordant] == ["S19", "S18", "S9"]
    assert [each["verdict"] for each in discordant] == ["positive", "positive", "negative"]
    assert [each["judgement"] for each in discordant] == ["absent", "absent", "present"]


def test_under_20_studies_there_is_not_enough_of_each_version():
    studies = [study(number, 0.9, ("A", True)) for number in range(19)]
    studies += [study(number, 0.9, ("A", True), version="2") for number in range(20)]
    first, second = reader_agreement(studies)["reader_agreement"].records()
    assert first["sensitivity"] == first["concordance"] == "not enough data"
    assert first["calibration_error"] == "not enough data"
    assert second["sensitivity"].startswith("1.000 (")
    assert second["specificity"] == "not enough data"


def test_what_has_no_verdict_or_was_superseded_does_not_count():
    without = study(1, 0.9, ("A", True))
    del without["images"][0]["readings"][0]["findings"][0]["positive"]
    superseded = study(2, 0.9, ("A", True))
    superseded["images"][0]["superseded_by"] = "other"
    images = study(3, 0.2, ("A", True))
    images["images"] += study(3, 0.7)["images"]
    [row] = reader_agreement([without, superseded, images])["reader_agreement"].records()
    assert row["studies"] == 1
    assert reader_agreement([images])["discordant_studies"].rows == []
