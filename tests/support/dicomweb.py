"""Store transactions as DICOMweb clients send them, and their answers as pydicom reads them."""

from collections.abc import Iterable
from dataclasses import dataclass

import httpx
from pydicom.dataset import Dataset

from tests.support.gateway import until

RELATED = 'multipart/related; type="application/dicom"; boundary="a b"'
JSON = "application/dicom+json"


def related(*parts: bytes) -> bytes:
    """The body of a multipart/related request."""
    head = b"--a b\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part + b"\r\n" for part in parts) + b"--a b--\r\n"


async def store(
    client: httpx.AsyncClient, *parts: bytes, path: str = "/dicomweb/studies", **headers: str
) -> httpx.Response:
    """Send the parts in one store transaction."""
    fields = {"Content-Type": RELATED, "Accept": JSON} | headers
    return await client.post(path, content=related(*parts), headers=fields)


async def is_processed(client: httpx.AsyncClient, study_id: str, images: int) -> None:
    """Return once the study has this many images and none is pending."""

    async def is_complete() -> bool:
        view = (await client.get(f"/v1/studies/{study_id}")).json()
        return view["status"] == "completed" and len(view["images"]) == images

    await until(is_complete)


@dataclass(frozen=True)
class RetrievedPart:
    """A part of an answer, its header fields by their names in small letters."""

    headers: dict[str, str]
    content: bytes


def parts_of(answer: httpx.Response) -> list[RetrievedPart]:
    """The parts of a multipart answer."""
    assert answer.status_code == 200, answer.text
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind.startswith("multipart/related; type="), kind
    preamble, *bodies, end = answer.content.split(f"--{boundary}".encode())
    assert (preamble, end) == (b"", b"--\r\n")
    found = []
    for body in bodies:
        head, _, content = body.removesuffix(b"\r\n").partition(b"\r\n\r\n")
        fields = (line.split(": ", 1) for line in head.decode().strip().split("\r\n"))
        headers = {name.lower(): value for name, value in fields}
        assert int(headers["content-length"]) == len(content)
        found.append(RetrievedPart(headers, content))
    return found


def data_set(answer: httpx.Response) -> Dataset:
    """The data set of an answer in DICOM JSON; no element of the groups 0000 and 0002 is in it."""
    dataset: Dataset = Dataset.from_json(answer.text)
    assert not [element.tag for element in dataset.iterall() if element.tag.group in {0, 2}]
    return dataset


def stored(answer: Dataset) -> list[str]:
    """SOP Instance UIDs of what the answer says is stored."""
    return [item.ReferencedSOPInstanceUID for item in _items(answer, "ReferencedSOPSequence")]


def failed(answer: Dataset) -> list[tuple[str, int]]:
    """SOP Instance UIDs of what failed, with the reasons."""
    items = _items(answer, "FailedSOPSequence")
    return [(item.ReferencedSOPInstanceUID, item.FailureReason) for item in items]


def other_failures(answer: Dataset) -> list[int]:
    """Reasons for the parts that cannot be named."""
    return [item.FailureReason for item in _items(answer, "OtherFailuresSequence")]


def _items(answer: Dataset, keyword: str) -> Iterable[Dataset]:
    items: Iterable[Dataset] = answer.get(keyword, [])
    return items
