"""The golden image: proof, at load, that a model's contract holds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio.to_thread
import numpy as np

from gateway.errors import ContractError
from gateway.models.contracts import applicability_score, probabilities
from gateway.models.pixel_checks import unaccepted_pixels
from gateway.models.placement import call_for
from gateway.runtime.concurrency import together
from gateway.runtime.deadline import Deadline
from preprocess import Frame, Limits, PreprocessError, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gateway.models.placement import ModelCall
    from gateway.models.served_model import ServedModel
    from gateway.triton.protocol import InferenceServer


async def try_golden(
    server: InferenceServer, model: ServedModel, timeout_s: float, *, instances: int = 1
) -> None:
    """Process the golden image with the model, on every way a picture may take to it.

    Once for each instance: a calm Triton gives requests to its instances in turn, so that one of
    which the process died is found before a study meets it. A busy Triton, which takes longer than
    `timeout_s` for some of them, is not asked for the rest: its studies find the dead one.

    Parameters
    ----------
    timeout_s
        Seconds that one reading may take.
    instances
        Number of the model's instances.

    Raises
    ------
    ContractError
        The image cannot be read, a probability differs from the contract's by more than its
        tolerance, or the contract does not accept its pixels, or the model gives it no verdict.
    RadStreamError
        The model does not answer.
    """
    calls = await anyio.to_thread.run_sync(partial(_calls, model))
    whole = Deadline.after(timeout_s)
    for _ in range(instances):
        deadline = Deadline.after(timeout_s)
        await together(_try(server, model, call, deadline) for call in calls)
        if whole.remaining_s() == 0:
            return


async def _try(
    server: InferenceServer, model: ServedModel, call: ModelCall, deadline: Deadline
) -> None:
    output, score = model.contract.output, model.contract.output.applicability
    names = [output.name] if score is None else [output.name, score.tensor]
    answer = await server.infer(call.name, call.version, call.inputs, names, deadline=deadline)
    golden = model.contract.golden
    got = probabilities(model.contract, answer[output.name])
    for label, probability in zip(output.labels, got, strict=True):
        expected = golden.probabilities[label.label]
        if abs(probability - expected) > golden.tolerance:
            raise ContractError(
                f"the golden image gives {label.label} {probability:.4f} by {call.name}, "
                f"not {expected:.4f}"
            )
    scored = applicability_score(model.contract, answer)
    if score is not None and scored is not None and scored < score.threshold:
        raise ContractError(
            f"the golden image has an applicability score of {scored:.4f} by {call.name}, below "
            f"the threshold of {score.threshold:g}"
        )


def _calls(model: ServedModel) -> Sequence[ModelCall]:
    try:
        frame = decode(model.contract.golden.image, Limits())[0]
    except PreprocessError as error:
        raise ContractError(f"the golden image cannot be read: {error.reason}") from error
    first = call_for(model, frame)
    unaccepted = unaccepted_pixels(model.contract, frame, first.shown)
    if unaccepted is not None:
        raise ContractError(f"the golden image is not accepted: the model {unaccepted}")
    calls = [first]
    if model.ensembles:  # one for each type of samples: deeper pictures have a graph of their own
        calls.append(call_for(model, _deepened(frame)))
    return calls


def _deepened(frame: Frame) -> Frame:
    """Return the same picture in 16 bits."""
    factor = ((1 << 16) - 1) / frame.largest
    samples = np.round(frame.samples * factor).astype(np.uint16)
    return Frame(samples, 16, frame.rows, frame.columns)
