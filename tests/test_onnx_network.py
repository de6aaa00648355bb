"""Networks kept as ONNX."""

from __future__ import annotations

import numpy as np
import pytest

from vasari.errors import VasariError
from vasari.models.onnx_network import OnnxNetwork
from vasari.models.touchup import shipped_model


def test_what_is_no_model_is_refused_in_one_line() -> None:
    with pytest.raises(VasariError, match="the test's network cannot be read as ONNX") as caught:
        OnnxNetwork(b"no model", "the test's network")
    assert "\n" not in str(caught.value)


def test_answers_as_opencv_does() -> None:
    import cv2

    looks = np.random.default_rng(0).random((3, 7, 40, 48)).astype(np.float32)
    other = cv2.dnn.readNetFromONNX(np.frombuffer(shipped_model(), np.uint8))
    other.setInput(looks)
    expected = other.forward()

    found = OnnxNetwork(shipped_model(), "the touch-up's network")(looks)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_an_input_that_it_cannot_take_is_named() -> None:
    network = OnnxNetwork(shipped_model(), "the test's network")
    with pytest.raises(VasariError, match="test's network cannot take 1 x 3 x 8 x 8") as caught:
        network(np.zeros((1, 3, 8, 8), np.float32))
    assert "\n" not in str(caught.value)
