"""What the watermark survives, what it costs, and how seldom chance looks like it.

    python -m vasari.eval.watermark robustness CLIP_OR_STILL ...
    python -m vasari.eval.watermark negatives CLIP_OR_STILL ...

A still is brought to life: its middle sways while its background stays, which is the hard case,
because the errors of a background that stays do not average out.
"""

from __future__ import annotations

import io
import math
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import cv2
import numpy as np
import numpy.typing as npt

from vasari.watermark.embedding import PSNR, Embedder
from vasari.watermark.evidence import fit, weigh
from vasari.watermark.frames import luma_of
from vasari.watermark.geometry import UPRIGHT, tried
from vasari.watermark.pattern import Pattern
from vasari.watermark.payload import new_identifier
from vasari.watermark.reading import SIGNIFICANCE, read_frames, read_video

Luma = npt.NDArray[np.uint8]
Picture = npt.NDArray[Any]
Clip = list[Luma]

FPS = 25
SIZE = 512  # pixels of the short side
STILLS = {".jpg", ".jpeg", ".png", ".webp"}
WILSON = 1.96  # for intervals of 95 %


# --- clips ---------------------------------------------------------------------------------------


def load(path: Path, seconds: float) -> Clip:
    """The luma of a clip or of a still that was brought to life, 512 pixels high or wide."""
    count = round(seconds * FPS)
    if path.suffix.lower() in STILLS:
        still = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        return list(swayed(_sized(16 + still * np.float32(219 / 255)), count))
    import av

    with av.open(str(path)) as container:
        frames = islice(container.decode(video=0), count)
        return [_sized(luma_of(frame)) for frame in frames]


def _sized(luma: Picture) -> Luma:
    """The picture with a short side of 512 pixels and even sides."""
    scale = SIZE / min(luma.shape)
    width, height = (round(side * scale / 2) * 2 for side in luma.shape[::-1])
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    resized = cv2.resize(luma.astype(np.float32), (width, height), interpolation=method)
    return _rounded(resized)


def _rounded(picture: Picture) -> Luma:
    """Levels as 8 bits."""
    levels: Luma = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    return levels


def swayed(still: Luma, count: int) -> Iterator[Luma]:
    """Frames of a still whose middle sways over a background that stays."""
    height, width = still.shape
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = np.hypot((columns / width - 0.5) / 0.28, (rows / height - 0.45) / 0.36)
    share = np.clip(1.6 - radius, 0, 1) ** 2
    for index in range(count):
        second = index / FPS
        right = share * width * (0.012 * math.sin(3.1 * second) + 0.004 * math.sin(10.7 * second))
        down = share * height * (0.008 * math.sin(2.5 * second) + 0.003 * math.sin(13.2 * second))
        yield cv2.remap(
            still, columns - right, rows - down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT
        )


def marked(clip: Clip, identifier: int, psnr: float) -> Clip:
    """A marked copy of a clip."""
    embedder = Embedder(identifier, *clip[0].shape, psnr=psnr)
    copies = [luma.copy() for luma in clip]
    for luma in copies:
        embedder.mark(luma)
    return copies


def encoded(clip: Clip, crf: int, codec: str = "libx264") -> bytes:
    """The clip as a file; its colours are grey, the mark is in the luma."""
    import av

    buffer = io.BytesIO()
    container_format = "webm" if codec.startswith("libvpx") else "mp4"
    with av.open(buffer, "w", format=container_format) as container:
        stream = container.add_stream(codec, rate=FPS, options=_options(codec, crf))
        height, width = (side // 2 * 2 for side in clip[0].shape)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        grey = np.full((height // 2, width), 128, np.uint8)
        for luma in clip:
            planes = np.vstack([luma[:height, :width], grey])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))
    return buffer.getvalue()


def _options(codec: str, crf: int) -> dict[str, str]:
    if codec == "libvpx-vp9":
        return {"crf": str(crf), "b": "0", "deadline": "realtime", "cpu-used": "6"}
    options = {"crf": str(crf), "preset": "veryfast"}
    return options | ({"x265-params": "log-level=error"} if codec == "libx265" else {})


def decoded(data: bytes) -> Clip:
    """The luma of a file's frames."""
    import av

    with av.open(io.BytesIO(data)) as container:
        return [np.array(frame.to_ndarray()[: frame.height]) for frame in container.decode(video=0)]


# --- attacks -------------------------------------------------------------------------------------


def _each(change: Callable[[Luma], Picture]) -> Callable[[Clip], Clip]:
    """An attack on each frame alone."""

    def attack(clip: Clip) -> Clip:
        return [_rounded(change(luma)) for luma in clip]

    return attack


