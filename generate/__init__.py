"""From a portrait and a voice to the frames of a talking video.

The package can itself be called: ``vasari.generate(portrait, speech, output)``.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Generate(ModuleType):
    """The package under whose name its main function is called."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See `vasari.generate.pipeline.generate`."""
        from vasari.generate.pipeline import generate

        return generate(*args, **kwargs)


# A submodule and a function cannot share a name in `vasari`; a module whose class has __call__
# is both (Python data model, "Customizing module attribute access").
sys.modules[__name__].__class__ = _Generate
