"""Routes are given the gateway of their caller's tenant, or refuse who has none."""

from pathlib import Path

import pytest

from gateway.triton.embedded import EmbeddedTriton
from tests.support.tenants import TENANTS, hospitals

pytestmark = pytest.mark.server


async def test_callers_reach_what_is_their_tenants_or_nobodys(
    triton: EmbeddedTriton, tmp_path: Path
):
    async with hospitals(triton.grpc_url, tmp_path) as shared:
        for name, studies, numbers in (
            *((tenant, 200, 403) for tenant in TENANTS),
            ("ops", 403, 200),
        ):
            async with shared.client(name) as client:
                assert (await client.get("/v1/studies")).status_code == studies
                assert (await client.get("/metrics")).status_code == numbers
                assert (await client.get("/v1/models")).status_code == 200
        anonymous = shared.gateway.client
        assert (await anonymous.get("/v1/studies")).status_code == 401
        assert (await anonymous.get("/readyz")).status_code == 200
