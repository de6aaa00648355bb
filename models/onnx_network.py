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
        self._name = name
        try:
            self._session: Any = onnxruntime.InferenceSession(
                model, options, providers=["CPUExecutionProvider"]
            )
            (given,) = self._session.get_inputs()
        except Exception as error:  # ONNX Runtime's have no base of their own
            raise VasariError(f"{name} cannot be read as ONNX: {_first_line(error)}") from error
        self._input = given.name

    def __call__(self, values: Float32Array) -> Float32Array:
        """What the network answers to its input.

        Raises:
            VasariError: it wants an input of another shape, or gives more than one answer.
        """
        try:
            (answer,) = self._session.run(None, {self._input: values})
        except Exception as error:
            shape = " x ".join(map(str, values.shape))
            raise VasariError(f"{self._name} cannot take {shape}: {_first_line(error)}") from error
        return np.asarray(answer, np.float32)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
