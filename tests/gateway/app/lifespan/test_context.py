"""The context of a tenant: its own names for studies, and metrics of all tenants together."""

from collections.abc import Collection

from tests.gateway.app.lifespan.conftest import InContext


def test_metrics_count_what_all_tenants_have(in_context: InContext):
    context = in_context()
    kept: list[list[int]] = []

    def keep(found: Collection[int]) -> None:
        kept.append(sorted(found))

    north, south = (context.of_tenant(name).counting("things", keep) for name in ("north", "south"))
    other = context.counting("other things", keep)
    north([1, 2])
    south([3])
    north([4])
    other([9])
    assert kept == [[1, 2], [1, 2, 3], [3, 4], [9]]


def test_a_study_id_of_two_tenants_has_two_names(in_context: InContext):
    context = in_context()
    north, south = (context.of_tenant(name).pseudonyms for name in ("north", "south"))
    names = {each.study_ref("S-1") for each in (north, south, context.pseudonyms)}
    assert len(names) == 3
    assert north.study_ref("S-1") == context.of_tenant("north").pseudonyms.study_ref("S-1")
    assert context.of_tenant(None) is context
