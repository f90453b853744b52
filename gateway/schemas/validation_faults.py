"""Faults of documents, settings and parameters: pydantic's, in RadStream's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gateway.errors import Fault
from gateway.schemas.patterns import SENTENCES
from gateway.schemas.strict_json import pointer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import ValidationError

_OBJECT = "must be an object"
_LIST = "must be a list"
_WHOLE_NUMBER = "must be a whole number"
_TRUE_OR_FALSE = "must be true or false"
_TIME = "must be a time that there is, such as 2026-01-31T08:15:00Z"
_DATE = "must be a date such as 2026-01-31"
_DURATION = "must be a duration such as PT15M"
_NETWORK = "must be an IP address or network"

# By pydantic's type of the fault; what it quotes of the fault's context stands in braces.
_SENTENCES = {
    "missing": "is required",
    "extra_forbidden": "is not a field of this object",
    "value_error": "{error}",
    "assertion_error": "{error}",
    "json_invalid": "is not JSON: {error}",
    "json_type": "must be JSON",
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "dict_type": _OBJECT,
    "union_tag_not_found": "needs {discriminator}",
    "union_tag_invalid": "has none of these as its {discriminator}: {expected_tags}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "int_type": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": _WHOLE_NUMBER,
    "int_from_float": _WHOLE_NUMBER,
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "bool_type": _TRUE_OR_FALSE,
    "bool_parsing": _TRUE_OR_FALSE,
    "string_type": "must be text",
    "path_type": "must be a path",
    "timezone_aware": "must have a zone, such as 2026-01-31T08:15:00Z",
    "time_delta_type": _DURATION,
    "time_delta_parsing": _DURATION,
    "ip_v4_network": _NETWORK,
    "ip_v6_network": _NETWORK,
}

# Who a message of pydantic's is about; here the pointer says it.
_SUBJECT = re.compile(r"^\w+ (?=should )")


def faults_of(error: ValidationError) -> tuple[Fault, ...]:
    """Return every fault with its JSON pointer; none quotes what was validated."""
    found = error.errors(include_input=False)
    return tuple(Fault(pointer(item["loc"]), sentence(item)) for item in found)


def sentence(item: Mapping[str, Any]) -> str:
    """Return what is wrong, without its subject.

    Parameters
    ----------
    item
        One of the errors of a `ValidationError`, or of FastAPI's of parameters.
    """
    kind, context = item["type"], item.get("ctx", {})
    if kind == "string_pattern_mismatch" and context["pattern"] in SENTENCES:
        return SENTENCES[context["pattern"]]
    if kind in _SENTENCES:
        return _SENTENCES[kind].format_map(context)
    if kind.startswith("datetime_"):
        return _TIME
    if kind.startswith("date_"):
        return _DATE
    told = _SUBJECT.sub("", str(item["msg"])).replace("should ", "must ")
    return told.replace(" after validation", "")
