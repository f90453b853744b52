"""Lists of labelled studies: every fault is told at once, and data have one hash."""

from pathlib import Path

import pytest

from gateway.acceptance.labels import LabelsError, data_sha256, read_labels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    (site / "two").mkdir(parents=True)
    for name in ("a.png", "b.dcm", "two/1.dcm", "two/2.dcm", "two/1.json", "two/.hidden"):
        (site / name).write_bytes(name.encode())
    (site / "empty").mkdir()
    return site


def listed(folder: Path, text: str) -> Path:
    file = folder.parent / "labels.csv"
    file.write_text(text, encoding="utf-8-sig")
    return file


def test_a_study_is_a_file_or_a_folder_with_its_truth_and_attributes(folder: Path):
    text = "study,pneumonia,effusion,sex,sender\na.png,1,,F,ward\nb.dcm,no,yes,,\ntwo,0,0,M,\n"
    first, second, third = read_labels(folder, listed(folder, text), {"pneumonia", "effusion"})
    assert (first.name, first.truth) == ("a.png", {"pneumonia": True})
    assert first.attributes == {"sex": "F", "sender": "ward"}
    assert second.truth == {"pneumonia": False, "effusion": True}
    assert [path.name for path in third.files] == ["1.dcm", "2.dcm"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("file,pneumonia\n", ["there is no column 'study'", "column 'file' is no label"]),
        ("study\na.png\n", ["there is no column for a label: the model has pneumonia"]),
        ("study,mass\n", ["column 'mass' is no label of the model: pneumonia"]),
        ("study,pneumonia\n", ["there is no study"]),
        ("study,pneumonia,pneumonia\na.png,1,0\n", ["column 'pneumonia' stands twice"]),
        (
            "study,pneumonia\na.png,2\n../labels.csv,1\nc.png,1\nempty,1\nb.dcm,1\ntwo/../b.dcm,1\n,1\n",
            [
                "line 2: 'pneumonia' is 2",
                "line 3: 'study' names no file",
                "line 4: there is no c.png",
                "line 5: empty has no files",
                "line 7: two/../b.dcm stands twice",
                "line 8: 'study' names no file",
            ],
        ),
    ],
)
def test_every_fault_is_told(folder: Path, text: str, faults: list[str]):
    with pytest.raises(LabelsError) as caught:
        read_labels(folder, listed(folder, text), {"pneumonia"})
    told = str(caught.value).splitlines()
    assert len(told) == len(faults)
    for line, fault in zip(told, faults, strict=True):
        assert line.startswith(fault)


@pytest.mark.parametrize(
    "content",
    [
        "study,pneumonia\nbürger.png,1\n".encode("cp1252"),
        pytest.param(b"study,x\n" + b"a" * 2**18, id="long"),
    ],
)
def test_a_file_that_is_no_csv_is_told(folder: Path, content: bytes):
    file = folder.parent / "labels.csv"
    file.write_bytes(content)
    with pytest.raises(LabelsError, match="no CSV in UTF-8"):
        read_labels(folder, file, {"pneumonia", "x"})


def test_the_hash_is_of_names_and_bytes_in_any_order(folder: Path):
    forth = read_labels(folder, listed(folder, "study,x\na.png,1\nb.dcm,0\n"), {"x"})
    back = read_labels(folder, listed(folder, "study,x\nb.dcm,0\na.png,1\n"), {"x"})
    digest = data_sha256(forth, folder)
    assert digest == data_sha256(back, folder)
    (folder / "a.png").write_bytes(b"other")
    assert data_sha256(forth, folder) != digest