def _scaled(share: float) -> Callable[[Clip], Clip]:
    return _each(
        lambda luma: cv2.resize(luma, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    )


def _cropped(share: float) -> Callable[[Clip], Clip]:
    def crop(luma: Luma) -> Luma:
        height, width = (round(side * share) for side in luma.shape)
        top, left = (round(side * (1 - share) * 0.4) for side in luma.shape)
        return luma[top : top + height, left : left + width]

    return _each(crop)


def _rotated(degrees: float) -> Callable[[Clip], Clip]:
    def rotate(luma: Luma) -> Picture:
        height, width = luma.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
        return np.asarray(cv2.warpAffine(luma, turn, (width, height), borderValue=16))

    return _each(rotate)


def _inset(luma: Luma) -> Picture:
    """The picture at half its size over a larger picture."""
    height, width = luma.shape
    rows, columns = np.mgrid[0:height, 0:width]
    around: Luma = (110 + 50 * np.sin(rows / 23) * np.sin(columns / 31)).astype(np.uint8)
    small = cv2.resize(luma, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    top, left = height // 10, width // 3
    around[top : top + small.shape[0], left : left + small.shape[1]] = small
    return around


def _captioned(luma: Luma) -> Picture:
    """The picture inside a border, with a caption over it."""
    framed = cv2.copyMakeBorder(luma, 40, 60, 30, 30, cv2.BORDER_CONSTANT, value=20)
    place = (40, framed.shape[0] - 90)
    text = "what they said today"
    return np.asarray(cv2.putText(framed, text, place, cv2.FONT_HERSHEY_DUPLEX, 1.2, 235, 2))


def _noisy(clip: Clip) -> Clip:
    rng = np.random.default_rng(0)
    return _each(lambda luma: luma + rng.normal(0, 8, luma.shape))(clip)


def _averaged(clip: Clip) -> Clip:
    """What all frames have in common beyond their shapes, taken away from each."""
    common = np.mean(
        [luma - cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 4) for luma in clip], 0
    )
    return _each(lambda luma: luma - common)(clip)


def _social(clip: Clip) -> Clip:
    """Reduced, at 30 frames a second, encoded at CRF 30."""
    at_30 = [clip[int(index * FPS / 30)] for index in range(int(len(clip) * 30 / FPS))]
    return decoded(encoded(_scaled(0.7)(at_30), 30))


def _plain(clip: Clip) -> Clip:
    return clip


# Name -> what is done to the clip, and the encoding after it: codec, CRF.
ATTACKS: dict[str, tuple[Callable[[Clip], Clip], str, int]] = {
    "H.264 CRF 18": (_plain, "libx264", 18),
    "H.264 CRF 23": (_plain, "libx264", 23),
    "H.264 CRF 28": (_plain, "libx264", 28),
    "H.264 CRF 33": (_plain, "libx264", 33),
    "H.264 CRF 38": (_plain, "libx264", 38),
    "H.265 CRF 28": (_plain, "libx265", 28),
    "VP9 CRF 35": (_plain, "libvpx-vp9", 35),
    "two encodings, 23 and 28": (lambda clip: decoded(encoded(clip, 23)), "libx264", 28),
    "1 s at CRF 28": (lambda clip: clip[:FPS], "libx264", 28),
    "JPEG q50": (
        _each(
            lambda luma: cv2.imdecode(
                cv2.imencode(".jpg", luma, [cv2.IMWRITE_JPEG_QUALITY, 50])[1],
                cv2.IMREAD_GRAYSCALE,
            )
        ),
        "libx264",
        18,
    ),
    "scale 0.75": (_scaled(0.75), "libx264", 23),
    "scale 0.5": (_scaled(0.5), "libx264", 23),
    "scale 0.35": (_scaled(0.35), "libx264", 23),
    "crop 80 %": (_cropped(0.8), "libx264", 23),
    "crop 60 %": (_cropped(0.6), "libx264", 23),
    "crop 40 %": (_cropped(0.4), "libx264", 23),
    "rotation 2": (_rotated(2), "libx264", 23),
    "rotation 10": (_rotated(10), "libx264", 23),
    "mirror": (_each(lambda luma: luma[:, ::-1]), "libx264", 23),
    "aspect 4:3 to 16:9": (
        _each(lambda luma: cv2.resize(luma, None, fx=4 / 3, fy=1)),
        "libx264",
        23,
    ),
    "gamma 0.7": (_each(lambda luma: 255 * (luma / 255) ** 0.7), "libx264", 23),
    "contrast 1.3": (_each(lambda luma: (luma - 128.0) * 1.3 + 128), "libx264", 23),
    "noise 8 levels": (_noisy, "libx264", 23),
    "blur 1.5 pixels": (_each(lambda luma: cv2.GaussianBlur(luma, (0, 0), 1.5)), "libx264", 23),
    "half frame rate": (lambda clip: clip[::2], "libx264", 23),
    "speed 1.1": (
        lambda clip: [clip[int(i * 1.1)] for i in range(int(len(clip) / 1.1))],
        "libx264",
        23,
    ),
    "picture in picture 50 %": (_each(_inset), "libx264", 23),
    "border and caption": (_each(_captioned), "libx264", 23),
    "social media": (_social, "libx264", 30),
    "average taken away": (_averaged, "libx264", 23),
}


# --- commands ------------------------------------------------------------------------------------

_clips = click.argument(
    "clips", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path)
)


@click.group()
def watermark() -> None:
    """Measure the watermark."""


