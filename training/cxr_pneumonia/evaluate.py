"""Recomputes every figure of the model card from the exported model; needs no torch.

The threshold comes from val alone, by a rule fixed before test was looked at.
"""

import argparse
import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from training.cxr_pneumonia.dataset import (
    CALIBRATION_SPOILINGS,
    SIDE,
    SPOILINGS,
    Split,
    as_input,
    blurred,
    jpeg,
    load_split,
    sharpened,
    spoil,
)
from training.cxr_pneumonia.inference import Classifier, sigmoid
from training.cxr_pneumonia.scoring import (
    Estimate,
    Figure,
    auc,
    balanced_accuracy,
    bootstrapped,
    brier,
    expected_calibration_error,
    sensitivity,
    spearman,
    specificity,
    threshold_for,
)

# A child with pneumonia called normal costs more than a normal picture read twice; below this the
# answer would not do even as a second look. Fixed before any test figure was computed.
LEAST_SENSITIVITY = 0.95

CELL = SIDE // 14  # pixels of the picture under one cell of the map

Report = dict[str, Any]


# Shares of pictures with pneumonia for which the card tells predictive values.
PREVALENCES = (0.05, 0.2, 0.5, 0.7)


def chosen_threshold(model: Classifier, val: Split, version: int) -> float:
    """Return the largest threshold that holds the sensitivity over val alone and with its copies.

    Cropped pictures are called pneumonia more often: pooled with them alone, val itself could fail.
    """
    names = CALIBRATION_SPOILINGS[version]
    copies = [model.probabilities(spoil(val.pictures, name)) for name in names]
    labels = np.tile(val.labels, len(copies))
    pooled = threshold_for(labels, np.concatenate(copies), LEAST_SENSITIVITY)
    return min(pooled, threshold_for(val.labels, copies[0], LEAST_SENSITIVITY))


def figures(split: Split, scores: NDArray[np.float64], threshold: float) -> dict[str, Estimate]:
    """The card's main figures over one split, each with its interval."""
    wanted: dict[str, Figure] = {
        "AUC": auc,
        "sensitivity": partial(sensitivity, threshold=threshold),
        "specificity": partial(specificity, threshold=threshold),
        "balanced accuracy": partial(balanced_accuracy, threshold=threshold),
        "ECE": expected_calibration_error,
        "Brier score": brier,
    }
    return {
        name: bootstrapped(figure, split.labels, scores, split.patients)
        for name, figure in wanted.items()
    }


def predictive_values(found: dict[str, Estimate]) -> dict[str, Report]:
    """Return what a positive and a negative answer are worth where pneumonia is this frequent."""
    hit, right = found["sensitivity"].value, found["specificity"].value
    return {
        f"{share:.0%}": {
            "positive": hit * share / (hit * share + (1 - right) * (1 - share)),
            "negative": right * (1 - share) / (right * (1 - share) + (1 - hit) * share),
        }
        for share in PREVALENCES
    }


def robustness(model: Classifier, test: Split, threshold: float) -> dict[str, Report]:
    """What each way of spoiling the test pictures does to the answers."""
    before = model.probabilities(test.pictures)
    table = {}
    for name in SPOILINGS:
        after = model.probabilities(spoil(test.pictures, name))
        table[name] = {
            "AUC": auc(test.labels, after),
            "AUC lost": auc(test.labels, before) - auc(test.labels, after),
            "balanced accuracy": balanced_accuracy(test.labels, after, threshold),
            "mean change": float(np.abs(after - before).mean()),
            "largest change": float(np.abs(after - before).max()),
            "answers changed": float(((after >= threshold) != (before >= threshold)).mean()),
        }
    return table


def shortcut(model: Classifier, test: Split) -> dict[str, float]:
    """How far file statistics alone, and the model without them, tell the labels apart.

    ``file size`` is the length of each picture's JPEG at quality 75, the known shortcut. Equalised:
    all pictures blurred (sigma 2) and stored at quality 50. Reversed: normal pictures are made
    coarse and pneumonia pictures crisp, the opposite of the published files. Without the lungs:
    the middle ten cells by ten are smoothed away, so that shoulders, neck and edges alone remain.
    """
    sizes = np.array([_jpeg_bytes(picture) for picture in test.pictures], dtype=np.float64)
    before = model.probabilities(test.pictures)
    equalised = spoil(test.pictures, "blurred (sigma 2), then JPEG quality 50")
    crisp_pneumonia = np.stack(
        [
            sharpened(picture, 1.0) if label else jpeg(blurred(picture, 1.0), 40)
            for picture, label in zip(test.pictures, test.labels, strict=True)
        ]
    )
    reversed_sizes = np.array([_jpeg_bytes(p) for p in crisp_pneumonia], dtype=np.float64)
    outside = test.pictures.copy()
    middle = np.s_[2 * CELL : 12 * CELL, 2 * CELL : 12 * CELL]
    for picture in outside:
        picture[middle] = blurred(picture, 32.0)[middle]
    normal, pneumonia = test.labels == 0, test.labels == 1
    return {
        "AUC of file size": auc(test.labels, -sizes),
        "AUC of the model": auc(test.labels, before),
        "AUC of the model, equalised": auc(test.labels, model.probabilities(equalised)),
        "AUC of file size, reversed": auc(test.labels, -reversed_sizes),
        "AUC of the model, reversed": auc(test.labels, model.probabilities(crisp_pneumonia)),
        "AUC of the model, without the lungs": auc(test.labels, model.probabilities(outside)),
        "rank correlation of probability with file size, normal": spearman(
            before[normal], sizes[normal]
        ),
        "rank correlation of probability with file size, pneumonia": spearman(
            before[pneumonia], sizes[pneumonia]
        ),
    }


