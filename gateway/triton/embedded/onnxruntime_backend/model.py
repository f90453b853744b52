"""Serves ONNX models as Triton's own onnxruntime backend does, inside its python backend.

Triton runs this file for every model with `backend: "onnxruntime"` when the backend directory
holds it as `onnxruntime/model.py`. It runs in Triton's stub process and imports nothing of the
gateway. A `config.pbtxt` that loads here loads in the C++ backend too, and the other way round:
auto-completion, the checks at load and the session parameters follow that backend's source.

References
----------
https://github.com/triton-inference-server/onnxruntime_backend, src/onnxruntime.cc
https://github.com/triton-inference-server/python_backend, "Python based backends"
"""

import ctypes
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import triton_python_backend_utils as pb_utils

Tensors = dict[str, npt.NDArray[Any]]

# BYTES tensors are left out: the stub's own conversion, the only way in for them, reads nothing
# but zeros under numpy 2. All others travel as DLPack, which does not depend on numpy's ABI.
_DATA_TYPES = {
    "tensor(bool)": "TYPE_BOOL",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(int8)": "TYPE_INT8",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(float16)": "TYPE_FP16",
    "tensor(float)": "TYPE_FP32",
    "tensor(double)": "TYPE_FP64",
}

# The C++ backend's names for the levels, see its README.
_GRAPH_LEVELS = {"-1": "ORT_ENABLE_BASIC", "1": "ORT_ENABLE_EXTENDED", "2": "ORT_DISABLE_ALL"}

_TAKEN = ctypes.c_char_p(b"used_dltensor")  # lives as long as the module: capsules point to it

# Triton's default for `--backend-config=default-max-batch-size`.
_DEFAULT_MAX_BATCH_SIZE = 4


class TritonPythonModel:
    """One instance of an ONNX model; the name and the methods are what Triton's stub calls."""

    @staticmethod
    def auto_complete_config(auto_complete_model_config: Any) -> Any:
        """Return the configuration with what it leaves out read from the model.

        Nothing is added if inputs and outputs are both there.
        """
        config = auto_complete_model_config.as_dict()
        if config["input"] and config["output"]:
            return auto_complete_model_config
        session = _open_session(Path(pb_utils.get_model_dir()), config)
        if _can_batch(session):
            if config["max_batch_size"] == 0:
                auto_complete_model_config.set_max_batch_size(_DEFAULT_MAX_BATCH_SIZE)
            if config["max_batch_size"] > 1 and "sequence_batching" not in config:
                auto_complete_model_config.set_dynamic_batching()
        elif config["max_batch_size"] != 0:
            raise pb_utils.TritonModelException(
                f"model {config['name']}: max_batch_size is {config['max_batch_size']}, but the "
                "first dimension of an input or output is fixed"
            )
        batched = config["max_batch_size"] > 0
        # Not with add_input and add_output, which take no reshape.
        config["input"] = config["input"] or _describe(session.get_inputs(), batched=batched)
        config["output"] = config["output"] or _describe(session.get_outputs(), batched=batched)
        return auto_complete_model_config

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model and check its tensors against the configuration."""
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self._batched = config["max_batch_size"] > 0
        self._session = _open_session(folder, config)
        _check_tensors(config, self._session, batched=self._batched)
        self._reshaped = {o["name"]: o["dims"] for o in config["output"] if "reshape" in o}

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Return one response for each request, in their order; a request's error is its own."""
        if self._batched and len(requests) > 1:
            try:
                return self._run_together(requests)
            except Exception as error:  # noqa: BLE001 - whatever it was, one request is to blame
                pb_utils.Logger.log_warn(f"batch of {len(requests)} split after: {error}")
        return [self._run_alone(request) for request in requests]

    def _run_together(self, requests: Sequence[Any]) -> list[Any]:
        """Return one run for all requests, joined along the batch axis.

        The dynamic batcher joins only requests whose shapes agree but for that axis.
        """
        inputs = [_read_inputs(request) for request in requests]
        rows = [len(next(iter(tensors.values()))) for tensors in inputs]
        joined = {name: np.concatenate([one[name] for one in inputs]) for name in inputs[0]}
        wanted = [set(request.requested_output_names()) for request in requests]
        outputs = self._run(joined, set().union(*wanted))
        responses = []
        for names, part in zip(wanted, _split(outputs, rows), strict=True):
            responses.append(self._respond({name: part[name] for name in names}))
        return responses

    def _run_alone(self, request: Any) -> Any:
        try:
            outputs = self._run(_read_inputs(request), set(request.requested_output_names()))
            return self._respond(outputs)
        except Exception as error:  # noqa: BLE001 - whatever it was, one request is to blame
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))

    def _run(self, inputs: Tensors, names: set[str]) -> Tensors:
        ordered = sorted(names)
        outputs = self._session.run(ordered, inputs)
        return dict(zip(ordered, outputs, strict=True))

    def _respond(self, outputs: Tensors) -> Any:
        tensors = []
        for name, array in outputs.items():
            if dims := self._reshaped.get(name):
                array = array.reshape((len(array), *dims) if self._batched else dims)  # noqa: PLW2901
            tensors.append(_to_tensor(name, array))
        return pb_utils.InferenceResponse(output_tensors=tensors)


