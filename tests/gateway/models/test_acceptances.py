"""Acceptances in the store, as gateways look for them."""

import datetime as dt

from gateway.errors import StoreUnavailableError
from gateway.models.acceptances import Acceptance, Acceptances
from gateway.models.served_model import ServedModel
from gateway.schemas.contract import Contract
from tests.support.models import contract
from tests.support.store import MemoryStore


class LostStore(MemoryStore):
    """A store that may be out of reach."""

    is_lost = False

    async def keys(self, prefix: str):
        if self.is_lost:
            raise StoreUnavailableError("it does not answer")
        return await super().keys(prefix)


def served(version: str = "1", **changes: object) -> ServedModel:
    return ServedModel("chest", version, Contract.model_validate(contract(changes)))


def accepted(model: ServedModel) -> Acceptance:
    return Acceptance(
        name=model.name,
        version=model.version,
        contract_sha256=model.contract.sha256,
        accepted_by="Dr. A",
        accepted_at=dt.datetime(2026, 1, 31, tzinfo=dt.UTC),
        caller="it",
        page="{}",
    )


async def test_an_acceptance_holds_for_its_version_and_contract_at_every_gateway():
    objects = LostStore()
    here, there = Acceptances(objects, required=True), Acceptances(objects, required=True)
    assert not here.lets_serve(served())
    await here.add(accepted(served()))
    assert here.lets_serve(served())
    assert not here.lets_serve(served("2"))
    assert not here.lets_serve(served(title="Another"))
    assert not there.lets_serve(served())
    await there.refresh()
    assert there.lets_serve(served())
    objects.is_lost = True
    await there.refresh()
    assert there.lets_serve(served())


async def test_where_none_is_required_all_serve_and_it_is_known_which_are_accepted():
    acceptances = Acceptances(MemoryStore(), required=False)
    assert acceptances.lets_serve(served())
    assert acceptances.known(served()) is None
    assert Acceptances(MemoryStore(), required=True).known(served()) is False
    await acceptances.add(accepted(served()))
    assert acceptances.known(served()) is True


def test_a_contract_has_one_hash_in_whatever_order_it_was_written():
    document = contract()
    again = dict(reversed(document.items()))
    again["accepts"] = {key: values[::-1] for key, values in document["accepts"].items()}
    digest = Contract.model_validate(document).sha256
    assert Contract.model_validate(again).sha256 == digest
    assert served(title="Another").contract.sha256 != digest
