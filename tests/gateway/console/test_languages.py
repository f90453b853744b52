"""Every text stands in both languages, and the reader's own is chosen."""

import re
from pathlib import Path
from string import Formatter

import pytest

from gateway.access.callers import CallerKind
from gateway.console.languages import LANGUAGES, chosen, language
from gateway.delivery.destination_check import Step
from gateway.delivery.destination_states import Health
from gateway.errors import Refusal
from gateway.problems import all_kinds
from gateway.routing.rules import Outcome as RuleOutcome
from gateway.schemas.audit import AuditAction, AuditOutcome
from gateway.schemas.feedback import Judgement
from gateway.schemas.models import SignatureState
from gateway.schemas.parked import Half
from gateway.schemas.result import DeliveryState, Mode, RenderingKind, Status
from gateway.schemas.telemetry import Stage
from gateway.studies.study import Route

TEMPLATES = Path(__file__).parents[3] / "gateway/console/templates"
# Keys that templates put together.
MADE = {
    *(f"state.{status}" for status in Status),
    *(f"route.{route}" for route in Route),
    *(f"mode.{mode}" for mode in Mode),
    *(f"half.{half}" for half in Half),
    *(f"delivery.{state}" for state in DeliveryState),
    *(f"rendering.{kind}" for kind in RenderingKind),
    *(f"stage.{stage}" for stage in Stage if stage is not Stage.TOTAL),
    *(f"problem.{kind.name}" for kind in all_kinds()),
    *(
        f"{kind}.{verdict}"
        for kind in ("says", "verdict")
        for verdict in ("positive", "negative", "not_applicable")
    ),
    *(f"model.{state}" for state in ("ready", "refused", "unavailable")),
    *("model.accepted", "model.not_accepted"),
    *(f"model.signature.{state}" for state in SignatureState),
    *(f"nav.{section}" for section in ("studies", "send", "queue", "models", "live")),
    *("nav.destinations", "nav.rules", "rules.all", "rules.any", "rules.not"),
    *("rules.stale", "rules.in_force", "model.part", "model.part.all"),
    *(f"destination.{health}" for health in Health),
    *(f"destination.kind.{kind}" for kind in ("dicom", "stow", "fhir", "hl7", "webhook")),
    *(f"check.{step}" for step in Step),
    *(f"age.{unit}" for unit in ("seconds", "minutes", "hours", "days")),
    *("destinations.none.next", "destinations.none.unset", "delivery.again", "delivery.send"),
    *(f"feedback.{judgement}" for judgement in Judgement),
    *(f"feedback.told.{judgement}" for judgement in Judgement),
    *(f"rules.outcome.{outcome}" for outcome in RuleOutcome),
    *("rules.holds", "rules.fails", "rules.applies", "rules.not_applies"),
    *(f"audit.action.{action}" for action in AuditAction),
    *(f"audit.outcome.{outcome}" for outcome in AuditOutcome),
    *("audit.scope", "audit.elsewhere"),
    *(f"agent.{kind}" for kind in CallerKind),
    *("destination.test.well", "destination.test.fault", "check.passed", "check.faulty"),
    *(f"language.{tag}" for tag in LANGUAGES),
    *(
        f"problem_page.{kind}"
        for kind in (
            *("scope-missing", "study-not-found", "study-deleted", "stale-form", "not-found"),
            *("internal", "tenancy"),
        )
    ),
    *(f"refusal.{refusal.name.lower()}" for refusal in Refusal),
    *(f"live.{name}" for name in ("rate", "median", "slow", "errors", "in_flight")),
    *(f"live.{name}" for name in ("pending", "waiting", "parked")),
    *(f"live.{unit}" for unit in ("per_minute", "seconds", "studies", "halves", "items")),
}


def named() -> set[str]:
    """Every key that stands in a template."""
    texts = [path.read_text() for path in TEMPLATES.glob("*.html")]
    return {
        key for text in texts for key in re.findall(r"""\bt\(["']([a-z0-9_.-]+)["'](?! ~)""", text)
    }


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_the_languages_have_the_same_texts():
    english, *others = (language(tag) for tag in LANGUAGES)
    for other in others:
        assert set(other.texts) == set(english.texts)
        for key, text in english.texts.items():
            assert fields(other.texts[key]) == fields(text), key
            assert other.texts[key].strip(), key


def test_every_text_that_pages_name_is_there_and_no_other():
    assert set(language("en").texts) == named() | MADE


@pytest.mark.parametrize(
    ("cookie", "accepted", "tag"),
    [
        (None, "", "en"),
        (None, "de-AT,de;q=0.9,en;q=0.8", "de"),
        (None, "fr-FR, de;q=0.5", "de"),
        (None, "fr", "en"),
        ("en", "de", "en"),
        ("de", "en", "de"),
        ("../../etc", "de", "de"),
    ],
)
def test_the_chosen_language_comes_before_the_browsers(cookie: str | None, accepted: str, tag: str):
    assert chosen(cookie, accepted).tag == tag


@pytest.mark.parametrize(
    ("share", "english", "german"),
    [
        (0.8604, "86.0\xa0%", "86,0\xa0%"),
        (0.99998, ">99.9\xa0%", ">99,9\xa0%"),
        (0.0002, "<0.1\xa0%", "<0,1\xa0%"),
        (0.0, "0.0\xa0%", "0,0\xa0%"),
        (1.0, "100.0\xa0%", "100,0\xa0%"),
    ],
)
def test_no_rounding_makes_a_share_certain(share: float, english: str, german: str):
    assert language("en").percent(share) == english
    assert language("de").percent(share) == german


def test_a_problem_of_a_newer_gateway_has_its_stored_title():
    german = language("de")
    assert german.problem("no-contrast", "Blank image") == "Bild ohne Inhalt"
    assert german.problem("of-tomorrow", "Something new") == "Something new"


def test_numbers_have_the_languages_separators():
    assert language("en").decimal(1234.56, 1) == "1,234.6"
    assert language("de").decimal(1234.56, 1) == "1.234,6"
