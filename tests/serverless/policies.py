"""Policies of the stack's roles, with each reference resolved to a text, and what they allow."""

import fnmatch
import re
from typing import Any

from tests.support.aws import Package

PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
}


def resolved(value: Any, stack: Package) -> Any:
    """The value with Ref, GetAtt and Sub replaced: buckets and tables by name, others by id."""
    match value:
        case list():
            return [resolved(item, stack) for item in value]
        case {"Ref": str(name)}:
            return _name(name, stack)
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return _arn(name, stack)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^!}]+)\}", lambda found: _named(found[1], stack), text)
        case dict():
            return {key: resolved(item, stack) for key, item in value.items()}
        case _:
            return value


def _named(reference: str, stack: Package) -> str:
    name, _, attribute = reference.partition(".")
    return _arn(name, stack) if attribute == "Arn" else _name(name, stack)


def _arn(name: str, stack: Package) -> str:
    kind = stack.template["Resources"][name]["Type"]
    return f"arn:aws:s3:::{name}" if kind == "AWS::S3::Bucket" else f"arn:{name}"


def _name(name: str, stack: Package) -> str:
    resource = stack.template["Resources"].get(name, {})
    if resource.get("Type") == "AWS::Glue::Table":
        return str(resource["Properties"]["TableInput"]["Name"])
    return PSEUDO.get(name, name)


def grants(role: str, stack: Package) -> set[tuple[str, str]]:
    """Every pair of action and resource that a role's own policies allow."""
    return {
        (action, resource)
        for policy in stack.properties(role)["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in _listed(statement["Action"])
        for resource in _listed(resolved(statement["Resource"], stack))
    }


def may(role: str, action: str, resource: str, stack: Package) -> bool:
    """Whether a role may do this; conditions are passed over, as if each were met."""
    return any(
        action == granted and fnmatch.fnmatchcase(resource, pattern)
        for granted, pattern in grants(role, stack)
    )


def object_arn(table: dict[str, Any], stack: Package) -> str:
    """The ARN of an object that a Glue table has as a part of it."""
    location = resolved(table["TableInput"]["StorageDescriptor"]["Location"], stack)
    return f"arn:aws:s3:::{location.removeprefix('s3://')}day/part-0"


def table_arn(table: dict[str, Any]) -> str:
    """A Glue table's ARN."""
    name = table["TableInput"]["Name"]
    return f"arn:aws:glue:eu-central-1:123456789012:table/AnalyticsDatabase/{name}"


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
