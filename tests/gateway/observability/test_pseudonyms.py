"""Names that stand for a study_id: stores and telemetry hold them, so none may ever change."""

import pytest

from gateway.dropfolder.objects import Inbox
from gateway.errors import GivenUpError
from gateway.observability.pseudonyms import Pseudonyms, key_reference, study_digest
from gateway.problems import problem_of
from gateway.results.deletion import deletion_folder
from gateway.studies.study import Route
from gateway.work.parked import Parking
from tests.support.store import MemoryStore


def test_a_study_has_one_name_under_one_key():
    # RFC 4231, test case 2, cut to 128 bits.
    assert (
        Pseudonyms("Jefe").study_ref("what do ya want for nothing?")
        == "5bdcc146bf60754e6a042426089575c7"
    )
    assert Pseudonyms("a").study_ref("1") != Pseudonyms("b").study_ref("1")
    assert Pseudonyms(None).study_ref("1") != Pseudonyms(None).study_ref("1")


def test_references_are_sha_256():
    # NIST's example of a message of one block.
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert study_digest("abc") == digest
    assert key_reference("abc") == digest[:32]
    assert key_reference("\udcff") == "8f1d0f9c88065271ef888ba5a7790e55"


def test_keys_of_deletions_stay():
    assert deletion_folder("S-1") == "deleted/6636c92bc73cb2bdd44c42271f3f3c71/"


async def test_ids_of_parked_work_stay():
    item = await Parking(MemoryStore(), problem_of).park_work(
        "results/S-1/submissions/x", GivenUpError(1)
    )
    assert item.id == "001aeacdda0493cea9d406d5429d1abf"


@pytest.mark.parametrize("name", ["S-1/a.png", "S-1/a.json"])
def test_references_of_dropped_objects_stay(name: str):
    inbox = Inbox(MemoryStore(), prefix="", route=Route.FOLDER, image_bytes=1, metadata_bytes=1)
    dropped = inbox.find(name)
    assert dropped is not None
    assert dropped.pair_reference == "a29b48cc382fcdb7b35c765357afa51c"
    assert (
        dropped.reference
        == {
            "S-1/a.png": "33038efd8e0dbfe9e89377827d4f85e6",
            "S-1/a.json": "2e207d5c562b071256cc166d6ecd1bfd",
        }[name]
    )


def test_a_patient_has_a_name_that_is_no_studys_and_needs_the_key():
    one, other = Pseudonyms("a"), Pseudonyms("b")
    assert one.patient_ref("P-7") == Pseudonyms("a").patient_ref("P-7")
    assert len({one.patient_ref("P-7"), one.study_ref("P-7"), other.patient_ref("P-7")}) == 3


def test_a_device_has_a_name_only_where_the_key_lasts():
    assert Pseudonyms("a").device_ref("ACME\n4711") == Pseudonyms("a").device_ref("ACME\n4711")
    assert Pseudonyms("a").device_ref("ACME\n4711") != Pseudonyms("b").device_ref("ACME\n4711")
    assert Pseudonyms(None).device_ref("ACME\n4711") is None
    assert Pseudonyms("a").device_ref(None) is None


def test_an_image_has_a_name_that_is_no_studys():
    assert Pseudonyms("a").image_ref("0") not in {
        Pseudonyms("a").study_ref("0"),
        Pseudonyms("b").image_ref("0"),
    }
