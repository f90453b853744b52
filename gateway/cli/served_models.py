"""`radstream models list|show|load`: the models of a running gateway, as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import click

from gateway.cli.gateway_client import api_key_option, ask, gateway_client, url_option
from gateway.cli.json_output import json_option, tell
from gateway.cli.table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_HEAD = ("MODEL", "VERSION", "STATE", "ACCEPTED", "PARTS")


@click.command("list")
@url_option
@api_key_option
@json_option("each version whole, a line each")
def list_command(url: str, api_key: str | None, *, as_json: bool) -> None:
    """List the model versions of a gateway, with their parts in its rules."""
    with gateway_client(url, api_key) as client:
        models = ask(client, "GET", "/v1/models").json()["models"]
    _tell_versions(models, as_json=as_json)


@click.command("show")
@url_option
@api_key_option
@json_option("the version whole")
@click.argument("model", metavar="NAME[:VERSION]")
def show_command(model: str, *, url: str, api_key: str | None, as_json: bool) -> None:
    """Show a model version, by default the newest: its card, acceptance and agreement."""
    name, _, version = model.partition(":")
    with gateway_client(url, api_key) as client:
        if not version:
            listed = ask(client, "GET", "/v1/models").json()["models"]
            versions = [each["version"] for each in listed if each["name"] == name]
            if not versions:
                raise click.ClickException(
                    f"there is no model {name}: `radstream models list` has those that are there"
                )
            version = max(versions, key=int)
        document = ask(client, "GET", f"/v1/models/{name}/versions/{version}").json()
    tell(document, "\n".join(_lines(document)), as_json=as_json)


@click.command("load")
@url_option
@api_key_option
@json_option("each version whole, a line each")
@click.argument("name")
def load_command(name: str, *, url: str, api_key: str | None, as_json: bool) -> None:
    """Load the versions that joined a model's folder, and list all that it has then.

    The versions that are served already answer meanwhile. It reaches one gateway: where each has a
    Triton of its own, as in a cluster, roll them out instead. The gateway asks for
    the scope operate.
    """
    with gateway_client(url, api_key) as client:
        loaded = ask(client, "POST", f"/v1/models/{quote(name, safe='')}/load").json()["models"]
    _tell_versions(loaded, as_json=as_json)


def _tell_versions(models: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        for model in models:
            tell(model, "", as_json=True)
        return
    for line in table(_HEAD, [_row(model) for model in models]) or ["no models"]:
        click.echo(line)
    for model in models:
        if "reason" in model:
            click.echo(f"{model['name']} {model['version']}: {model['reason']}")


def _row(model: Mapping[str, Any]) -> tuple[str, ...]:
    accepted = {True: "yes", False: "no", None: "-"}[model.get("is_accepted")]
    parts = ", ".join(map(_part, model["parts"])) or "-"
    return model["name"], model["version"], model["state"], accepted, parts


def _part(part: Mapping[str, Any]) -> str:
    back = " rolled back" if part["is_rolled_back"] else ""
    return f"{part['mode']} {part['percent']:g} % of {part['rule']}{back}"


def _lines(model: Mapping[str, Any]) -> Iterator[str]:
    yield f"{model['name']} {model['version']}  {model['state']}"
    if "reason" in model:
        yield f"  {model['reason']}"
    contract = model.get("contract", {})
    for name in ("title", "summary", "disclaimer"):
        if contract.get(name):
            yield f"  {name}: {contract[name]}"
    for part in model["parts"]:
        yield f"  part: {_part(part)}"
    yield from _acceptance(model)
    for each in model["agreement"]:
        kappa = f", kappa {_interval(each['kappa'])}" if "kappa" in each else ""
        yield (
            f"  shadow {each['shadow']} beside {each['shown']}, {each['label']}: "
            f"{each['pairs']} pairs, only shown positive {each['only_shown']}, "
            f"only shadow positive {each['only_shadow']}{kappa}"
        )


def _acceptance(model: Mapping[str, Any]) -> Iterator[str]:
    accepted = model.get("acceptance")
    if accepted is None:
        yield "  acceptance: none under this contract"
        return
    yield (
        f"  acceptance: {accepted['accepted_by']}, {accepted['accepted_at']}, "
        f"signature {accepted['signature']}"
    )
    figures = accepted.get("figures", {"labels": ()})
    for label in figures["labels"]:
        point = label["operating_point"]
        told = [("AUC", label.get("auc"))]
        told += [(name, point.get(name)) for name in ("sensitivity", "specificity")]
        shown = ", ".join(f"{name} {_interval(each)}" for name, each in told if each)
        yield f"    {label['label']}, {label['studies']} studies: {shown or 'no figures'}"


def _interval(each: Mapping[str, float]) -> str:
    return f"{each['value']:.3f} ({each['low']:.3f} to {each['high']:.3f})"
