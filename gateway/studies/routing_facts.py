"""Facts of images, as the rules of the routing document ask for them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway.errors import RadStreamError
from gateway.routing.conditions import Facts
from gateway.routing.explain import explained
from gateway.studies.study import Route

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Iterable

    from gateway.results.documents import Reading
    from gateway.results.store import ResultStore
    from gateway.routing.in_force import Routes, Routing
    from gateway.routing.rules import Decision
    from gateway.schemas.routing_explanation import ImageRouting
    from gateway.studies.imaging import Imaging
    from gateway.studies.study import Study, StudyImage


async def facts_of(study: Study, image: StudyImage, routes: Routes, imaging: Imaging) -> Facts:
    """Return the facts of an image of a study.

    Raises
    ------
    UnsupportedImagesError, ImagesTooLargeError, UnreadableImagesError
        Its data set cannot be read.
    """
    dicom: dict[str, tuple[str, ...]] = {}
    if routes.rules.keywords:
        dicom = await imaging.dicom_values(image.part, image.data, routes.rules.keywords)
    return Facts(
        metadata=image.metadata.model_dump(mode="json", exclude_unset=True),
        received_at=study.received_at,
        route=study.route.value,
        sender=study.caller,
        tenant=routes.tenant_of(study.caller),
        ae_title=_ae_title(routes, study.route.value, study.caller),
        dicom=dicom,
    )


@dataclass(frozen=True, slots=True)
class Rerouted:
    """Decisions of two documents on an image.

    Parameters
    ----------
    reading
        One of the image.
    before, after
        By the document in force, and by the other one.
    """

    reading: Reading
    before: Decision
    after: Decision

    @property
    def differs(self) -> bool:
        """Return True if anything else would become of the image."""
        return self.before != self.after


class RoutingExplanations:
    """Explanations of the rules in force for images that are stored.

    Parameters
    ----------
    routing
        Has the rules.
    results, imaging
        Have the images, and read their attributes.
    """

    def __init__(self, routing: Routing, results: ResultStore, imaging: Imaging) -> None:
        self._routing = routing
        self._results = results
        self._imaging = imaging

    async def of(
        self, readings: Iterable[Reading], *, most: int | None = None
    ) -> tuple[ImageRouting, ...]:
        """Return what the rules in force say of the images of these readings, by reading order.

        Parameters
        ----------
        most
            Number of images that it is said of, of each of which the store is asked for its bytes;
            None for all.
        """
        routes = self._routing.routes
        images: dict[str, Reading] = {}
        for reading in readings:
            images.setdefault(reading.sha256, reading)
        return tuple(
            [
                explained(routes, await self._facts(reading, routes), sha256)
                for sha256, reading in list(images.items())[:most]
            ]
        )

    async def compared(self, readings: Iterable[Reading], other: Routes) -> AsyncIterator[Rerouted]:
        """Yield what the document in force and another one say of the images of these readings.

        The store is asked for the bytes of each DICOM image.
        """
        routes = self._routing.routes
        keywords = routes.rules.keywords | other.rules.keywords
        seen: set[tuple[str, str]] = set()
        for reading in readings:
            image = (reading.study_id, reading.sha256)
            if image in seen:
                continue
            seen.add(image)
            facts = await self._facts(reading, routes, keywords)
            sender = facts.sender
            there = replace(
                facts,
                tenant=other.tenant_of(sender),
                ae_title=_ae_title(other, facts.route, sender),
            )
            yield Rerouted(
                reading,
                routes.rules.decide(facts),
                other.rules.decide(there),
            )

    async def _facts(
        self, reading: Reading, routes: Routes, keywords: Collection[str] | None = None
    ) -> Facts:
        dicom: dict[str, tuple[str, ...]] = {}
        keywords = routes.rules.keywords if keywords is None else keywords
        if keywords and reading.sop_instance_uid is not None:
            try:
                data = await self._results.image(reading)
                dicom = await self._imaging.dicom_values("image", data, keywords)
            except RadStreamError:  # told where the image itself is asked for
                dicom = {}
        route, sender = reading.route or "", reading.sender or ""
        return Facts(
            metadata=reading.metadata,
            received_at=reading.received_at,
            route=route,
            sender=sender,
            tenant=routes.tenant_of(sender),
            ae_title=_ae_title(routes, route, sender),
            dicom=dicom,
        )


def _ae_title(routes: Routes, route: str, caller: str) -> str | None:
    sender = routes.senders.named(caller) if route == Route.DIMSE.value else None
    return None if sender is None else sender.ae_title
