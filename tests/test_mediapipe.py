"""MediaPipe loads without what nobody asks it for."""

from __future__ import annotations

import subprocess
import sys

LOADED = """
import sys
from vasari.generate.mediapipe import solutions
mediapipe = solutions()
assert "matplotlib" not in sys.modules
import matplotlib.pyplot
assert mediapipe.drawing_utils.plt.figure is matplotlib.pyplot.figure
"""


def test_plots_are_loaded_when_they_are_wanted() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
