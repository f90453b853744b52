"""An acceptance page as one HTML file that needs nothing beside it."""

from __future__ import annotations

import string
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import quote

from gateway.acceptance.plots import reliability, roc
from gateway.acceptance.statistics import ENOUGH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gateway.schemas.acceptance import (
        AcceptancePage,
        Difference,
        Interval,
        LabelFigures,
        MeasuredVersion,
        OperatingPoint,
    )

NOT_ENOUGH = "not enough data"
_FEW = f"<p>Fewer than {ENOUGH} studies: {NOT_ENOUGH} for figures.</p>"


def page(document: AcceptancePage, *, is_signed: bool, json_sha256: str, studies: str) -> str:
    """Return the page.

    Parameters
    ----------
    document
        Its content.
    is_signed
        True if a signature is written beside it.
    json_sha256
        SHA-256 of the same page as JSON.
    studies
        Way from the page to the folder of the studies, which it has links to.
    """
    template = files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    accepted = document.accepted
    about = (
        f"{accepted.title}. {document.studies:,} labelled studies of this site, read by the "
        f"gateway as any study is, {document.made_at:%Y-%m-%d %H:%M} UTC. Intervals are at 95 %."
    )
    signature = (
        "<p>Signed: the file of this name and <code>.sig</code> has the Ed25519 signature; "
        "<code>radstream accept --verify</code> checks it.</p>"
        if is_signed
        else '<p class="alert">Not signed: no key was given.</p>'
    )
    return string.Template(template).substitute(
        name=escape(accepted.name),
        version=escape(accepted.version),
        about=escape(about),
        signature=signature,
        sections="\n".join(_sections(document, studies)),
        provenance=_provenance(document, json_sha256),
    )


def _sections(document: AcceptancePage, studies: str) -> Iterator[str]:
    if document.differences:
        yield from _comparison(document)
    for version in document.versions:
        reference = f"{version.name} {version.version}"
        yield f"<h2>{escape(reference)}</h2>"
        yield _table(
            ("studies", "with a verdict", "not applicable", "failed"),
            [
                (
                    f"{document.studies:,}", f"{version.read:,}",
                    f"{len(version.not_applicable):,}", f"{len(version.failed):,}",
                )
            ],
        )  # fmt: skip
        for label in version.labels:
            yield from _label(label, studies)
        yield from _without_verdict(version, studies)


def _label(label: LabelFigures, studies: str) -> Iterator[str]:
    yield f"<h3>{escape(label.label)}: {label.studies:,} studies, {label.positive:,} with it</h3>"
    if not label.is_enough:
        yield _FEW
        return
    point = label.operating_point
    yield _table(
        ("AUC", "calibration error (ECE)", "Brier score"),
        [(told(label.auc), told(label.calibration_error), _number(label.brier))],
    )
    yield f"<h3>Operating point, threshold {point.threshold:g}</h3>"
    yield _points([("of the contract", point)])
    yield _table(
        ("prevalence", "positive predictive value", "negative predictive value"),
        [
            (
                f"{each.prevalence:.0%}", _number(each.positive_predictive_value),
                _number(each.negative_predictive_value),
            )
            for each in label.by_prevalence
        ],
    )  # fmt: skip
    if label.proposals:
        yield "<h3>Threshold proposals</h3>"
        yield "<p>Chosen on these studies, so they look better here than they are: prove one on "
        yield "others, as a new version of the model, before it serves.</p>"
        yield _points([(each.aim, each) for each in label.proposals])
    yield '<div class="plots">'
    if label.roc:
        yield f"<figure><figcaption>ROC curve</figcaption>{roc(label)}</figure>"
    yield f"<figure><figcaption>Calibration</figcaption>{reliability(label)}</figure></div>"
    yield "<h3>By sex, age, view, device and sender</h3>"
    yield _subgroups(label)
    yield "<h3>Discordant studies</h3>"
    yield _linked_table(
        ("verdict", "number", "studies"),
        [
            (verdict, f"{len(names):,}", ", ".join(_link(name, studies) for name in names))
            for verdict, names in (("missed", label.missed), ("overcalled", label.overcalled))
        ],
    )


def _points(points: Iterable[tuple[str, OperatingPoint]]) -> str:
    return _table(
        (
            *("threshold", "", "sensitivity", "specificity"),
            *("positive predictive value", "negative predictive value", "TP, FN, FP, TN"),
        ),
        [
            (
                f"{point.threshold:.4g}", name, told(point.sensitivity), told(point.specificity),
                told(point.positive_predictive_value), told(point.negative_predictive_value),
                _counts(point),
            )
            for name, point in points
        ],
    )  # fmt: skip


def _counts(point: OperatingPoint) -> str:
    found = point.true_positive, point.false_negative
    left = point.false_positive, point.true_negative
    return ", ".join(map(str, (*found, *left)))


def _subgroups(label: LabelFigures) -> str:
    return _table(
        (
            *("by", "", "studies", "with it", "AUC", "sensitivity", "specificity"),
            "calibration error (ECE)",
        ),
        [
            (
                each.attribute, each.value, f"{each.studies:,}", f"{each.positive:,}",
                *(
                    map(
                        told,
                        (each.auc, each.sensitivity, each.specificity, each.calibration_error),
                    )
                    if each.is_enough
                    else (NOT_ENOUGH, "", "", "")
                ),
            )
            for each in label.subgroups
        ],
    )  # fmt: skip


def _without_verdict(version: MeasuredVersion, studies: str) -> Iterator[str]:
    for title, listed in (("Not applicable", version.not_applicable), ("Failed", version.failed)):
        if listed:
            yield f"<h3>{title}</h3>"
            rows = [(_link(each.study, studies), escape(each.reason)) for each in listed]
            yield _linked_table(("study", "reason"), rows)


def _link(study: str, studies: str) -> str:
    """Return a link to a study's file or folder, as HTML."""
    return f'<a href="{escape(quote(f"{studies}/{study}"))}">{escape(study)}</a>'


def _comparison(document: AcceptancePage) -> Iterator[str]:
    first, second = (f"{each.name} {each.version}" for each in document.versions)
    yield f"<h2>{escape(first)} and {escape(second)}</h2>"
    yield _table(
        (
            *("label", "studies", f"AUC of {second} less that of {first}"),
            *(f"right by {first} alone", f"right by {second} alone"),
        ),
        [_differs(each) for each in document.differences],
    )


def _differs(each: Difference) -> tuple[str, ...]:
    numbers = f"{each.studies:,}", told(each.auc)
    return each.label, *numbers, f"{each.only_first_right:,}", f"{each.only_second_right:,}"


def _provenance(document: AcceptancePage, json_sha256: str) -> str:
    rows = [
        ("gateway, version", document.gateway_version),
        ("files of the gateway, SHA-256", document.gateway_sha256 or "not stated"),
        ("data, SHA-256", document.data_sha256),
        ("labels, SHA-256", document.labels_sha256),
    ]
    for version in document.versions:
        name = f"{version.name} {version.version}"
        rows += [
            (f"contract of {name}, SHA-256", version.contract_sha256),
            (f"files of {name}, SHA-256", version.model_sha256 or "not stated"),
        ]
    return _table(("", ""), [*rows, ("this page as JSON, SHA-256", json_sha256)])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return _linked_table(head, [[escape(cell) for cell in row] for row in rows])


def _linked_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose cells are HTML already."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    top = f"<thead><tr>{columns}</tr></thead>" if any(head) else ""
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"


def told(interval: Interval | None) -> str:
    """Return a figure with its interval as a person reads it."""
    if interval is None:
        return "none"
    return f"{interval.value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
