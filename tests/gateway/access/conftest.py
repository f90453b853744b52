"""A real issuer over HTTP, and tokens taken of it."""

from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest

from gateway.access.tokens import Tokens
from tests.gateway.access.issuers import Clock, tokens_of
from tests.support.access import Issuer, running_issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def tokens(issuer: Issuer, session: aiohttp.ClientSession, clock: Clock) -> Tokens:
    return tokens_of(issuer, session, clock)
