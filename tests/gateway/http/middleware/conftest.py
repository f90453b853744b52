"""An application with the middleware alone, called without a socket."""

from collections.abc import AsyncIterator

import httpx
import pytest
from httpx import ASGITransport
from prometheus_client import CollectorRegistry

from gateway.observability.metrics import Metrics
from tests.gateway.http.middleware.local_application import application


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(CollectorRegistry())


@pytest.fixture
async def local(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    transport = ASGITransport(application(metrics))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
