"""The list of studies, and the search for some of them."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from gateway import errors
from gateway.access.callers import Scope
from gateway.audit.trail import name_study
from gateway.errors import Fault, InvalidQueryError, UnreadableDocumentError
from gateway.http.dependencies import GatewayDependency
from gateway.http.problems import documented
from gateway.http.requests.access import require
from gateway.problems import problem_of
from gateway.schemas.result import Status
from gateway.schemas.study_list import SearchedDays, StudyList, StudySummary, UnreadableStudy
from gateway.search.query import DEFAULT_DAYS, MOST_DAYS, DateRange, Position, StudyQuery

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.http.dependencies import Gateway

    Listed = Iterable[StudySummary | tuple[str, UnreadableDocumentError]]

router = APIRouter(prefix="/v1/studies", tags=["studies"])

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(value: object) -> object:
    if isinstance(value, str) and not _DAY.fullmatch(value):  # pydantic takes seconds, too
        raise ValueError("must be a date such as 2026-01-31")
    return value


Day = Annotated[dt.date, BeforeValidator(_day)]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]


class ListQuery(BaseModel):
    """Parameters of the list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_instance_uid: Identifier | None = Field(
        None, description="Study Instance UID (0020,000D)."
    )
    accession_number: Identifier | None = Field(None, description="Accession Number (0008,0050).")
    patient_id: Identifier | None = Field(None, description="Patient ID (0010,0020).")
    sender: list[str] = Field(
        [], description="Name of the key or of the DICOM sender; several: any of these."
    )
    state: list[Status] = Field([], description="Status; several: any of these.")
    modality: list[str] = Field(
        [], description="Modality (0008,0060) of any image; several: any of these."
    )
    feedback: Literal["true", "false"] | None = Field(
        None, description="true: with feedback on their findings; false: without."
    )
    from_: Day | None = Field(
        None, alias="from", description="First day of receipt (UTC), such as 2026-01-31."
    )
    to: Day | None = Field(
        None,
        description=f"Last day of receipt. The range has at most {MOST_DAYS} days; without `from` "
        f"{DEFAULT_DAYS}; without both the last {DEFAULT_DAYS} or, with an identifier, all.",
    )
    after: str = Field("", max_length=64, description="Last study_id of the page before.")
    cursor: str | None = Field(
        None, max_length=128, description="Place in a search, from the link to its next page."
    )
    limit: int = Field(50, ge=1, le=200, description="Studies on a page.")

    @property
    def is_search(self) -> bool:
        """Return True if anything is asked for but a page of all studies."""
        return bool(self.model_fields_set - {"after", "limit"})

    def received(self, today: dt.date) -> DateRange | None:
        """Return the days of receipt that are asked for; None where neither end is given.

        Raises
        ------
        InvalidQueryError
        """
        if self.from_ is None and self.to is None:
            return None
        days = DateRange.asked(self.from_, self.to, today)
        if days.days < 1:
            raise _invalid("to", "must not be before from")
        if days.days > MOST_DAYS:
            raise _invalid("from", f"must be at most {MOST_DAYS} days before to")
        return days

    def position(self) -> Position | None:
        """Return the place to go on from.

        Raises
        ------
        InvalidQueryError
        """
        if self.after:
            raise _invalid("after", "goes with no other parameter but limit: use cursor")
        try:
            return None if self.cursor is None else Position.parse(self.cursor)
        except ValueError as error:
            raise _invalid("cursor", "must be from the link to a next page") from error


@router.get(
    "",
    dependencies=[Depends(require(Scope.STUDIES_READ))],
    summary="List or search studies",
    response_model_exclude_none=True,
    responses=documented(
        errors.InvalidQueryError, errors.StoreError, errors.UnreadableDocumentError
    ),
)
async def list_studies(
    request: Request, gateway: GatewayDependency, query: Annotated[ListQuery, Query()]
) -> StudyList:
    """Return one page of studies: all of them, in the order of their ids, or those of a search.

    With any parameter but `limit` and `after` it is a search, newest receipt first; `searched`
    tells the days it looked at. A change of a study shows in it within five seconds. With
    `patient_id`, `accession_number` or `study_instance_uid` it looks at all days unless a range is
    given, and at the studies themselves.
    """
    if query.is_search:
        return await _search(request, gateway, query)
    study_ids = await gateway.catalog.ids(after=query.after, limit=query.limit)
    found = await gateway.catalog.summaries(study_ids)
    full = len(study_ids) == query.limit
    following = f"/v1/studies?after={study_ids[-1]}&limit={query.limit}" if full else None
    return _page(request, gateway, found, following)


async def _search(request: Request, gateway: Gateway, query: ListQuery) -> StudyList:
    page = await gateway.search.find(
        StudyQuery(
            study_instance_uids=(query.study_instance_uid,) if query.study_instance_uid else (),
            accession_number=query.accession_number,
            patient_id=query.patient_id,
            senders=tuple(query.sender),
            states=tuple(query.state),
            modalities=tuple(query.modality),
            judged=None if query.feedback is None else query.feedback == "true",
            received=query.received(dt.datetime.now(dt.UTC).date()),
        ),
        limit=query.limit,
        after=query.position(),
    )
    days = page.searched
    following = None
    if page.next is not None:
        asked = [item for item in request.query_params.multi_items() if item[0] != "cursor"]
        if days is not None:  # the next page looks at the same days, though it is asked for later
            asked = [item for item in asked if item[0] not in {"from", "to"}]
            asked += [("from", days.first.isoformat()), ("to", days.last.isoformat())]
        following = f"/v1/studies?{urlencode([*asked, ('cursor', str(page.next))])}"
    answer = _page(
        request,
        gateway,
        [*(entry.summary() for entry in page.entries), *page.unreadable],
        following,
    )
    searched = None if days is None else SearchedDays(first=days.first, last=days.last)
    return answer.model_copy(update={"searched": searched})


def _page(request: Request, gateway: Gateway, found: Listed, following: str | None) -> StudyList:
    summaries: list[StudySummary] = []
    unreadable: list[UnreadableStudy] = []
    for each in found:
        if isinstance(each, StudySummary):
            study_id = each.study_id
            summaries.append(each)
        else:
            study_id, error = each
            problem = problem_of(error, request.state.request_id)
            unreadable.append(UnreadableStudy(study_id=study_id, problem=problem))
        name_study(study_id)
    return StudyList(
        studies=tuple(map(gateway.links.summary, summaries)),
        unreadable=tuple(unreadable) or None,
        next=gateway.links.path(following),
    )


def _invalid(parameter: str, detail: str) -> InvalidQueryError:
    return InvalidQueryError((Fault(f"query/{parameter}", detail),))
