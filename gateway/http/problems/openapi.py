"""Problem responses in the API's OpenAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateway.http.problems.examples import example_of
from gateway.problems import KINDS, problem_of
from gateway.schemas.problem import PROBLEM_MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gateway import errors


def add_documented(response: dict[str, Any], more: Mapping[str, Any]) -> None:
    """Add the problems of another OpenAPI response to one made by `documented`."""
    examples = response["content"][PROBLEM_MEDIA_TYPE]["examples"]
    for name, example in more["content"][PROBLEM_MEDIA_TYPE]["examples"].items():
        if name not in examples:
            examples[name] = example
            response["description"] += f"; {example['summary']}"
    if "headers" in more:
        response.setdefault("headers", {}).update(more["headers"])


def documented(*kinds: type[errors.RadStreamError]) -> dict[int | str, dict[str, Any]]:
    """Return OpenAPI responses for these errors, grouped by status."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for error in kinds:
        kind = KINDS[error]
        example = problem_of(example_of(error), "8e9341485cd7d503d3932dc54a37fc54")
        response = by_status.setdefault(
            kind.status,
            {
                "description": "",
                "content": {
                    PROBLEM_MEDIA_TYPE: {
                        "schema": {"$ref": "#/components/schemas/Problem"},
                        "examples": {},
                    }
                },
            },
        )
        response["content"][PROBLEM_MEDIA_TYPE]["examples"][kind.name] = {
            "summary": kind.title,
            "value": example.model_dump(exclude_none=True),
        }
        response["description"] = "; ".join(filter(None, [response["description"], kind.title]))
        if kind.retry_after_s is not None:
            response["headers"] = {
                "Retry-After": {
                    "description": "Seconds after which sending again may help.",
                    "schema": {"type": "integer"},
                }
            }
    return by_status
