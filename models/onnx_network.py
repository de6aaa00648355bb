"""Networks kept as ONNX, run on the processor by ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from vasari.errors import VasariError

Float32Array = npt.NDArray[np.float32]

ERRORS_ONLY = 3  # severity from which ONNX Runtime writes to standard error


class OnnxNetwork:
    """A network with one input and one output, on one thread: who calls it keeps the cores busy.

    Args:
        model: an ONNX file's bytes.
        name: what a user knows it by, for errors.

    Raises:
        VasariError: they are no ONNX model, or one of newer operators than are known.
    """

    def __init__(self, model: bytes, name: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's have no base of their own
            first = str(error).partition("\n")[0]
            raise VasariError(f"{name} cannot be read as ONNX: {first}") from error
        self._input = self._session.get_inputs()[0].name

    def __call__(self, values: Float32Array) -> Float32Array:
        """What the network answers to its input."""
        (answer,) = self._session.run(None, {self._input: values})
        return np.asarray(answer, np.float32)
