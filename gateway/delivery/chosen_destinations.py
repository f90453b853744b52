"""Destinations of a study, as the rules of the routing document choose them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.results.view import is_withheld, shown

if TYPE_CHECKING:
    from gateway.results.documents import StudyRecord
    from gateway.results.store import ResultStore
    from gateway.routing.in_force import Routing
    from gateway.schemas.routing_destinations import Destination
    from gateway.studies.routing_facts import RoutingExplanations


class ChosenDestinations:
    """Destinations of studies: all, unless a rule names one.

    Parameters
    ----------
    routing
        Has rules and destinations.
    explanations
        Tells what the rules say of stored images.
    results
        The studies.
    """

    def __init__(
        self, routing: Routing, explanations: RoutingExplanations, results: ResultStore
    ) -> None:
        self._routing = routing
        self._explanations = explanations
        self._results = results

    async def of(self, record: StudyRecord) -> tuple[Destination, ...]:
        """Return the destinations of a study: those of the rules for any image that stands.

        A study of which all is withheld has none.
        """
        document = self._routing.document
        otherwise = () if document.otherwise is None else (document.otherwise,)
        by_rules = any(part.destinations for part in (*document.rules, *otherwise))
        if not by_rules and not is_withheld(record):
            return document.destinations
        readings = shown([*await self._results.earlier(record), *record.readings], record.standing)
        if not by_rules:
            return document.destinations if readings else ()
        found = await self._explanations.of(readings)
        names = {name for image in found for name in image.destinations}
        return tuple(each for each in document.destinations if each.name in names)

    def named(self, name: str) -> tuple[Destination, ...]:
        """Return the destination of this name alone; nothing where there is none."""
        return tuple(each for each in self._routing.document.destinations if each.name == name)

    @property
    def are_any(self) -> bool:
        """Return True if there are destinations."""
        return bool(self._routing.document.destinations)