def _open_session(folder: Path, config: dict[str, Any]) -> Any:
    """Return an ONNX Runtime session on the CPU for the model file in `folder`."""
    # Not above: it takes a second, which the process that only completes a configuration spends
    # for nothing at each load. A process that dies in that time holds up its load for ever.
    import onnxruntime as ort  # noqa: PLC0415

    parameters = {key: value["string_value"] for key, value in config["parameters"].items()}
    options = ort.SessionOptions()
    # 0 leaves the number to ONNX Runtime: a thread for each core, and they spin while they wait.
    # Beside the gateway's own image work that doubles the CPU time of an image and makes it late,
    # so unlike the C++ backend this one takes a single thread unless it is told otherwise.
    options.intra_op_num_threads = int(parameters.get("intra_op_thread_count", 1))
    options.inter_op_num_threads = int(parameters.get("inter_op_thread_count", 0))
    if int(parameters.get("execution_mode", 0)) == 1:
        options.execution_mode = ort.ExecutionMode.ORT_PARALLEL
    options.enable_cpu_mem_arena = _as_bool(parameters.get("enable_mem_arena", "true"))
    options.enable_mem_pattern = _as_bool(parameters.get("enable_mem_pattern", "true"))
    options.log_severity_level = 4  # an error is raised too, and Triton or the response tells it
    level = config.get("optimization", {}).get("graph", {}).get("level", 0)
    options.graph_optimization_level = getattr(
        ort.GraphOptimizationLevel, _GRAPH_LEVELS.get(str(level), "ORT_ENABLE_ALL")
    )
    path = folder / (config["default_model_filename"] or "model.onnx")
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _as_bool(text: str) -> bool:
    return text.lower() in {"1", "true"}


def _dims(tensor: Any) -> list[int]:
    """Return the model's shape as Triton writes it: -1 where any size will do."""
    return [dim if isinstance(dim, int) else -1 for dim in tensor.shape]


def _data_type(tensor: Any) -> str:
    if tensor.type not in _DATA_TYPES:
        raise pb_utils.TritonModelException(f"tensor {tensor.name}: {tensor.type} is not served")
    return _DATA_TYPES[tensor.type]


def _can_batch(session: Any) -> bool:
    shapes = [_dims(tensor) for tensor in (*session.get_inputs(), *session.get_outputs())]
    return all(shape and shape[0] == -1 for shape in shapes)


def _describe(tensors: Sequence[Any], *, batched: bool) -> list[dict[str, Any]]:
    """Return the tensors as entries of the configuration, which does not mention the batch axis."""
    entries = []
    for tensor in tensors:
        dims = _dims(tensor)[1:] if batched else _dims(tensor)
        entry = {"name": tensor.name, "data_type": _data_type(tensor), "dims": dims or [1]}
        if batched and not dims:  # Triton has no notation for a single number
            entry["reshape"] = {"shape": []}
        entries.append(entry)
    return entries


def _check_tensors(config: dict[str, Any], session: Any, *, batched: bool) -> None:
    """Raise TritonModelException where configuration and model contradict each other."""
    given, expected = len(config["input"]), len(session.get_inputs())
    if given != expected:
        raise pb_utils.TritonModelException(
            f"configuration expects {given} inputs, model provides {expected}"
        )
    for kind, tensors in (("input", session.get_inputs()), ("output", session.get_outputs())):
        by_name = {tensor.name: tensor for tensor in tensors}
        for entry in config[kind]:
            tensor = by_name.get(entry["name"])
            if tensor is None:
                raise pb_utils.TritonModelException(
                    f"unexpected inference {kind} '{entry['name']}', "
                    f"allowed are: {', '.join(by_name)}"
                )
            _check_tensor(entry, tensor, batched=batched)


def _check_tensor(entry: dict[str, Any], tensor: Any, *, batched: bool) -> None:
    declared = list(entry["reshape"]["shape"] if "reshape" in entry else entry["dims"])
    if batched:
        declared.insert(0, -1)
    dims = _dims(tensor)
    fits = len(dims) == len(declared) and all(
        size in {-1, wanted} for size, wanted in zip(dims, declared, strict=True)
    )
    if not fits or (batched and dims[0] != -1):
        raise pb_utils.TritonModelException(
            f"tensor '{tensor.name}': the model expects shape {dims}, the configuration gives "
            f"{declared} (-1 at the front is the batch)"
        )
    if entry["data_type"] != _data_type(tensor):
        raise pb_utils.TritonModelException(
            f"tensor '{tensor.name}': the model expects {_data_type(tensor)}, "
            f"the configuration gives {entry['data_type']}"
        )


def _read_inputs(request: Any) -> Tensors:
    """Return the request's tensors by name: read-only views of Triton's shared memory."""
    return {tensor.name(): np.from_dlpack(tensor) for tensor in request.inputs()}


def _split(outputs: Tensors, rows: list[int]) -> Iterator[Tensors]:
    """Yield the outputs cut along the batch axis, `rows[i]` of them for request i."""
    start = 0
    for count in rows:
        yield {name: array[start : start + count] for name, array in outputs.items()}
        start += count


def _to_tensor(name: str, array: npt.NDArray[Any]) -> Any:
    capsule = array.__dlpack__()
    tensor = pb_utils.Tensor.from_dlpack(name, capsule)
    # The stub marks the capsule as taken with a name of its own; without the name that DLPack
    # prescribes numpy prints a traceback for every tensor.
    ctypes.pythonapi.PyCapsule_SetName(ctypes.py_object(capsule), _TAKEN)
    return tensor
