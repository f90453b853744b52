"""Leases of gateways that have ended, as their presence tells."""

from pathlib import Path

import pytest

from gateway.errors import DeliveryUnfinishedError
from gateway.storage.presence import Presence
from gateway.work.leases import Leases
from tests.support.pairing import no_turn
from tests.support.store import MemoryStore


def leases(objects: MemoryStore, presence: Presence | None) -> Leases:
    return Leases(objects, root="claims/", lease_s=600, presence=presence)


async def test_claim_is_over_once_its_owner_has_ended_and_not_before(tmp_path: Path):
    objects = MemoryStore(no_turn)
    owner, heir = Presence(tmp_path), Presence(tmp_path)
    await leases(objects, owner)._take("work", "key")
    heirs = leases(objects, heir)
    with pytest.raises(DeliveryUnfinishedError):
        await heirs._take("work", "key")
    owner.close()
    async with heirs.held("work", "key"):
        assert list(objects.objects) == ["claims/work/000001.json", "claims/work/000002.json"]
    assert objects.objects == {}
    heir.close()


async def test_claim_without_a_gateways_name_is_held_until_it_expires(tmp_path: Path):
    objects = MemoryStore(no_turn)
    await leases(objects, None)._take("work", "key")
    heir = Presence(tmp_path)
    with pytest.raises(DeliveryUnfinishedError):
        await leases(objects, heir)._take("work", "key")
    heir.close()
