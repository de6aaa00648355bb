"""MediaPipe, loaded when first used, with a plain word if the system lacks a library."""

from __future__ import annotations

import os
import warnings
from functools import lru_cache
from typing import Any

from vasari.errors import VasariError


class MissingLibraryError(VasariError):
    """A shared library of the operating system is missing."""


@lru_cache(maxsize=1)
def solutions() -> Any:
    """The module ``mediapipe.solutions``: face detection, FaceMesh, selfie segmentation.

    Raises:
        MissingLibraryError: OpenCV's wheel with a window system was installed on a machine that
            has none.
    """
    # Read by the native code when it loads: 2 keeps errors and drops start-up chatter.
    os.environ.setdefault("GLOG_minloglevel", "2")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its generated protobuf code uses deprecated calls
        try:
            import mediapipe
        except ImportError as error:
            raise MissingLibraryError(
                f"OpenCV cannot load ({error}); install the Debian packages libgl1 and "
                "libglib2.0-0, or opencv-contrib-python-headless in place of opencv-contrib-python"
            ) from error
    return mediapipe.solutions
