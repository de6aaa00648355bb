"""MediaPipe, loaded when first used, with a plain word if the system lacks a library."""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

from vasari.native import explain_missing_library


@lru_cache(maxsize=1)
def solutions() -> Any:
    """The module ``mediapipe.solutions``: face detection, FaceMesh, selfie segmentation.

    Raises:
        MissingLibraryError: the system lacks a library that OpenCV or MediaPipe needs.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its generated protobuf code uses deprecated calls
        try:
            import mediapipe
        except ImportError as error:
            raise explain_missing_library(error) or error from error
    return mediapipe.solutions
