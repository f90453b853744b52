"""Heat maps that reports refer to."""

from gateway.renderings.heat_maps import HeatMap, heat_maps
from gateway.renderings.source_header import source_header
from gateway.results.documents import Reading
from tests.support.dicom import radiograph
from tests.support.readings import activation, frame, reading

NOT_APPLICABLE = frame(findings=({**frame().findings[0].model_dump(), "positive": None},))


def found(*readings: Reading) -> list[HeatMap]:
    header = source_header(radiograph(StudyInstanceUID="1.2.3"))
    assert header is not None
    return list(heat_maps(readings, {each.sha256: header for each in readings}))


def test_each_frame_with_an_activation_map_has_one_of_its_most_probable_finding():
    findings = [
        {"label": label, "probability": value, "threshold": 0.5, "positive": value > 0.5}
        for label, value in (("effusion", 0.2), ("pneumonia", 0.7))
    ]
    two = frame(findings=tuple(findings), activation_map=activation(0, 0))
    plain = frame(activation_map=None)
    made = reading(1, two, plain, frame(0.1))
    assert [(each.index, each.finding.label) for each in found(made)] == [
        (0, "pneumonia"),
        (2, "pneumonia"),
    ]
    assert [each.frame for each in found(made)] == [made.frames[0], made.frames[2]]


def test_a_model_that_is_not_applicable_explains_nothing():
    assert found(reading(1, NOT_APPLICABLE)) == []


def test_the_reference_is_of_study_image_frame_model_and_version():
    every = [
        *found(reading(1, frame(), frame())),
        *found(reading(2)),
        *found(reading(1, model={"name": "cxr", "version": "2"})),
    ]
    references = [each.reference() for each in every]
    assert len({each.SOPInstanceUID for each in references}) == 4
    assert {each.StudyInstanceUID for each in references} == {"1.2.3"}
    series = [each.SeriesInstanceUID for each in references]
    assert series[0] == series[1] == series[2] != series[3]
    assert [each.reference() for each in found(reading(2))] == [references[2]]
