"""Instances are found by their UIDs until their study is deleted."""

from gateway.results.instances import InstancePointer, Instances
from tests.support.store import MemoryStore


def pointer(study_id: str) -> InstancePointer:
    return InstancePointer(study_id=study_id, sop_class_uid="1.2", submission_id="x")


async def test_pointers_go_with_their_study_and_their_marks_stay_for_a_second_try():
    objects = MemoryStore()
    instances = Instances(objects)
    await instances.add("1.2.3", pointer("S1"))
    await instances.add("1.2.4", pointer("S2"))
    assert await instances.find("1.2.3") == pointer("S1")
    await instances.remove_of("S1")
    assert await instances.find("1.2.3") is None
    assert await instances.find("1.2.4") == pointer("S2")
    assert "results/S1/pointers/1.2.3" in objects.objects
