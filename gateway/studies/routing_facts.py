"""Facts of images, as the rules of the routing document ask for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.errors import RadStreamError
from gateway.routing.conditions import Facts
from gateway.routing.explain import explained
from gateway.studies.study import Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gateway.results.documents import Reading
    from gateway.results.store import ResultStore
    from gateway.routing.in_force import Routes, Routing
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
        ae_title=_ae_title(routes, study.route.value, study.caller),
        dicom=dicom,
    )


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

    async def _facts(self, reading: Reading, routes: Routes) -> Facts:
        dicom: dict[str, tuple[str, ...]] = {}
        if routes.rules.keywords and reading.sop_instance_uid is not None:
            try:
                data = await self._results.image(reading)
                dicom = await self._imaging.dicom_values("image", data, routes.rules.keywords)
            except RadStreamError:  # told where the image itself is asked for
                dicom = {}
        route, sender = reading.route or "", reading.sender or ""
        return Facts(
            metadata=reading.metadata,
            received_at=reading.received_at,
            route=route,
            sender=sender,
            ae_title=_ae_title(routes, route, sender),
            dicom=dicom,
        )


def _ae_title(routes: Routes, route: str, caller: str) -> str | None:
    sender = routes.senders.named(caller) if route == Route.DIMSE.value else None
    return None if sender is None else sender.ae_title
