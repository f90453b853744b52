"""Images in files, as the rules of a routing document see them; nothing of it is stored."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from gateway.errors import InvalidMetadataError, RadStreamError
from gateway.observability.metrics import Metrics
from gateway.observability.pseudonyms import Pseudonyms
from gateway.problems import problem_of
from gateway.routing.conditions import Facts
from gateway.runtime.deadline import Deadline
from gateway.schemas.metadata import parse_document
from gateway.studies.imaging import Imaging
from gateway.studies.intake import Intake
from gateway.studies.metadata.document_words import worded
from gateway.studies.recorder import StudyRecorder, Validation
from gateway.studies.routing_facts import facts_of
from gateway.studies.sidecar_files import ENDING, sidecar_of, sidecars_of
from preprocess import Limits

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from gateway.routing.in_force import Routes
    from gateway.studies.study import Route

_A_FILE_S = 60.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """The way in which files are taken to come.

    Parameters
    ----------
    route, sender
        The way in, and the name of the sender.
    at
        Time of arrival.
    """

    route: Route
    sender: str
    at: dt.datetime


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file, and the sidecar beside it.

    Parameters
    ----------
    name
        Of the file.
    data
        Its bytes; None of a metadata document without an image.
    document
        The sidecar's bytes, or the metadata document's; None where there is none.
    """

    name: str
    data: bytes | None
    document: bytes | None

    @classmethod
    def at(cls, path: Path) -> ReadFile:
        """Return the file as it is read; a JSON file is a metadata document without an image.

        Raises
        ------
        UnroutableFileError
            Two sidecars lie beside it.
        """
        if path.suffix.lower() == ENDING:
            return cls(path.name, None, path.read_bytes())
        try:
            sidecar = sidecar_of(path)
        except InvalidMetadataError as error:
            raise UnroutableFileError(f"{path.name} {error.faults[0].detail}") from error
        document = None if sidecar is None else sidecar.read_bytes()
        return cls(path.name, path.read_bytes(), document)


class UnroutableFileError(Exception):
    """The gateway would refuse the file before any rule; the message says why."""


class _Unrecorded(StudyRecorder):
    """A recorder that tells nobody: no study came."""

    @contextmanager
    def of_validation(
        self, route: Route, caller: str, files: Sequence[tuple[str, bytes | memoryview]]
    ) -> Iterator[Validation]:
        """Follow the making of a study."""
        del route, caller, files
        yield Validation()


class RoutedFiles:
    """The files, read as the gateway reads what it is sent.

    Parameters
    ----------
    arrival
        The way in which they are taken to come.
    limits
        Limits of images; the usual ones without.
    """

    def __init__(self, arrival: Arrival, limits: Limits | None = None) -> None:
        metrics = Metrics(CollectorRegistry())
        self._arrival = arrival
        self._imaging = Imaging(threads=1, limits=limits or Limits(), metrics=metrics)
        recorder = _Unrecorded(
            lambda _: None,
            lambda _, __: None,
            metrics=metrics,
            pseudonyms=Pseudonyms(None),
            problem_of=problem_of,
            instance="",
        )
        self._intake = Intake(self._imaging, recorder, metadata_bytes=2**20)

    def close(self) -> None:
        """End what reads them."""
        self._imaging.close()

    async def facts(self, file: ReadFile, routes: Routes) -> Facts:
        """Return the facts of an image.

        Raises
        ------
        UnroutableFileError
        """
        try:
            if file.data is None:
                return self._of_document(file.document or b"", routes)
            arrival = self._arrival
            study = await self._intake.study(
                file.document,
                [(file.name, file.data)],
                route=arrival.route,
                caller=arrival.sender,
                received_at=arrival.at,
                deadline=Deadline.after(_A_FILE_S),
            )
            return await facts_of(study, study.images[0], routes, self._imaging)
        except RadStreamError as error:
            problem = problem_of(error)
            faults = [f"{fault.pointer} {fault.detail}" for fault in problem.errors or ()]
            raise UnroutableFileError("; ".join([problem.title, *faults])) from error

    def _of_document(self, document: bytes, routes: Routes) -> Facts:
        metadata = worded(parse_document(document)).document
        arrival = self._arrival
        tenant = routes.tenant_of(arrival.sender)
        return Facts(metadata, arrival.at, arrival.route.value, arrival.sender, tenant)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield images and metadata documents below a folder, no sidecar of an image by itself."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    images = [path for path in files if path.suffix.lower() != ENDING]
    sidecars = {sidecar for image in images for sidecar in sidecars_of(image)}
    yield from (path for path in files if path not in sidecars)
