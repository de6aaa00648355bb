"""Inner loops, compiled by Numba so that the processor's vectors are used.

>>> import numpy as np
>>> from vasari.compiled import kernel
>>> @kernel(cache=False)
... def swap(values, order, result):
...     for i in range(len(order)):
...         result[i] = values[order[i]]
>>> found = np.empty(2)
>>> swap(np.array([3.0, 5.0]), np.array([1, 0], np.uint32), found)
>>> found
array([5., 3.])
"""

from __future__ import annotations

import functools

import numba
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class _Apart(CompilerBase):  # type: ignore[misc]  # Numba has no types
    """Compiles for arrays that do not overlap.

    Where a loop reads at places that it has computed, no test at run time could show that it does
    not read what it has just written, and it would not be vectorised.
    """

    def define_pipelines(self):  # type: ignore[no-untyped-def]
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


# A function whose array arguments do not overlap where any is changed; its code is kept on disk.
kernel = functools.partial(numba.njit, cache=True, nogil=True, pipeline_class=_Apart)
