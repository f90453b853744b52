"""Clients of AWS's services, and the errors by which their calls end without an answer."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiobotocore.session import get_session
from botocore.exceptions import BotoCoreError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiobotocore.config import AioConfig

# aiohttp's own come, untranslated, from a body that breaks off.
NO_ANSWER: Final = (BotoCoreError, aiohttp.ClientError)


@asynccontextmanager
async def aws_client(
    service: str,
    *,
    region: str | None,
    endpoint: str | None,
    config: AioConfig,
    unavailable: Callable[[str], Exception],
) -> AsyncIterator[Any]:
    """Yield a client of the service, open until the block ends; it connects at the first call.

    Credentials come from the environment: a web identity (IRSA), a container's (Pod Identity), a
    profile.

    Parameters
    ----------
    region, endpoint
        Region and endpoint of the service; None leaves them to the environment.
    unavailable
        Factory of the error that is raised without a region, or for an unknown profile.
    """
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(
                get_session().create_client(
                    service, region_name=region, endpoint_url=endpoint, config=config
                )
            )
        except BotoCoreError as error:
            raise unavailable(str(error)) from error
        yield client
