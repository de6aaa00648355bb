"""Is the watermark read from what Vasari makes, and from nothing else?

    python benchmarks/watermark.py --portrait a.jpg --portrait b.png --unmarked 'clips/*.mp4'

Makes a short talking video of each portrait at 256 and 512 pixels, reads its watermark, re-encodes
it with libx264 at CRF 28 and reads it again. Then reads clips that carry no mark; with ``--search``
also as turned, scaled and cropped pictures, as `vasari verify` does, which takes some seconds a
clip. Needs the extra ``text``.
"""

from __future__ import annotations

import glob
import tempfile
from pathlib import Path

import av
import click

from vasari.generate.pipeline import generate
from vasari.generate.synthesis import speak
from vasari.native import filtered_stderr
from vasari.watermark.payload import format_identifier
from vasari.watermark.reading import read_video

SENTENCE = "Please believe me when I say that you should not believe me."
SIZES = (256, 512)
CRF = 28


@click.command()
@click.option("--portrait", "portraits", multiple=True, type=click.Path(path_type=Path))
@click.option("--unmarked", default="", help="Pattern of clips that carry no mark.")
@click.option("--most", default=200, show_default=True, help="Unmarked clips to read.")
@click.option("--search", is_flag=True, help="Search unmarked clips for other geometries.")
def main(portraits: tuple[Path, ...], unmarked: str, most: int, *, search: bool) -> None:
    """Print how many outputs are read, and how many clips are read by mistake."""
    with filtered_stderr(), tempfile.TemporaryDirectory() as name:
        jobs = [(portrait, size) for portrait in portraits for size in SIZES]
        read = [_outputs_read(portrait, size, Path(name)) for portrait, size in jobs]
        whole, again = (sum(column) for column in zip(*read, strict=True)) if read else (0, 0)
        print(f"outputs read: {whole} of {len(jobs)}; re-encoded at CRF {CRF}: {again}", flush=True)
        clips = sorted(glob.glob(unmarked, recursive=True))[:most]
        false = [clip for clip in clips if read_video(clip, transformed=search) is not None]
        print(f"unmarked clips read by mistake: {len(false)} of {len(clips)} {false or ''}")


def _outputs_read(portrait: Path, size: int, folder: Path) -> tuple[bool, bool]:
    """Whether the watermark of an output is read, and of its re-encoding."""
    output, again = folder / "output.mp4", folder / "again.mp4"
    made = generate(portrait, speak(SENTENCE), output, size=size)
    _encode_again(output, again)
    found = (read_video(file) for file in (output, again))
    first, second = (
        reading is not None and format_identifier(reading.identifier) == made.watermark
        for reading in found
    )
    return first, second


def _encode_again(source: Path, target: Path) -> None:
    """Decode the picture and encode it with libx264 at CRF."""
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        picture = reader.streams.video[0]
        stream = writer.add_stream("libx264", rate=picture.average_rate, options={"crf": str(CRF)})
        stream.width, stream.height, stream.pix_fmt = picture.width, picture.height, "yuv420p"
        for frame in reader.decode(picture):
            writer.mux(stream.encode(frame.reformat(format="yuv420p")))
        writer.mux(stream.encode())


if __name__ == "__main__":
    main()
