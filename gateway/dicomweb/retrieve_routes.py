"""WADO-RS: retrieval of studies, series, instances, their metadata and frames (PS3.18, 10.4)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response
from pydicom.tag import Tag

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.dicomweb.accepted_types import accepted_types
from gateway.dicomweb.instance_forms import OCTETS
from gateway.dicomweb.instances import Instance, Instances
from gateway.dicomweb.media_types import DICOM, RELATED, AnswerType, answer_type
from gateway.dicomweb.rendered_view import RenderedParameters, RenderedQuery, view_of
from gateway.dicomweb.retrieval import Retrieval
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.body import while_connected
from gateway.http.requests.preferences import share_of
from gateway.pictures.rendering import JPEG, PNG
from gateway.retrieval.originals import Original
from gateway.studies.dicom_instance import is_uid

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

router = APIRouter(prefix="/dicomweb/studies/{study_instance_uid}", tags=["DICOMweb"])

_MOST_FRAMES = 1000
_FRAMES = re.compile(r"[1-9][0-9]{0,8}(?:,[1-9][0-9]{0,8})*")
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_PICTURES = (errors.TooManyPicturesError,)
_UID_SCHEMA = {"pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}
StudyUid = Annotated[
    str, Path(description="Study Instance UID (0020,000D).", json_schema_extra=_UID_SCHEMA)
]
SeriesUid = Annotated[
    str, Path(description="Series Instance UID (0020,000E).", json_schema_extra=_UID_SCHEMA)
]
InstanceUid = Annotated[
    str, Path(description="SOP Instance UID (0008,0018).", json_schema_extra=_UID_SCHEMA)
]
FrameList = Annotated[
    str,
    Path(
        description="Numbers of frames, from 1, with commas between them.",
        json_schema_extra={"pattern": r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})*$"},
    ),
]
BulkTag = Annotated[
    str,
    Path(description="Tag in eight digits.", json_schema_extra={"pattern": "^[0-9A-Fa-f]{8}$"}),
]
Reader = Annotated[Caller, Depends(require(Scope.STUDIES_READ))]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_ERRORS = (
    errors.MalformedRequestError,
    errors.StudyNotFoundError,
    errors.InstanceNotFoundError,
    errors.NotAcceptableError,
    errors.OverloadedError,
    errors.StoreError,
    errors.UnreadableDocumentError,
    errors.DeadlineExceededError,
)


def _route(
    path: str, summary: str, *media_types: str, more: tuple[type[errors.RadStreamError], ...] = ()
) -> Callable[[F], F]:
    answers: dict[int | str, dict[str, Any]] = {
        200: {"content": dict.fromkeys(media_types, _BINARY)}
    }
    responses = answers | documented(*_ERRORS, *more)
    return router.get(path, summary=summary, responses=responses, response_class=Response)


async def _retrieval(request: Request, gateway: GatewayDependency, caller: Reader) -> Retrieval:
    request.state.share = share = share_of(caller, request)
    for name, value in request.path_params.items():
        if name.endswith("_uid") and not is_uid(value):
            raise errors.MalformedRequestError("The path has an identifier that is no UID.")
    return Retrieval(
        Instances(gateway.originals, gateway.reports),
        gateway.admission,
        gateway.imaging,
        share=share,
        link=gateway.links.path,
        timeout_s=gateway.settings.http.request_timeout_s,
    )


RetrievalDependency = Annotated[Retrieval, Depends(_retrieval)]


@_route("", "Retrieve a study", RELATED)
async def retrieve_study(
    study_instance_uid: StudyUid, request: Request, retrieval: RetrievalDependency
) -> Response:
    """Return all instances of a study, as they are stored or as Accept asks."""
    found = await retrieval.find(study_instance_uid)
    return await retrieval.instances(found, accepted_types(request.headers), single=False)


@_route("/metadata", "Retrieve the metadata of a study", AnswerType.JSON)
async def retrieve_study_metadata(
    study_instance_uid: StudyUid, request: Request, retrieval: RetrievalDependency
) -> Response:
    """Return the data sets of a study's instances, with URIs in the place of bulk data."""
    _check_json(request)
    return await retrieval.metadata(await retrieval.find(study_instance_uid))


@_route("/series/{series_instance_uid}", "Retrieve a series", RELATED)
async def retrieve_series(
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    request: Request,
    retrieval: RetrievalDependency,
) -> Response:
    """Return all instances of a series, as they are stored or as Accept asks."""
    found = await retrieval.find(study_instance_uid, series_instance_uid)
    return await retrieval.instances(found, accepted_types(request.headers), single=False)


