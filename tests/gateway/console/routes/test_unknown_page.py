"""A path that is no page is a page that says so."""

import pytest

from tests.support.gateway import LiveGateway


@pytest.mark.parametrize("path", ["/console/none", "/console/none/deeper", "/console/"])
async def test_a_path_that_is_no_page_says_so(console: LiveGateway, path: str):
    answer = await console.client.get(path)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
