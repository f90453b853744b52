"""Number of studies until monitoring notices a drift, and its false alarms without one.

    python -m bench.drift DATA MODEL_FOLDER [--null-streams 20] [--null-studies 20000]

Streams are drawn, with replacement, from pictures of the splits val and test of the data set in
DATA, every second one, and every sixth one for a drift of the pictures; each is read once by the
model of MODEL_FOLDER through `preprocess`, as the gateway reads it. Age, sex, device, hour, size
and exposure index are drawn beside. Ten studies come a minute. A stream with a drift is sound for
3,000 studies, of which the first 1,000 are the reference.
"""

import argparse
import datetime as dt
import secrets
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnxruntime

from gateway.models.build import newest_version
from gateway.models.config_file import parameters_of, read_config
from gateway.models.contract_versions import contract_of
from gateway.models.contracts import applicability_score, findings
from gateway.models.pixel_checks import unaccepted_pixels
from gateway.monitoring.counts import Tally
from gateway.monitoring.documents import ModelHealth
from gateway.monitoring.health import advanced
from gateway.schemas.reading_event import ReadingEvent
from preprocess import Frame, to_shown_tensor
from preprocess.statistics import tensor_statistics
from training.cxr_pneumonia.dataset import Picture, cropped, jpeg, load_split, scaled

if TYPE_CHECKING:
    from numpy.typing import NDArray

A_MINUTE = 10
SOUND = 3_000
MOST = 5_000
SEEDS = 10
_BEGIN = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)
_AGES = ("0", "1-5", "6-17")
_DEVICES = ("00000000", "00000001", "00000002", "000000ff")


@dataclass(frozen=True)
class Pool:
    """Readings to draw from: those of normal pictures, and those of pneumonia."""

    normal: Sequence[ReadingEvent]
    pneumonia: Sequence[ReadingEvent]


@dataclass(frozen=True)
class Drift:
    """A change of a stream.

    Parameters
    ----------
    share
        Share of the studies that have other pictures.
    picture
        Returns the other picture of a picture; None leaves it as it is.
    facts
        Shares of ages and devices, and the share of pneumonia, that differ.
    """

    share: float = 1.0
    picture: Callable[[Picture], Picture] | None = None
    facts: dict[str, Any] = field(default_factory=dict)


SOUND_FACTS: dict[str, Any] = {
    "prevalence": 0.3,
    "ages": (0.1, 0.8, 0.1),
    "devices": (0.5, 0.3, 0.2, 0.0),
}


def phantom(_: Picture) -> Picture:
    """Return a step wedge with a border, as constancy tests have one."""
    wedge = np.repeat(np.linspace(20, 235, 8).astype(np.uint8), 28)[None].repeat(224, axis=0)
    wedge[:20] = wedge[-20:] = 5
    return np.ascontiguousarray(wedge)


DRIFTS: dict[str, Drift] = {
    "gain: 15 % less": Drift(picture=partial(scaled, gain=0.85, gamma=1.0)),
    "crop: a tenth at each side": Drift(picture=partial(cropped, margin=22)),
    "inversion, of one study in ten": Drift(0.1, lambda picture: 255 - picture),
    "new device: a quarter of the studies": Drift(facts={"devices": (0.4, 0.2, 0.15, 0.25)}),
    "age shift: 10 % to 40 % of 6 years and more": Drift(facts={"ages": (0.1, 0.5, 0.4)}),
    "prevalence: 30 % to 50 %": Drift(facts={"prevalence": 0.5}),
    "lossy: JPEG of quality 10": Drift(picture=partial(jpeg, quality=10)),
    "wrong view: one study in ten turned by 90 degrees": Drift(
        0.1, lambda picture: np.ascontiguousarray(np.rot90(picture))
    ),
    "phantom: one study in twenty": Drift(0.05, phantom),
}


class Reader:
    """The model, run as the gateway runs it."""

    def __init__(self, folder: Path) -> None:
        version = newest_version(folder)
        self._contract = contract_of(parameters_of(read_config(folder)), version)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / version / "model.onnx"), sess_options=options
        )
        self._outputs = [output.name for output in self._session.get_outputs()]

    def event(self, picture: Picture) -> ReadingEvent:
        """Return the event of a picture's reading."""
        contract = self._contract
        frame, spec = Frame(picture, 8, *picture.shape), contract.input.spec()
        tensor, shown = to_shown_tensor(frame, spec)
        answer = self._session.run(self._outputs, {contract.input.name: tensor[None]})
        outputs: dict[str, NDArray[Any]] = dict(zip(self._outputs, answer, strict=True))
        (finding, *_) = findings(contract, outputs[contract.output.name])
        score, known = applicability_score(contract, outputs), contract.output.applicability
        is_like = score is None or known is None or score >= known.threshold
        applicable = is_like and unaccepted_pixels(contract, frame, shown) is None
        return reading_event(
            probability=finding.probability,
            threshold=finding.threshold,
            positive=finding.positive if applicable else None,
            applicable=applicable,
            **asdict(tensor_statistics(tensor, spec)),
        )


