"""Tenants are told apart by names, and only where callers are."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.settings import AccessSettings, RoutingSettings, Settings, TenancySettings

KEYS, ROUTING = AccessSettings(key_file=Path("k")), RoutingSettings(file=Path("r"))


def test_without_names_there_are_no_tenants():
    assert not TenancySettings().is_on
    assert TenancySettings(tenants=("north", "south")).is_on


@pytest.mark.parametrize("names", [("north", "north"), ("North",), ("../x",), ("_nobody",), ("",)])
def test_a_name_is_plain_and_stands_once(names: tuple[str, ...]):
    with pytest.raises(ValidationError):
        TenancySettings(tenants=names)


@pytest.mark.parametrize("groups", [{}, {"access": KEYS}, {"routing": ROUTING}])
def test_tenants_need_callers_that_are_known(groups: dict[str, Any]):
    tenancy = TenancySettings(tenants=("north",))
    with pytest.raises(ValidationError, match="names the tenant of each sender"):
        Settings(tenancy=tenancy, **groups)
    assert Settings(tenancy=tenancy, access=KEYS, routing=ROUTING).tenancy.is_on