@_route(
    "/series/{series_instance_uid}/metadata", "Retrieve the metadata of a series", AnswerType.JSON
)
async def retrieve_series_metadata(
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    request: Request,
    retrieval: RetrievalDependency,
) -> Response:
    """Return the data sets of a series' instances, with URIs in the place of bulk data."""
    _check_json(request)
    return await retrieval.metadata(await retrieval.find(study_instance_uid, series_instance_uid))


_INSTANCE = "/series/{series_instance_uid}/instances/{sop_instance_uid}"


async def _one(
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
    retrieval: RetrievalDependency,
) -> Instance:
    [instance] = await retrieval.find(study_instance_uid, series_instance_uid, sop_instance_uid)
    return instance


InstanceDependency = Annotated[Instance, Depends(_one)]


@_route(_INSTANCE, "Retrieve an instance", RELATED, DICOM)
async def retrieve_instance(
    instance: InstanceDependency, request: Request, retrieval: RetrievalDependency
) -> Response:
    """Return an instance, in one part or, with `Accept: application/dicom`, by itself."""
    return await retrieval.instances([instance], accepted_types(request.headers), single=True)


@_route(f"{_INSTANCE}/metadata", "Retrieve the metadata of an instance", AnswerType.JSON)
async def retrieve_instance_metadata(
    instance: InstanceDependency, request: Request, retrieval: RetrievalDependency
) -> Response:
    """Return the data set of an instance, with URIs in the place of bulk data."""
    _check_json(request)
    return await retrieval.metadata([instance])


@_route(f"{_INSTANCE}/frames/{{frames}}", "Retrieve frames", RELATED, OCTETS)
async def retrieve_frames(
    instance: InstanceDependency,
    frames: FrameList,
    request: Request,
    retrieval: RetrievalDependency,
) -> Response:
    """Return frames: the codestreams as they are stored, or uncompressed where Accept asks."""
    numbers = _numbers(frames)
    return await retrieval.frames(instance, numbers, accepted_types(request.headers))


@_route(f"{_INSTANCE}/bulkdata/{{tag}}", "Retrieve bulk data", RELATED)
async def retrieve_bulk_data(
    instance: InstanceDependency, tag: BulkTag, request: Request, retrieval: RetrievalDependency
) -> Response:
    """Return the value of an attribute that metadata have a URI for."""
    if not _TAG.fullmatch(tag):
        raise errors.MalformedRequestError("The path does not end in a tag of eight digits.")
    return await retrieval.bulk(instance, Tag(int(tag, 16)), accepted_types(request.headers))


@_route(f"{_INSTANCE}/rendered", "Retrieve a rendered instance", PNG, JPEG, more=_PICTURES)
async def retrieve_rendered_instance(
    instance: InstanceDependency,
    query: RenderedQuery,
    request: Request,
    gateway: GatewayDependency,
) -> Response:
    """Return an instance as a picture; of several frames the first."""
    return await _rendered(request, gateway, instance, 1, query)


@_route(
    f"{_INSTANCE}/frames/{{frame}}/rendered", "Retrieve a rendered frame", PNG, JPEG, more=_PICTURES
)
async def retrieve_rendered_frame(
    instance: InstanceDependency,
    frame: FrameList,
    query: RenderedQuery,
    request: Request,
    gateway: GatewayDependency,
) -> Response:
    """Return a frame as a picture, as it was shown to the model."""
    [number, *others] = _numbers(frame)
    if others:
        raise errors.MalformedRequestError("One frame is rendered at a time.")
    return await _rendered(request, gateway, instance, number, query)


async def _rendered(
    request: Request, gateway: Gateway, instance: Instance, number: int, query: RenderedParameters
) -> Response:
    view = view_of(query, accepted_types(request.headers))
    if number > instance.frame_count:
        raise errors.InstanceNotFoundError
    with gateway.admission.picture(request.state.share):
        drawn = (
            gateway.pictures.rendered(instance.reading, number - 1, view)
            if isinstance(instance, Original)
            else gateway.reports.drawn(instance, view)
        )
        picture = await while_connected(request, drawn)
    return Response(picture, media_type=view.media_type)


def _check_json(request: Request) -> None:
    if answer_type(request.headers) is AnswerType.XML:
        raise errors.NotAcceptableError(AnswerType.JSON)


def _numbers(text: str) -> list[int]:
    """Return the numbers of a list, each once.

    Raises
    ------
    MalformedRequestError
    """
    if not _FRAMES.fullmatch(text) or text.count(",") >= _MOST_FRAMES:
        raise errors.MalformedRequestError("The path has no list of frames, such as 1,2.")
    return list(dict.fromkeys(map(int, text.split(","))))
