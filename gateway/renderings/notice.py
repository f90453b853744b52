"""Notices of studies for webhooks, without findings: the receiver reads the study as itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.renderings.identifiers import derived_uuid
from gateway.schemas.callback import DELETED, CallbackBody
from gateway.schemas.result import study_path

if TYPE_CHECKING:
    import datetime as dt

    from gateway.results.links import Links
    from gateway.schemas.result import StudyResult


def study_notice(
    result: StudyResult, links: Links, destination: str, revision: str
) -> tuple[str, bytes]:
    """Return the notice of a study in its present state, after its delivery's id.

    Parameters
    ----------
    links
        Make the path that it names.
    destination
        Name of the destination.
    revision
        Id of the study's completion: a study that is complete anew has another notice.
    """
    body = CallbackBody(
        delivery=str(derived_uuid(result.study_id, "notice", destination, revision)),
        study_id=result.study_id,
        study=links.path(study_path(result.study_id)),
        status=result.status,
        not_processed=result.not_processed,
    )
    return body.delivery, _json(body)


def deletion_notice(
    study_id: str, links: Links, destination: str, requested_at: dt.datetime
) -> tuple[str, bytes]:
    """Return the notice that a study was deleted, after its delivery's id; see `study_notice`."""
    moment = requested_at.isoformat()
    body = CallbackBody(
        delivery=str(derived_uuid(study_id, "notice", destination, DELETED, moment)),
        study_id=study_id,
        study=links.path(study_path(study_id)),
        status=DELETED,
    )
    return body.delivery, _json(body)


def _json(body: CallbackBody) -> bytes:
    return body.model_dump_json(by_alias=True, exclude_none=True).encode()
