"""Objects of a drop folder go to the tenant whose folder they lie in, or to nobody."""

import pytest
from structlog.testing import capture_logs

from gateway.access.callers import Caller, CallerKind
from gateway.audit.trail import Act, begin
from gateway.dropfolder.tenants import TenantDeliveries
from gateway.observability.pseudonyms import Pseudonyms
from gateway.runtime.deadline import Deadline
from gateway.schemas.events import Delivery, Outcome


class Intake:
    """Takes every object."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str | None, str | None]] = []

    async def deliver(
        self,
        key: str,
        version_id: str | None = None,
        deadline: Deadline | None = None,
        *,
        tag: str | None = None,
    ) -> Delivery:
        del deadline
        self.taken.append((key, version_id, tag))
        return Delivery(outcome=Outcome.PROCESSED, detail="")


@pytest.mark.parametrize(
    ("key", "tenant"), [("north-1/x.png", "north"), ("south-1/x.png", "south"), ("x.png", None)]
)
async def test_each_object_goes_to_its_tenant(key: str, tenant: str | None):
    act = Act(caller=Caller("s3", frozenset(), CallerKind.KEY))
    begin(act)
    intakes = {"north": Intake(), "south": Intake()}
    names = {f"{name}-1": name for name in intakes}
    shared = TenantDeliveries(intakes, lambda key: names.get(key.split("/")[0]), Pseudonyms(None))
    with capture_logs() as logs:
        delivery = await shared.deliver(key, "v1", tag="t1")
    assert act.tenant == tenant
    expected = {name: [(key, "v1", "t1")] if name == tenant else [] for name in intakes}
    assert {name: intake.taken for name, intake in intakes.items()} == expected
    if tenant is None:
        assert delivery.outcome is Outcome.IGNORED
        [entry] = logs
        assert entry["event"] == "dropfolder.no_tenant"
        assert key not in str(entry)
