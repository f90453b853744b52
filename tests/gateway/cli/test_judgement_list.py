"""Lists of judgements as report systems and spreadsheets write them."""

from pathlib import Path

import pytest

from gateway.cli.judgement_list import JudgementListError, listed_judgements

HEADINGS = b"study_id,accession_number,label,judgement,author,source\n"


def listed(tmp_path: Path, data: bytes) -> list[object]:
    """Each line's number, identifiers and document; or its fault."""
    file = tmp_path / "list.csv"
    file.write_bytes(data)
    return [
        (line.number, line.identifiers, line.document)
        if line.fault is None
        else f"{line.number}: {line.fault}"
        for line in listed_judgements(file)
    ]


ABSENT = {"label": "pneumonia", "judgement": "absent", "source": "report"}


@pytest.mark.parametrize(
    "data",
    [
        b"accession_number,label,judgement\nA-1,pneumonia,absent\n",
        b"\xef\xbb\xbfaccession_number,label,judgement\r\nA-1,pneumonia,absent\r\n",
        b"Accession Number;Label;Judgement\r\nA-1;pneumonia;Absent",
        b"ACCESSION_NUMBER\tLABEL\tJUDGEMENT\rA-1\tpneumonia\tABSENT\r",
        b'"accession_number";"label";"judgement";\n"A-1";" pneumonia ";"absent";\n;;;\n\n',
        b"author,accession_number,label,judgement,source\n,A-1,pneumonia,absent\n",
    ],
)
def test_delimiters_line_ends_headings_and_quotation_marks_may_differ(data: bytes, tmp_path: Path):
    assert listed(tmp_path, data) == [(2, {"accession_number": "A-1"}, ABSENT)]


def test_a_line_names_the_study_the_reader_and_the_source(tmp_path: Path):
    data = (
        b"study_instance_uid;accession_number;study_id;label;judgement;author;source\n"
        b"1.2.3;A-1;;pneumonia;agree;J\xc3\xa4ger;Reader\n"
        b'1.2.3;A-1;CXR-1;pneumonia;absent;"Weber; Dr. ""W""";\n'
    )
    assert listed(tmp_path, data) == [
        (
            2,
            {"study_instance_uid": "1.2.3", "accession_number": "A-1"},
            {
                "label": "pneumonia",
                "judgement": "agree",
                "source": "reader",
                "author": "J\u00e4ger",
            },
        ),
        (3, {"study_id": "CXR-1"}, ABSENT | {"author": 'Weber; Dr. "W"'}),
    ]


def test_a_line_names_the_model_and_its_version(tmp_path: Path):
    data = b"study_id,label,judgement,model\nA,m,agree,chest\nB,m,agree,chest:2\nC,m,agree,\n"
    agreed = {"label": "m", "judgement": "agree", "source": "report"}
    assert listed(tmp_path, data) == [
        (2, {"study_id": "A"}, agreed | {"model": {"name": "chest"}}),
        (3, {"study_id": "B"}, agreed | {"model": {"name": "chest", "version": "2"}}),
        (4, {"study_id": "C"}, agreed),
    ]


def test_a_line_at_fault_costs_no_other(tmp_path: Path):
    data = HEADINGS + (
        b"CXR-1,,pneumonia,perhaps,,\n"
        b",,pneumonia,absent,,\n"
        b"../parked/X,,pneumonia,absent,,\n"
        b'CXR-1,,pneumonia,absent,"Dr. A,\n'
        b"CXR-1,,pneumonia,absent,Weber, Dr.,report\n"
        b"CXR-1,,pneumonia,absent," + b"A" * 131_073 + b",\n"
        b"CXR-1\n"
        b"CXR-1,,pneumonia,absent,,\n"
    )
    assert listed(tmp_path, data) == [
        "2: the judgement is none of agree, disagree, present, absent",
        "3: there is no study_id, study_instance_uid or accession_number",
        "4: the study_id has characters that none has",
        "5: it is no line of a CSV: unexpected end of data",
        "6: it has more than 6 columns",
        "7: it is no line of a CSV: field larger than field limit (131072)",
        "8: the judgement is none of agree, disagree, present, absent",
        (9, {"study_id": "CXR-1"}, ABSENT),
    ]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "needs the columns"),
        (b"study_id,label\n", "study_id, study_instance_uid or accession_number, label, judgement"),
        (b"label,judgement\n", "needs the columns"),
        (b"CXR-1,pneumonia,absent,Canary\n", "needs the columns"),
        (b"study_id,label,judgement,patient\n", "are not known: patient"),
        (b"study_id,label,judgement,Label\n", "stand twice: label"),
        (b'study_id,label,"judgement\n', "has headings that are no CSV"),
        (b"study_id,label,judgement\nA,B,agree\nJ\xe4ger,C,agree\n", "is no CSV in UTF-8"),
    ],
)
def test_another_file_is_refused_whole(data: bytes, message: str, tmp_path: Path):
    with pytest.raises(JudgementListError, match=message) as caught:
        listed(tmp_path, data)
    assert "Canary" not in str(caught.value)
