"""Rules, and contracts where there are none, say which models read an image: with a real Triton."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import (
    InferenceUnavailableError,
    InvalidMetadataError,
    KeptOutError,
    NoModelAcceptsError,
    NoRuleError,
)
from tests.gateway.studies.piped import BLACK, WHITE, Parts, piped, routing
from tests.support.dicom import file_of, radiograph
from tests.support.models import contract, write_model, write_version
from tests.support.store import MemoryStore
from tests.support.triton import running_triton

ALWAYS: dict[str, Any] = {"all": []}
HAND = {"accepts": {"body_parts": ["HAND"]}}
FEET = {"modalities": ["DX"], "body_parts": ["FOOT"], "views": ["AP"]}
ADULTS = {"accepts": {**FEET, "ages_years": {"from": 18}}}
CHILDREN = {
    "title": "Brightness of children",
    "accepts": {"ages_years": {"below": 18}},
    "output": {"labels": [{"label": "bright", "threshold": 0.9}]},
    "golden": {"probabilities": {"bright": 0.401312}},
}
ANGIOGRAPHY = {
    "priority": 2,
    "accepts": {
        "modalities": ["XA"],
        "body_parts": ["HAND"],
        "other_body_part": "not_applicable",
        "unknown_view": "warn",
    },
}
LEGS = {"accepts": {"modalities": ["XA"], "body_parts": ["LEG"]}}
BOTH = {"name": "both", "when": ALWAYS, "models": [{"name": "brightness"}, {"name": "second"}]}


@pytest.fixture(scope="module")
async def zoo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    repository = tmp_path_factory.mktemp("models")
    write_model(repository, versions=("1", "2"))
    write_model(repository, "second")
    write_model(repository, "hands", document=contract(HAND))
    write_model(repository, "angiography", document=contract(ANGIOGRAPHY))
    write_model(repository, "legs", document=contract(LEGS))
    revised = write_model(repository, "revised", document=contract(ADULTS))
    write_version(revised, "2", CHILDREN, gain=6)
    async with running_triton(repository) as triton:
        yield triton.grpc_url


@pytest.fixture
async def parts(zoo: str, objects: MemoryStore) -> AsyncIterator[Parts]:
    async with piped(zoo, objects, routing(BOTH)) as parts:
        yield parts


def rule(parts: Parts, *rules: dict[str, Any], **others: Any) -> None:
    parts.routing.replace(routing(*rules, **others).document)


async def read_by(parts: Parts, *images: bytes, **fields: Any) -> list[str]:
    """Return the models and versions that read the first image."""
    answer = await parts.read(*images, **fields)
    readings = answer.result.images[0].readings
    return [f"{each.model.name} {each.model.version} {each.mode}" for each in readings]


async def test_all_models_of_the_rules_read_an_image(parts: Parts):
    assert await read_by(parts, WHITE) == ["brightness 2 live", "second 1 live"]
    assert parts.metric("routed_images_total", outcome="rules") == 1
    assert parts.metric("rule_images_total", rule="both") == 1


async def test_a_version_that_a_rule_names_reads_it_beside_another(parts: Parts):
    first = {"name": "first", "when": ALWAYS, "models": [{"name": "brightness", "version": "1"}]}
    rule(parts, first, BOTH)
    assert await read_by(parts, WHITE) == [
        "brightness 1 live",
        "brightness 2 live",
        "second 1 live",
    ]


async def test_a_contract_may_take_what_it_was_not_made_for_and_give_no_verdict(parts: Parts):
    rule(parts, otherwise={})
    said = {}
    for name, fields in {
        "hand": {"body_part": "HAND"},
        "thumb": {"body_part": "THUMB"},
        "none": {"body_part": "HAND", "view": None},
    }.items():
        answer = await parts.read(WHITE, study_id=name, modality="XA", **fields)
        [reading] = answer.result.images[0].readings
        pointers = [warning.pointer for warning in answer.result.warnings]
        said[name] = reading.model.name, reading.findings[0].positive, pointers
    assert said == {
        "hand": ("angiography", True, []),
        "thumb": ("angiography", None, ["/model"]),
        "none": ("angiography", True, ["/view"]),
    }
    # Where another model was made for it, that one reads it, whatever the priority.
    assert await read_by(parts, WHITE, body_part="LEG", modality="XA") == ["legs 1 live"]


async def test_each_version_reads_by_its_own_contract(parts: Parts):
    versions = [{"name": "revised", "version": version} for version in ("1", "2")]
    rules = [
        {"name": f"feet-{each['version']}", "when": ALWAYS, "models": [each]} for each in versions
    ]
    rule(parts, *rules)
    said = []
    for age in ("040Y", "004Y"):
        answer = await parts.read(WHITE, study_id=age, body_part="FOOT", patient_age=age)
        for reading in answer.result.images[0].readings:
            [found] = reading.findings
            told = round(found.probability, 3), found.threshold, found.positive
            said.append((age, reading.model.version, reading.applicable.verdict.value, *told))
    # A white picture's logits are 8 - 4 and 6 - 4.
    assert said == [
        ("040Y", "1", "applicable", 0.982, 0.5, True),
        ("040Y", "2", "not_applicable", 0.881, 0.9, None),
        ("004Y", "1", "not_applicable", 0.982, 0.5, None),
        ("004Y", "2", "applicable", 0.881, 0.9, False),
    ]


async def test_the_rules_are_asked_of_each_image(parts: Parts):
    rule(
        parts,
        BOTH | {"when": {"field": "metadata.body_part", "equals": "CHEST"}},
        otherwise={"models": [{"name": "hands"}]},
    )
    assert await read_by(parts, WHITE, body_part="CHEST") == ["brightness 2 live", "second 1 live"]
    assert await read_by(parts, WHITE, body_part="HAND") == ["hands 1 live"]


async def test_otherwise_without_models_leaves_it_to_the_contracts(parts: Parts):
    rule(parts, otherwise={})
    assert await read_by(parts, WHITE, body_part="CHEST") == ["brightness 2 live"]
    assert parts.metric("routed_images_total", outcome="otherwise") == 1


async def test_a_model_whose_contract_does_not_take_an_image_does_not_read_it(parts: Parts):
    models = [{"name": "hands"}, {"name": "second"}]
    rule(parts, {"name": "all", "when": ALWAYS, "models": models})
    assert await read_by(parts, WHITE, body_part="CHEST") == ["second 1 live"]
    rule(parts, {"name": "all", "when": ALWAYS, "models": models[:1]})
    with pytest.raises(NoModelAcceptsError):
        await parts.read(WHITE, body_part="CHEST")
    with pytest.raises(InvalidMetadataError):
        await parts.read(WHITE, body_part="HAND", view=None)


async def test_what_no_rule_takes_is_refused_and_seen(parts: Parts, objects: MemoryStore):
    rule(parts, BOTH | {"when": {"field": "sender", "equals": "ward-9"}})
    with capture_logs() as logs, pytest.raises(NoRuleError):
        await parts.read(WHITE)
    assert [each["outcome"] for each in logs if each["event"] == "routing.refused"] == ["no_rule"]
    assert parts.metric("routed_images_total", outcome="no_rule") == 1
    assert parts.metric("studies_total", route="rest", outcome="NoRuleError") == 1
    assert objects.objects == {}
    # A sender that asks for a model has it past the rules.
    assert await read_by(parts, WHITE, model="brightness") == ["brightness 2 live"]


async def test_what_a_rule_keeps_out_is_refused_even_with_a_model_asked_for(parts: Parts):
    captured = file_of(radiograph(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    for fields in ({}, {"model": "brightness"}):
        with pytest.raises(KeptOutError) as caught:
            await parts.read(captured, **fields)
        assert caught.value.rules == ("secondary-captures",)
    rule(parts, BOTH, rules_off=["secondary-captures"])
    assert len(await read_by(parts, captured)) == 2


async def test_an_image_that_is_kept_out_does_not_keep_out_the_others(parts: Parts):
    captured = file_of(radiograph(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    answer = await parts.read(WHITE, captured)
    assert [item.problem.type for item in answer.not_processed] == [
        "urn:radstream:problem:kept-out"
    ]
    assert len(answer.result.images) == 1


@pytest.mark.parametrize("model", [{"name": "third"}, {"name": "brightness", "version": "9"}])
async def test_a_model_that_is_not_served_costs_its_own_reading(
    parts: Parts, model: dict[str, str]
):
    rule(parts, {"name": "all", "when": ALWAYS, "models": [model, {"name": "second"}]})
    answer = await parts.read(WHITE)
    [image] = answer.result.images
    assert [each.model.name for each in image.readings] == ["second"]
    assert answer.result.status == "partial"
    [missing] = answer.result.missing_readings or ()
    assert (missing.model.name, missing.model.version) == (model["name"], model.get("version"))
    assert missing.problem.type == "urn:radstream:problem:model-unavailable"
    assert answer.outcome == "partial"


async def test_models_of_which_none_is_served_are_away(parts: Parts, objects: MemoryStore):
    rule(parts, {"name": "all", "when": ALWAYS, "models": [{"name": "third"}, {"name": "fourth"}]})
    for awaited in (False, True):
        with pytest.raises(InferenceUnavailableError):
            await parts.read(WHITE, awaited=awaited)
    assert objects.objects == {}


async def test_attributes_of_the_data_set_decide(parts: Parts):
    rule(parts, BOTH | {"when": {"field": "dicom.Manufacturer", "glob": "ACME*"}})
    assert len(await read_by(parts, file_of(radiograph(Manufacturer="Acme GmbH")))) == 2
    for other in (file_of(radiograph(Manufacturer="Other")), BLACK):
        with pytest.raises(NoRuleError):
            await parts.read(other)


async def test_a_changed_document_reads_the_image_by_its_further_models(parts: Parts):
    rule(parts, {"name": "one", "when": ALWAYS, "models": [{"name": "second"}]})
    await parts.read(WHITE, study_id="S1")
    rule(parts, BOTH)
    assert await read_by(parts, WHITE, study_id="S1") == ["second 1 live", "brightness 2 live"]
    again = await parts.read(WHITE, study_id="S1")
    assert again.replayed
    assert len(again.result.images[0].readings) == 2


async def test_all_images_of_a_study_go_to_one_arm_of_a_canary(parts: Parts):
    canary = {"version": "2", "percent": 50}
    model = {"name": "brightness", "version": "1", "canary": canary}
    rule(parts, {"name": "all", "when": ALWAYS, "models": [model]})
    arms: dict[str, set[str]] = {}
    for number in range(8):
        for picture in (WHITE, BLACK, WHITE):
            [arm] = await read_by(parts, picture, study_id=f"S{number}")
            arms.setdefault(f"S{number}", set()).add(arm)
    assert {len(found) for found in arms.values()} == {1}
    assert set.union(*arms.values()) == {"brightness 1 live", "brightness 2 canary"}
