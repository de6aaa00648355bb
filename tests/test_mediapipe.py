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

AT_ONCE = """
import threading
from concurrent.futures import ThreadPoolExecutor
from vasari.generate.mediapipe import solutions
start = threading.Barrier(8)
def load(_):
    start.wait()
    return solutions()
with ThreadPoolExecutor(8) as workers:
    assert len(set(workers.map(load, range(8)))) == 1
"""


def test_plots_are_loaded_when_they_are_wanted() -> None:
    subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)


def test_threads_load_it_at_once() -> None:
    subprocess.run([sys.executable, "-c", AT_ONCE], check=True, capture_output=True, text=True)
