"""QIDO-RS: search for studies, series and instances (PS3.18, 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Request, Response
from pydicom.datadict import dictionary_description

from gateway import errors
from gateway.access.callers import Caller, Scope
from gateway.dicomweb.instances import Instances
from gateway.dicomweb.media_types import AnswerType, answer_type
from gateway.dicomweb.retrieve_routes import SeriesUid, StudyUid
from gateway.dicomweb.search import InstanceSearch
from gateway.dicomweb.search_keys import (
    INSTANCE_KEYS,
    SERIES_KEYS,
    STUDY_KEYS,
    SearchKeys,
    longest_value,
    search_keys,
)
from gateway.http.dependencies import Gateway, GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.http.requests.preferences import share_of
from gateway.retrieval.data_sets import encoded
from gateway.retrieval.originals import BEGINNING_BYTES
from gateway.runtime.deadline import Deadline
from gateway.studies.dicom_instance import is_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from gateway.dicomweb.search import Found

F = TypeVar("F", bound="Callable[..., object]")

router = APIRouter(prefix="/dicomweb", tags=["DICOMweb"])
Reader = Annotated[Caller, Depends(require(Scope.STUDIES_READ))]

_HEADERS_AT_ONCE = 8
_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"content": {AnswerType.JSON.value: {"schema": {"type": "array"}}}},
    **documented(
        errors.MalformedRequestError,
        errors.NotAcceptableError,
        errors.OverloadedError,
        errors.StoreError,
        errors.UnreadableDocumentError,
        errors.DeadlineExceededError,
    ),
}


def _bound(name: str) -> dict[str, Any]:
    return {"maxLength": longest_value(name)}


def _route(path: str, summary: str, keys: frozenset[str]) -> Callable[[F], F]:
    text: dict[str, Any] = {"type": "string"}
    named: list[tuple[str, str, dict[str, Any]]] = [
        *(
            (name, f"{dictionary_description(name)} to match.", text | _bound(name))
            for name in sorted(keys)
        ),
        ("includefield", "Attributes to tell besides.", text | _bound("includefield")),
        ("limit", "Most matches to tell.", {"type": "integer", "minimum": 1, "maximum": 10_000}),
        ("offset", "Matches to pass over.", {"type": "integer", "minimum": 0, "maximum": 10_000}),
        ("fuzzymatching", "Answered with a warning: matching is literal.", {"type": "boolean"}),
    ]
    parameters = [
        {"name": name, "in": "query", "required": False, "description": words, "schema": schema}
        for name, words, schema in named
    ]
    return router.get(
        path,
        summary=summary,
        responses=_RESPONSES,
        response_class=Response,
        openapi_extra={"parameters": parameters},
    )


class _Asked:
    """A search as it was asked for, once its caller is known."""

    def __init__(self, request: Request, gateway: Gateway, share: str) -> None:
        self._request = request
        self._gateway = gateway
        self._share = share
        self.search = InstanceSearch(
            gateway.search,
            Instances(gateway.originals, gateway.reports),
            gateway.imaging,
            admission=gateway.admission,
            share=share,
            link=gateway.links.path,
        )

    def keys(self, known: frozenset[str]) -> SearchKeys:
        """Return the parameters of the query, of which these keys are known."""
        return search_keys(self._request.query_params.multi_items(), known)

    async def answer(self, keys: SearchKeys, search: Coroutine[object, object, Found]) -> Response:
        """Return the answer with what a search finds within the request's time."""
        timeout_s = self._gateway.settings.http.request_timeout_s
        with self._gateway.admission.slot(self._share) as slot:
            slot.hold_bytes(_HEADERS_AT_ONCE * BEGINNING_BYTES)
            async with Deadline.after(timeout_s).bounds("search"):
                found = await search
        warnings = list(keys.warnings)
        if found.has_more:
            warnings.append("There are additional results that can be requested.")
        if found.searched is not None:
            first, last = found.searched.first, found.searched.last
            warnings.append(
                f"Only studies received from {first} to {last} were searched. Other days are "
                "searched by StudyDate, or by an identifier."
            )
        headers = {"Warning": ", ".join(f'299 radstream "{text}"' for text in warnings)}
        return Response(
            encoded(found.items), media_type=AnswerType.JSON, headers=headers if warnings else None
        )


async def _asked(request: Request, gateway: GatewayDependency, caller: Reader) -> _Asked:
    if answer_type(request.headers) is AnswerType.XML:
        raise errors.NotAcceptableError(AnswerType.JSON)
    for name, value in request.path_params.items():
        if name.endswith("_uid") and not is_uid(value):
            raise errors.MalformedRequestError("The path has an identifier that is no UID.")
    return _Asked(request, gateway, share_of(caller, request))


Asked = Annotated[_Asked, Depends(_asked)]


@_route("/studies", "Search for studies", STUDY_KEYS)
async def search_studies(asked: Asked) -> Response:
    """Return studies that have DICOM instances, newest receipt first."""
    keys = asked.keys(STUDY_KEYS)
    return await asked.answer(keys, asked.search.studies(keys))


@_route("/series", "Search for series", SERIES_KEYS)
async def search_series(asked: Asked) -> Response:
    """Return series of all studies that match, newest receipt first."""
    keys = asked.keys(SERIES_KEYS)
    return await asked.answer(keys, asked.search.series(keys))


@_route("/instances", "Search for instances", INSTANCE_KEYS)
async def search_instances(asked: Asked) -> Response:
    """Return instances of all studies that match, newest receipt first."""
    keys = asked.keys(INSTANCE_KEYS)
    return await asked.answer(keys, asked.search.instances(keys))


@_route(
    "/studies/{study_instance_uid}/series", "Search for series of a study", SERIES_KEYS - STUDY_KEYS
)
async def search_series_of_study(study_instance_uid: StudyUid, asked: Asked) -> Response:
    """Return a study's series; none of a study that is not stored."""
    keys = asked.keys(SERIES_KEYS - STUDY_KEYS)
    return await asked.answer(keys, asked.search.series(keys, study_instance_uid))


@_route(
    "/studies/{study_instance_uid}/instances",
    "Search for instances of a study",
    INSTANCE_KEYS - STUDY_KEYS,
)
async def search_instances_of_study(study_instance_uid: StudyUid, asked: Asked) -> Response:
    """Return a study's instances; none of a study that is not stored."""
    keys = asked.keys(INSTANCE_KEYS - STUDY_KEYS)
    return await asked.answer(keys, asked.search.instances(keys, study_instance_uid))


@_route(
    "/studies/{study_instance_uid}/series/{series_instance_uid}/instances",
    "Search for instances of a series",
    INSTANCE_KEYS - STUDY_KEYS - {"SeriesInstanceUID"},
)
async def search_instances_of_series(
    study_instance_uid: StudyUid, series_instance_uid: SeriesUid, asked: Asked
) -> Response:
    """Return a series' instances; none of a series that is not stored."""
    keys = asked.keys(INSTANCE_KEYS - STUDY_KEYS - {"SeriesInstanceUID"})
    return await asked.answer(
        keys, asked.search.instances(keys, study_instance_uid, series_instance_uid)
    )
