"""The command line: one table of commands, each loaded only when it is called."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence

import click

from vasari.errors import VasariError
from vasari.lazy import Entry, LazyGroup
from vasari.native import explain_missing_library, filtered_stderr

# 128 + the signal's number, what a shell reports for a program that it stopped.
INTERRUPTED = 128 + signal.SIGINT
TERMINATED = 128 + signal.SIGTERM


COMMANDS = {
    "generate": Entry(
        "vasari.generate.command:generate", "Make a talking video from a portrait and speech."
    ),
    "track": Entry(
        "vasari.generate.track_command:track", "Turn the faces in videos into motion files."
    ),
    "live": Entry("vasari.generate.live_command:live", "Show an avatar that answers in real time."),
    "verify": Entry(
        "vasari.provenance.command:verify", "Say what a video's provenance proves, and what not."
    ),
    "detect": Entry(
        "vasari.detect.command:detect", "Say how likely the faces in files were generated."
    ),
    "credentials": Entry(
        "vasari.provenance.credentials_command:credentials",
        "Who signs your videos, and whose signatures you trust.",
    ),
    "watermark": Entry(
        "vasari.watermark.command:watermark", "Mark other videos and images; read the mark."
    ),
    "store": Entry(
        "vasari.provenance.store_command:store",
        "Manifests kept for when a file has lost its own.",
    ),
    "serve": Entry(
        "vasari.provenance.serve_command:serve",
        "Answer where clips come from: a page and an API.",
    ),
    "eval": Entry(
        "vasari.eval.evaluate_command:evaluate",
        "Measure lips, motion, pictures, marks and detectors.",
    ),
    "corpus": Entry("vasari.detect.corpus_command:corpus", "Make benchmarks for detectors."),
    "train": Entry("vasari.models.train_command:train", "Train the networks."),
    "contact-sheet": Entry(
        "vasari.eval.command:contact_sheet", "Draw frames of a video beside each other in a PNG."
    ),
}


@click.group(
    cls=LazyGroup, entries=COMMANDS, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="vasari")
def vasari() -> None:
    """Talking portraits that carry their own provenance.

    Every video that Vasari makes says that it was made: by a watermark in its frames and by a
    signed C2PA manifest. Neither can be switched off.
    """


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; errors become one line on stderr."""
    try:
        status = vasari.main(list(arguments), prog_name="vasari", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        click.echo(f"vasari: {error.format_message()}", err=True)
        return error.exit_code
    except click.Abort:
        click.echo("vasari: interrupted", err=True)
        return INTERRUPTED
    except VasariError as error:
        return _report(error)
    except ImportError as error:
        explained = explain_missing_library(error)
        if explained is None:
            raise
        return _report(explained)
    return status if isinstance(status, int) else 0


def _report(error: VasariError) -> int:
    """Print an error as one line."""
    click.echo(f"vasari: {' '.join(str(error).split())}", err=True)
    return error.exit_code


def main() -> None:
    """The entry point of the `vasari` program."""
    # An exception, unlike the signal itself, lets every stage clean up behind it.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(TERMINATED))
    with filtered_stderr():
        status = run(sys.argv[1:])
    sys.exit(status)