def reading_event(**fields: Any) -> ReadingEvent:
    """Return an event of a reading of a chest of 224 x 224 pixels."""
    return ReadingEvent(
        event_id=secrets.token_hex(16),
        occurred_at=_BEGIN,
        study_ref="0" * 32,
        image_ref="0" * 32,
        frame=1,
        model="cxr_pneumonia",
        model_version="1",
        mode="live",
        finding=1,
        label="pneumonia",
        view="AP",
        bits_stored=8,
        route="dimse",
        gateway_version="0.1.0",
        instance="bench",
        **fields,
    )


class Stream:
    """A stream of studies, drawn from pools, and what monitoring makes of it.

    Parameters
    ----------
    sound
        Readings of the pictures as they are.
    seed
        Of the draws.
    """

    def __init__(self, sound: Pool, seed: int) -> None:
        self._sound = sound
        self._generator = np.random.default_rng(seed)
        self._minutes = 0
        self.health = ModelHealth(model="cxr_pneumonia", version="1")
        self.alarms = 0

    def minute(self, drift: Drift | None = None, other: Pool | None = None) -> None:
        """Let a minute's studies come."""
        tally = Tally()
        for _ in range(A_MINUTE):
            tally.count(self._study(drift, other))
        before = self.health.alarms()
        self.health = advanced(
            self.health, _BEGIN + dt.timedelta(minutes=self._minutes), tally.counts()
        )
        self.alarms += len(self.health.alarms().keys() - before.keys())
        self._minutes += 1

    def _study(self, drift: Drift | None, other: Pool | None) -> ReadingEvent:
        draw = self._generator
        facts = SOUND_FACTS | (drift.facts if drift is not None else {})
        pool = self._sound
        if other is not None and drift is not None and draw.random() < drift.share:
            pool = other
        events = pool.pneumonia if draw.random() < facts["prevalence"] else pool.normal
        side = int(draw.choice((1500, 2000, 2500), p=(0.2, 0.6, 0.2)))
        return events[draw.integers(len(events))].model_copy(
            update={
                "age_band": _AGES[draw.choice(len(_AGES), p=facts["ages"])],
                "sex": "FM"[draw.integers(2)],
                "device": _DEVICES[draw.choice(len(_DEVICES), p=facts["devices"])],
                "hour": int(draw.integers(24)),
                "exposure_index": float(draw.lognormal(5.5, 0.4)),
                "rows": side,
                "columns": side,
            }
        )


def until_alarm(sound: Pool, drift: Drift, other: Pool | None, seed: int) -> tuple[int, str]:
    """Return the number of studies of a drift until its first alarm, and that alarm's signal.

    `MOST` and no signal if there is none.
    """
    stream = Stream(sound, seed)
    for _ in range(SOUND // A_MINUTE):
        stream.minute()
    known = set(stream.health.alarms())
    for number in range(1, MOST // A_MINUTE + 1):
        stream.minute(drift, other)
        if new := set(stream.health.alarms()) - known:
            return number * A_MINUTE, ", ".join(sorted(new))
    return MOST, ""


def false_alarms(sound: Pool, seed: int, studies: int) -> int:
    """Return the number of alarms of a stream without a drift."""
    stream = Stream(sound, seed)
    for _ in range(studies // A_MINUTE):
        stream.minute()
    return stream.alarms


def _pool(
    reader: Reader, pictures: Sequence[Picture], labels: Sequence[int], drift: Drift | None = None
) -> Pool:
    change = drift.picture if drift is not None and drift.picture is not None else np.asarray
    events: tuple[list[ReadingEvent], list[ReadingEvent]] = ([], [])
    for picture, label in zip(pictures, labels, strict=True):
        events[label].append(reader.event(np.ascontiguousarray(change(picture))))
    return Pool(*events)


def main() -> None:
    """Print the table of the drifts, and the false alarms."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--null-streams", type=int, default=20)
    parser.add_argument("--null-studies", type=int, default=20_000)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    splits = [load_split(arguments.data, name) for name in ("val", "test")]
    pictures = [picture for split in splits for picture in split.pictures]
    labels = [int(label) for split in splits for label in split.labels]
    reader = Reader(arguments.model)
    sound = _pool(reader, pictures[::2], labels[::2])
    print("| drift | studies until the alarm: median | most | signals of the first alarm |")
    print("|---|---:|---:|---|")
    for name, drift in DRIFTS.items():
        other = None if drift.picture is None else _pool(reader, pictures[::6], labels[::6], drift)
        found = [until_alarm(sound, drift, other, seed) for seed in range(SEEDS)]
        counts = sorted(count for count, _ in found)
        signals = sorted({signal for _, signals in found for signal in signals.split(", ")})
        print(f"| {name} | {int(np.median(counts))} | {counts[-1]} | {', '.join(signals)} |")
    alarms = [
        false_alarms(sound, 1000 + seed, arguments.null_studies)
        for seed in range(arguments.null_streams)
    ]
    print(f"\n{len(alarms)} streams of {arguments.null_studies} without a drift: {alarms}")


if __name__ == "__main__":
    main()