def _jpeg_bytes(picture: NDArray[np.uint8]) -> int:
    return len(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 75])[1])


def explanation(model: Classifier, test: Split) -> dict[str, float]:
    """How far the logit falls when one of 16 windows of 3x3 cells is smoothed away.

    Mean over the pneumonia pictures, for the window where the map holds most evidence and for
    the other fifteen. A map that points at what the model used has the first well above the
    second.
    """
    pictures = test.pictures[test.labels == 1]
    logits, maps = model.run(as_input(pictures))
    falls_hot, falls_other = [], []
    for picture, logit, cells in zip(pictures, logits, maps, strict=True):
        corners = [(row, column) for row in (1, 4, 7, 10) for column in (1, 4, 7, 10)]
        smooth = blurred(picture, 16.0)
        covered = np.stack([picture] * len(corners))
        for copy, (row, column) in zip(covered, corners, strict=True):
            window = np.s_[row * CELL : (row + 3) * CELL, column * CELL : (column + 3) * CELL]
            copy[window] = smooth[window]
        falls = logit - model.run(as_input(covered))[0]
        evidence = [cells[row : row + 3, column : column + 3].sum() for row, column in corners]
        hottest = int(np.argmax(evidence))
        falls_hot.append(falls[hottest])
        falls_other.append(np.delete(falls, hottest).mean())
    return {
        "fall of the logit, hottest window smoothed": float(np.mean(falls_hot)),
        "fall of the logit, other windows smoothed": float(np.mean(falls_other)),
    }


def full_size(model: Classifier, samples: Path, data: Path) -> dict[str, Report]:
    """Answers to the full-size originals of the e2e split, shrunk as the data set's own were."""
    e2e = load_split(data, "e2e")
    answers = {}
    for name, label, copy in zip(e2e.names, e2e.labels, e2e.pictures, strict=True):
        with Image.open(samples / name) as original:
            small = original.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        both = model.probabilities(np.stack([np.asarray(small), copy]))
        answers[name] = {
            "pneumonia": bool(label),
            "probability": float(both[0]),
            "probability of the stored copy": float(both[1]),
        }
    return answers


def evaluate(path: Path, data: Path, samples: Path | None, version: int) -> Report:
    """Every figure of the card, ready for JSON."""
    model = Classifier(path)
    val, test = load_split(data, "val"), load_split(data, "test")
    threshold = chosen_threshold(model, val, version)
    logits, maps = model.run(as_input(test.pictures))
    report: Report = {
        "threshold": threshold,
        "val": figures(val, model.probabilities(val.pictures), threshold),
        "test": figures(test, sigmoid(logits), threshold),
        "sensitivity by kind": {
            kind: float((sigmoid(logits)[test.kinds == kind] >= threshold).mean())
            for kind in ("bacteria", "virus")
        },
        "robustness": robustness(model, test, threshold),
        "shortcut": shortcut(model, test),
        "explanation": explanation(model, test),
        "largest |mean of map - logit|": float(np.abs(maps.mean(axis=(1, 2)) - logits).max()),
        "model bytes": path.stat().st_size,
        "milliseconds a picture": model.milliseconds_each(),
    }
    report["predictive values"] = predictive_values(report["test"])
    if samples is not None:
        report["e2e"] = full_size(model, samples, data)
    return report


def plain(value: Any) -> Any:
    """The report in JSON's own types, numbers rounded to four decimals."""
    if isinstance(value, Estimate):
        return {name: round(number, 4) for name, number in asdict(value).items()}
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def print_report(report: Report) -> None:
    """Print the report as the tables of the model card."""
    print(f"threshold {report['threshold']:.2f}\n\n| | val | test |\n| --- | --- | --- |")
    for name, estimate in report["val"].items():
        print(f"| {name} | {estimate} | {report['test'][name]} |")
    table = report["robustness"]
    columns = list(table["untouched"])
    print(f"\n| test pictures | {' | '.join(columns)} |\n| --- {'| ---: ' * len(columns)}|")
    for name, row in table.items():
        print(f"| {name} | {' | '.join(f'{row[column]:.3f}' for column in columns)} |")
    for title in ("sensitivity by kind", "shortcut", "explanation"):
        print(f"\n| {title} | |\n| --- | ---: |")
        for name, value in report[title].items():
            print(f"| {name} | {value:.3f} |")
    print("\n| pneumonias | positive | negative |\n| ---: | ---: | ---: |")
    for share, values in report["predictive values"].items():
        print(f"| {share} | {values['positive']:.3f} | {values['negative']:.3f} |")
    for name, row in report.get("e2e", {}).items():
        print(name, *(f"{key} {value:.3f}" for key, value in row.items() if key != "pneumonia"))
    for name in ("largest |mean of map - logit|", "model bytes", "milliseconds a picture"):
        print(f"{name}: {report[name]:.6g}")


def main() -> None:
    """Evaluate, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--data", type=Path, required=True, help="folder of images.zip, labels.csv")
    parser.add_argument("--samples", type=Path, help="folder of the e2e split's full-size files")
    parser.add_argument("--json", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--version", type=int, choices=CALIBRATION_SPOILINGS, default=1)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    report = evaluate(arguments.model, arguments.data, arguments.samples, arguments.version)
    print_report(report)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(plain(report), indent=1) + "\n")


if __name__ == "__main__":
    main()