@watermark.command()
@_clips
@click.option("--seconds", default=3.0, show_default=True, help="Of each clip.")
@click.option("--psnr", default=PSNR, show_default=True, help="Of the mark, in dB.")
@click.option("--attack", "names", multiple=True, help="Only this attack; may be repeated.")
def robustness(
    clips: tuple[Path, ...], seconds: float, psnr: float, names: tuple[str, ...]
) -> None:
    """Print how often the identifier is read back after each attack, and what the mark costs."""
    loaded = [load(path, seconds) for path in clips]
    identifiers = [new_identifier() for _ in loaded]
    copies = [marked(clip, i, psnr) for clip, i in zip(loaded, identifiers, strict=True)]
    prices = [_price(clip, copy) for clip, copy in zip(loaded, copies, strict=True)]
    _print_costs(_embedding_seconds(loaded[0]), prices)
    for name in names or ATTACKS:
        change, codec, crf = ATTACKS[name]
        files = [encoded(change(copy), crf, codec) for copy in copies]
        begun = time.perf_counter()
        hits = sum(_read(file) == i for file, i in zip(files, identifiers, strict=True))
        spent = (time.perf_counter() - begun) / len(files)
        low, high = interval(hits, len(files))
        click.echo(
            f"{name:28} {hits:3}/{len(files)}  {low:4.0%}-{high:4.0%}  {spent:6.2f} s to read"
        )


def _read(data: bytes) -> int | None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "clip"
        path.write_bytes(data)
        reading = read_video(path)
    return reading.identifier if reading else None


def _embedding_seconds(clip: Clip) -> float:
    """Seconds of one core that a frame takes, the median; the kernels are compiled by now."""
    embedder, spent = Embedder(0, *clip[0].shape), []
    for luma in clip:
        copy = luma.copy()
        begun = time.process_time()
        embedder.mark(copy)
        spent.append(time.process_time() - begun)
    return float(np.median(spent))


def _price(clip: Clip, copy: Clip) -> tuple[float, float]:
    """PSNR in dB, and the share by which a file at CRF 23 grows."""
    error = np.mean([np.mean((a.astype(float) - b) ** 2) for a, b in zip(clip, copy, strict=True)])
    growth = len(encoded(copy, 23)) / len(encoded(clip, 23)) - 1
    return 10 * math.log10(255**2 / float(error)), growth


def _print_costs(seconds: float, prices: list[tuple[float, float]]) -> None:
    psnr, growth = np.array(prices).T
    click.echo(f"{len(prices)} clips, {SIZE} pixels")
    click.echo(f"embedding, ms per frame      {1000 * seconds:.2f}")
    click.echo(f"PSNR, dB                     {psnr.mean():.1f} (least {psnr.min():.1f})")
    click.echo(
        f"bit rate at CRF 23           {np.median(growth):+.0%} (median; "
        f"{growth.min():+.0%} to {growth.max():+.0%})"
    )


def interval(hits: int, count: int) -> tuple[float, float]:
    """Wilson's interval of 95 % for a share (Wilson 1927)."""
    share, square = hits / count, WILSON**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = WILSON / (1 + square / count)
    half *= math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return max(0.0, middle - half), min(1.0, middle + half)


@watermark.command()
@_clips
@click.option("--seconds", default=3.0, show_default=True, help="Of each clip.")
@click.option("--keys", default=20, show_default=True, help="Keys tried on each clip.")
@click.option("--searched", default=0, show_default=True, help="Clips searched for geometries.")
def negatives(clips: tuple[Path, ...], seconds: float, keys: int, searched: int) -> None:
    """Try keys on unmarked clips; print false reads and the scores against the derived ones."""
    scores, correlations, p_values, reads = [], [], [], 0
    for number, path in enumerate(clips):
        clip = load(path, seconds)
        folded = UPRIGHT.folded(clip)
        for index in range(keys):
            pattern = Pattern.from_key(b"negative %d" % index)
            plain = fit(folded, np.ones(len(folded)), pattern)
            scores.append(plain.sync_score)
            correlations.append(plain.correlation)
            p_values.append(weigh(folded, pattern).p_value)
        if number < searched:
            reads += read_frames(clip, key=b"negative search") is not None
    trials = len(p_values)
    click.echo(f"{trials} trials: {sum(2 * p <= SIGNIFICANCE for p in p_values)} false reads")
    click.echo(
        f"{min(searched, len(clips))} full searches of {tried():.1e} places: {reads} false reads"
    )
    click.echo(f"smallest p-value {min(p_values):.2g}")
    click.echo("pattern, |z| above   observed   if normal")
    for limit in (1.0, 2.0, 3.0, 4.0):
        observed, derived = np.mean(np.abs(scores) > limit), math.erfc(limit / math.sqrt(2))
        click.echo(f"{limit:18.0f} {observed:10.5f} {derived:11.5f}")
    median, high, most = np.quantile(correlations, [0.5, 0.99, 1.0])
    click.echo(f"payload, cosine      median {median:.3f}, 99 % {high:.3f}, most {most:.3f}")


if __name__ == "__main__":
    watermark()
