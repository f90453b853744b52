"""The application: a start that fails is known, and schemas that no route returns are published."""

from pathlib import Path

import pytest

from gateway.app.application import create_app
from gateway.errors import StoreUnavailableError
from gateway.runtime.health import Health
from tests.support.gateway import settings_for


async def test_the_reason_of_a_failed_start_is_in_the_health(tmp_path: Path):
    (tmp_path / "store").write_text("a file")
    health = Health()
    app = create_app(settings_for("127.0.0.1:1", tmp_path / "store"), health)
    with pytest.raises(StoreUnavailableError):
        async with app.router.lifespan_context(app):
            pass
    assert isinstance(health.start_error, StoreUnavailableError)


def test_bodies_and_problems_are_published_though_no_route_has_them_as_its_model(tmp_path: Path):
    document = create_app(settings_for("127.0.0.1:1", tmp_path)).openapi()
    assert {"Problem", "StudyMetadata", "S3Event"} <= set(document["components"]["schemas"])


def test_a_refusal_is_told_beside_the_routes_own_problems_of_its_status(tmp_path: Path):
    """A status has one response, with an example for each of its problems."""
    document = create_app(settings_for("127.0.0.1:1", tmp_path)).openapi()
    busy = document["paths"]["/v1/studies"]["post"]["responses"]["503"]
    examples = busy["content"]["application/problem+json"]["examples"]
    assert {"overloaded", "issuer-unavailable", "audit-unavailable"} <= set(examples)
