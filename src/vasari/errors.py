"""The errors that Vasari raises: one base class, one line each, no traceback for users."""

from __future__ import annotations


class VasariError(Exception):
    """Base class of every error that Vasari raises on purpose.

    The message is one line that names the input and what would be accepted. The command line
    prints it and exits with ``exit_code``.
    """

    exit_code: int = 1


class InputError(VasariError):
    """A file or an option that cannot be used as given."""

    exit_code = 2


class PortraitError(InputError):
    """An image that is no usable portrait: unreadable, no face, or a face that is too small."""


class SpeechError(InputError):
    """A sound that cannot be read, or a text that cannot be spoken."""


class ControlsError(InputError):
    """A control outside its range, or an unknown emotion."""


class MotionError(InputError):
    """A motion track that is malformed."""


class VideoError(InputError):
    """A video that cannot be read."""


class OutputError(VasariError):
    """A result that cannot be written: no such folder, no permission, no space left."""


class WatermarkError(InputError):
    """A picture or a payload that cannot be marked or read."""


class CredentialError(InputError):
    """A certificate chain or private key that cannot sign."""


class ProvenanceError(VasariError):
    """A manifest that could not be made or read."""
