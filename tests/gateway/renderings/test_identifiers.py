from pydicom.uid import UID

from gateway.renderings.identifiers import derived_uid


def test_a_uid_is_the_same_for_the_same_parts_alone():
    assert derived_uid("a", "b") == derived_uid("a", "b")
    assert len({derived_uid("a", "b"), derived_uid("b", "a"), derived_uid("ab")}) == 3


def test_a_uid_is_one_by_dicoms_rules():
    found = derived_uid("study", "x" * 500)
    assert found.startswith("2.25.")
    assert UID(found).is_valid
