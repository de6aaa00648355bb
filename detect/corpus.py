"""A benchmark corpus: generated and real clips of the same people, made alike but for the face.

Every clip is one of a pair. A pair shares a source (a still portrait, or a stretch of a real
video), a framing, a camera path, what surrounds the head, a frame rate, a length, an encoder and a
bit rate; one clip of it shows the source as it is, the other what our generator makes of its first
picture. What differs between the classes is what a detector should see.

Both are marked before they are encoded: the generated with Vasari's mark, the real ones under a
key that is thrown away, so that a mark says nothing about the class.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vasari.detect.crops import FaceFinder
from vasari.detect.encoding import Encoding, decode, encode, encode_to_size
from vasari.errors import InputError, OutputError, VasariError
from vasari.generate.controls import Controls
from vasari.generate.portrait import Frame, Portrait

if TYPE_CHECKING:
    from vasari.generate.motion import Motion

ImageArray = npt.NDArray[np.uint8]
Generator = np.random.Generator
Progress = Callable[[int, int], None]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
SOUND_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".m4a", ".ogg"})
VIDEO_SUFFIXES = frozenset({".mp4", ".mov", ".mkv", ".webm", ".mpg", ".avi", ".m4v"})

SIZES = (256, 512)
PRESETS = ("veryfast", "fast", "medium")
SCALES = (1.0, 1.0, 0.75, 0.5)  # of the frame before it is encoded
# The camera, as a share of the frame: how far it wanders and zooms during a clip.
CAMERA_DRIFT, CAMERA_ZOOM = 0.03, 0.06
# A clip shows its own frames within the first, and the pair's first picture beyond the second, as
# shares of the way from the middle to a side. What is farther from the face would tell the classes
# apart without it: shoulders that sway, a backdrop that was filled.
WINDOW = (0.8, 0.94)
LEAD_IN = 1.0  # seconds of motion that are left out: the portrait comes to life in them
OWN_MOTION = 0.5  # of the videos: their first picture moves as they do
TOUCHED_UP = 0.75  # of the generated clips: it is what `vasari generate` does unless told not to

CROPS = 8  # kept of each clip, at equal distances
CROP_SIDE = 160  # pixels
CROP_CONTEXT = 1.625  # CROP_SIDE is to CROP_CONTEXT as the detector's 112 pixels to its 1.1375

SPLITS = ("train", "validation", "test")
SHARES = (0.55, 0.22, 0.23)  # of the people of each source
MANIFEST = "manifest.csv"
REAL, GENERATED = "real", "generated"


@dataclass(frozen=True)
class Origin:
    """Something that shows a real person."""

    path: Path
    person: str
    source: str  # the collection it belongs to
    split: str  # one of SPLITS; all of a person's are in the same
    part: int = 0  # which stretch of a video, of parts
    parts: int = 1

    @property
    def still(self) -> bool:
        """Whether it is a picture."""
        return self.path.suffix.lower() in IMAGE_SUFFIXES

    @property
    def name(self) -> str:
        """A name for the files made of it."""
        return f"{self.source}-{self.path.stem}-{self.part}"


@dataclass(frozen=True)
class Clip:
    """One row of the manifest."""

    clip: str  # file, relative to the corpus
    crops: str  # PNG with CROPS face crops beside each other, relative to the corpus
    label: str  # REAL or GENERATED
    person: str
    source: str
    pair: str  # shared by the two clips of a pair
    generator: str  # "vasari", or "" of real ones
    kind: str  # "still" or "video": what the source is
    split: str
    settings: str  # JSON: controls and speech of a generated clip
    width: int
    height: int
    fps: float
    frames: int
    preset: str
    bit_rate: int  # bits per second
    file: str  # the source's name


@dataclass(frozen=True)
class Plan:
    """What a corpus is made of."""

    portraits: tuple[Path, ...]
    speech: tuple[Path, ...]
    real: tuple[Path, ...]
    seconds: float = 6.0  # of each clip; of a video that is shorter, as long as that
    parts: int = 2  # stretches taken of each real video
    crf: tuple[int, int] = (18, 32)  # constant rate factors, the best and the worst
    # Side of an encoded frame, pixels: at half of 256 a face is still large enough to be looked at.
    smallest: int = 256
    limit: int | None = None  # pairs in all
    seed: int = 0
    # File name -> (person, source); a file that is not here is a person of its own, and its
    # source is the folder it lies in.
    people: dict[str, tuple[str, str]] = field(default_factory=dict)
    test_sources: tuple[str, ...] = ()  # whose people are all kept for the test

    def origins(self) -> list[Origin]:
        """What pairs are made of, in an order that depends on the seed alone, videos first.

        Videos are few and worth the most, so that no limit should leave them out.
        """
        split = self._splits()
        stills = [(path, 1) for path in self.portraits]
        videos = [(path, self.parts) for path in self.real]
        origins = [
            Origin(path, *self.identity(path), split[self.identity(path)[0]], part, parts)
            for path, parts in stills + videos
            for part in range(parts)
        ]
        order = np.random.default_rng(self.seed).permutation(len(origins))
        shuffled = [origins[index] for index in order]
        return sorted(shuffled, key=lambda origin: origin.still)[: self.limit]

    def identity(self, path: Path) -> tuple[str, str]:
        """Person and source of a file."""
        return self.people.get(path.name, (path.stem, path.parent.name))

    def _splits(self) -> dict[str, str]:
        """Person -> split: the shares of each source, test sources to the test."""
        sources: dict[str, set[str]] = {}
        for path in (*self.portraits, *self.real):
            person, source = self.identity(path)
            sources.setdefault(source, set()).add(person)
        splits: dict[str, str] = {}
        # People of the test sources first: they may be shown in other sources too.
        for source, people in sorted(
            sources.items(), key=lambda item: item[0] not in self.test_sources
        ):
            ordered = sorted(people, key=lambda person: _digest(f"{self.seed} {person}"))
            for index, person in enumerate(ordered):
                share = (index + 0.5) / len(ordered)
                held_out = source in self.test_sources
                splits.setdefault(person, "test" if held_out else _split(share))
        return splits


def _split(share: float) -> str:
    bounds = np.cumsum(SHARES)
    return SPLITS[int(np.searchsorted(bounds[:-1], share, side="right"))]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def read_people(path: Path) -> dict[str, tuple[str, str]]:
    """Read who is shown in which file: a CSV with the columns file, person and source.

    Raises:
        InputError: it cannot be read, or a column is missing.
    """
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = list(csv.DictReader(lines))
        return {Path(row["file"]).name: (row["person"], row["source"]) for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from error
    except KeyError as error:
        raise InputError(f"{path} has no column {error}; give file, person, source") from error


def files_in(folder: Path, suffixes: frozenset[str]) -> tuple[Path, ...]:
    """The files of a folder and its subfolders that end in one of some suffixes, sorted.

    Raises:
        InputError: there are none.
    """
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)
    if not found:
        raise InputError(f"{folder} holds no file that ends in {', '.join(sorted(suffixes))}")
    return tuple(found)


def build(plan: Plan, output: Path, progress: Progress | None = None) -> list[str]:
    """Make a corpus, or go on with one that was begun.

    Returns:
        One line for each origin that no pair could be made of.

    Raises:
        OutputError: the folder cannot be written.
    """
    for folder in ("clips", "crops", "rows"):
        _make(output / folder)
    failures = []
    origins = plan.origins()
    for done, origin in enumerate(origins, 1):
        try:
            _build_pair(plan, origin, output)
        except VasariError as error:
            failures.append(f"{origin.name}: {error}")
        if progress is not None:
            progress(done, len(origins))
    _write_manifest(output, origins)
    return failures


def read_manifest(corpus: Path) -> list[Clip]:
    """The clips of a corpus.

    Raises:
        InputError: it has no manifest, or one that is damaged.
    """
    path = corpus / MANIFEST
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            return [_clip_of(row) for row in csv.DictReader(lines)]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}; build the corpus first") from error


def _clip_of(row: dict[str, str]) -> Clip:
    numbers = {"width": int, "height": int, "fps": float, "frames": int}
    kinds: dict[str, Callable[[str], object]] = {**numbers, "bit_rate": int}
    return Clip(**{f.name: kinds.get(f.name, str)(row[f.name]) for f in fields(Clip)})  # type: ignore[arg-type]


def _build_pair(plan: Plan, origin: Origin, output: Path) -> None:
    """Make both clips of an origin; the row is written last and says that it is done."""
    row = output / "rows" / f"{origin.name}.json"
    if row.exists():
        return
    random = np.random.default_rng(int(_digest(f"{plan.seed} {origin.name}")[:8], 16))
    pair = Pair.draw(origin, plan, random)
    clips = _write_clips(pair, output)
    _replace(row, json.dumps([asdict(clip) for clip in clips]).encode())


@dataclass(frozen=True)
class Pair:
    """Two clips in the making: everything that they share, drawn by chance."""

    origin: Origin
    natural: list[ImageArray]  # (S, S, 3) uint8 sRGB, the real frames; one of a still
    portrait: Portrait  # the first of them
    fps: float
    count: int  # frames
    speech: Path
    controls: Controls
    own_motion: bool  # moves as the real video does, not as the speech
    touch_up: bool
    camera: npt.NDArray[np.float64]  # (count, 3): right, down and zoom as shares of the frame
    encoding: Encoding

    @classmethod
    def draw(cls, origin: Origin, plan: Plan, random: Generator) -> Pair:
        """Read an origin and draw the settings.

        Raises:
            InputError: the origin cannot be read or shows no face.
        """
        size = int(random.choice(SIZES))
        if origin.still:
            portrait = Portrait.open(origin.path, size=size)
            natural, fps = [portrait.image], float(random.choice([25.0, 30.0]))
        else:
            natural, fps = _stretch(origin, plan.seconds, size)
            portrait = Portrait.from_image(natural[0], size=size, name=str(origin.path))
        count = round(plan.seconds * fps) if origin.still else len(natural)
        return cls(
            origin,
            natural,
            portrait,
            fps,
            count,
            plan.speech[random.integers(len(plan.speech))],
            _controls(random),
            not origin.still and bool(random.random() < OWN_MOTION),
            bool(random.random() < TOUCHED_UP),
            _camera(count, random),
            _encoding(plan, size, random),
        )

    def pictures(self) -> Iterator[tuple[str, Iterator[ImageArray]]]:
        """Label and frames of the real and of the generated clip, before they are marked."""
        natural = self.natural * self.count if self.origin.still else self.natural
        yield REAL, self._filmed(natural)
        yield GENERATED, self._filmed(self.rendered())

    def rendered(self) -> Iterator[ImageArray]:
        """What the generator makes, unmarked: for the memory of corpus building alone."""
        from vasari.generate.render import Renderer
        from vasari.generate.touchup import TouchUp

        retoucher = TouchUp(self.portrait) if self.touch_up else None
        start, motion = (0, self._own_motion()) if self.own_motion else self._spoken_motion()
        frames = Renderer(self.portrait, retoucher).frames(motion)
        yield from islice(frames, start, start + self.count)

    def _own_motion(self) -> Iterator[Motion]:
        from vasari.generate.perform import follow, track_meshes

        return follow(track_meshes(self.natural), self.fps)

    def _spoken_motion(self) -> tuple[int, Iterator[Motion]]:
        """The motion, and the frame that the clip begins with."""
        from vasari.generate.animator import animate
        from vasari.generate.speech import Speech

        speech = Speech.open(self.speech)
        long = speech.duration >= LEAD_IN + self.count / self.fps
        motion = animate(speech, self.controls, self.fps)
        return round(LEAD_IN * self.fps) if long else 0, motion

    def _filmed(self, frames: Iterable[ImageArray]) -> Iterator[ImageArray]:
        """Frames as the wandering camera sees them, in the surroundings of the first picture."""
        window = _window(self.portrait.size)
        for frame, place in zip(frames, self.camera, strict=False):
            around = _seen(self.natural[0], place)
            own = _seen(frame, place)
            yield np.rint(around + window * (own.astype(np.float32) - around)).astype(np.uint8)


def _seen(picture: ImageArray, place: npt.NDArray[np.float64]) -> ImageArray:
    """A picture, (S, S, 3) uint8, as the camera sees it from a place: right, down, zoom."""
    import cv2

    right, down, zoom = place
    size, scale = len(picture), 1 / zoom
    rest = (size - 1) / 2 * (1 - scale)
    warp = np.array([[scale, 0, rest + right * size], [0, scale, rest + down * size]])
    seen = cv2.warpAffine(
        picture,
        warp,
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.asarray(seen, np.uint8)


@lru_cache(maxsize=len(SIZES))
def _window(size: int) -> npt.NDArray[np.float32]:
    """How much of its own frame a clip shows, (size, size, 1) 0..1: a square of round corners."""
    line = np.abs(np.linspace(-1, 1, size))
    away = (line[:, None] ** 4 + line**4) ** 0.25
    own, shared = WINDOW
    fall = np.clip((shared - away) / (shared - own), 0, 1)
    return np.asarray(fall**2 * (3 - 2 * fall), np.float32)[..., None]


def _controls(random: Generator) -> Controls:
    """Wishes as different as users have them."""
    return Controls(
        gaze=(float(random.normal(0, 5)), float(random.normal(0, 3))),
        distance=float(random.uniform(0.95, 1.05)),
        emotion={"happy": float(random.uniform(0, 0.6))} if random.random() < 0.5 else {},
        head_motion=float(random.uniform(0.5, 1.6)),
        expression=float(random.uniform(0.6, 1.4)),
        seed=int(random.integers(2**31)),
    )


def _encoding(plan: Plan, size: int, random: Generator) -> Encoding:
    side = round(max(size * float(random.choice(SCALES)), plan.smallest) / 2) * 2  # even: 4:2:0
    best, worst = plan.crf
    crf = int(random.integers(best, worst + 1))
    return Encoding(side, side, crf, str(random.choice(PRESETS)))


def _camera(count: int, random: Generator) -> npt.NDArray[np.float64]:
    """A smooth path, (count, 3): right, down, zoom (above 1: nearer)."""
    time = np.linspace(0, 1, count)[:, None]
    drift = CAMERA_DRIFT * np.sin(
        2 * np.pi * (random.uniform(0.2, 1, 2) * time + random.uniform(0, 1, 2))
    )
    swing = np.sin(2 * np.pi * (random.uniform(0.1, 0.5) * time + random.uniform()))
    zoom = 1 + 2 * CAMERA_DRIFT + CAMERA_ZOOM * (1 + swing) / 2
    return np.hstack([drift * random.uniform(0, 1), zoom])


def _stretch(origin: Origin, seconds: float, size: int) -> tuple[list[ImageArray], float]:
    """A stretch of a real video, framed around its first face, and its frame rate."""
    from vasari.generate.faces import find_faces
    from vasari.generate.perform import read_frames

    rate, frames = read_frames(origin.path)
    fps = min(max(rate, 24.0), 60.0)
    count = round(seconds * fps)
    start = _start(origin, rate, count)
    first = next(islice(frames, start, None), None)
    meshes = [] if first is None else find_faces(first)
    if first is None or not meshes:
        raise InputError(f"no face in {origin.path} at {start / rate:.1f} s")
    frame = Frame.around(meshes[0], first.shape[1], first.shape[0])
    rest = islice(frames, count - 1)
    return [frame.cut(first, size), *(frame.cut(each, size) for each in rest)], fps


def _start(origin: Origin, rate: float, count: int) -> int:
    """The frame at which a part begins; parts lie at equal distances."""
    import av

    with av.open(str(origin.path)) as container:
        total = int((container.duration or 0) / av.time_base * rate)
    return max(total - count, 0) * origin.part // max(origin.parts, 1)


def _write_clips(pair: Pair, output: Path) -> list[Clip]:
    """Mark, encode and crop both clips, the cheaper one into as many bytes as the other.

    At the same quality they would differ in size: a face that moves costs more than a still, one
    that was generated less than one that was filmed. Neither is made worse than the quality drawn.
    """
    planes = {
        label: list(marked(pictures, label, pair.portrait.size))
        for label, pictures in pair.pictures()
    }
    length = min(map(len, planes.values()))  # some speech is short
    planes = {label: frames[:length] for label, frames in planes.items()}
    encoded = {label: encode(frames, pair.encoding, pair.fps) for label, frames in planes.items()}
    cheaper, dearer = sorted(encoded, key=lambda label: len(encoded[label]))
    size = len(encoded[dearer])
    encoded[cheaper] = encode_to_size(planes[cheaper], pair.encoding, pair.fps, size)
    return [_write_clip(pair, label, encoded[label], output) for label in (REAL, GENERATED)]


def _write_clip(pair: Pair, label: str, encoded: bytes, output: Path) -> Clip:
    """Write one clip and its crops."""
    name = f"{pair.origin.name}-{label}"
    frames = list(decode(encoded))
    _replace(output / "clips" / f"{name}.mp4", encoded)
    _replace(output / "crops" / f"{name}.png", _png(face_crops(frames, name)))
    settings = asdict_controls(pair) if label == GENERATED else {}
    return Clip(
        clip=f"clips/{name}.mp4",
        crops=f"crops/{name}.png",
        label=label,
        person=pair.origin.person,
        source=pair.origin.source,
        pair=pair.origin.name,
        generator="vasari" if label == GENERATED else "",
        kind="still" if pair.origin.still else "video",
        split=pair.origin.split,
        settings=json.dumps(settings),
        width=pair.encoding.width,
        height=pair.encoding.height,
        fps=pair.fps,
        frames=len(frames),
        preset=pair.encoding.preset,
        bit_rate=round(8 * len(encoded) * pair.fps / len(frames)),
        file=pair.origin.path.name,
    )


def asdict_controls(pair: Pair) -> dict[str, object]:
    """The settings of a generated clip, as JSON can hold them."""
    from vasari.generate.pipeline import control_parameters

    moved_by = "own motion" if pair.own_motion else pair.speech.name
    controls = control_parameters(pair.controls)
    return {**controls, "moved by": moved_by, "touch-up": pair.touch_up}


def marked(pictures: Iterable[ImageArray], label: str, size: int) -> Iterator[ImageArray]:
    """Frames, (S, S, 3) uint8, as marked I420 planes, (3 S / 2, S) uint8."""
    from vasari.generate.colour import to_i420
    from vasari.watermark.embedding import Embedder
    from vasari.watermark.payload import PUBLIC_KEY, new_identifier

    key = PUBLIC_KEY if label == GENERATED else os.urandom(16)
    embedder = Embedder(new_identifier(), size, size, key=key)
    for picture in pictures:
        planes = to_i420(picture)
        embedder.mark(planes[:size])
        yield planes


def face_crops(frames: Sequence[ImageArray], name: str) -> list[ImageArray]:
    """CROPS face crops of a clip's frames.

    Raises:
        InputError: a frame shows no face.
    """
    chosen = np.linspace(0, len(frames) - 1, CROPS).round().astype(int)
    with FaceFinder(context=CROP_CONTEXT) as finder:
        crops = [finder.find(0.0, frames[index]).crop(CROP_SIDE) for index in chosen]
    found = [crop for crop in crops if crop is not None]
    if len(found) < len(crops):
        raise InputError(f"{name}: the detector finds no face in it")
    return found


def read_crops(corpus: Path, clip: Clip) -> list[ImageArray]:
    """The face crops of a clip, (CROP_SIDE, CROP_SIDE, 3) uint8 each.

    Raises:
        InputError: the file is missing or damaged.
    """
    from vasari.generate.picture import read_picture

    return np.split(read_picture(corpus / clip.crops), CROPS, axis=1)


def _png(crops: list[ImageArray]) -> bytes:
    from vasari.generate.pipeline import as_png

    return as_png(np.hstack(crops))


def _write_manifest(output: Path, origins: list[Origin]) -> None:
    """Gather the rows of all pairs that were made."""
    import io

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [each.name for each in fields(Clip)])
    writer.writeheader()
    for origin in origins:
        row = output / "rows" / f"{origin.name}.json"
        if row.exists():
            for clip in json.loads(row.read_text(encoding="utf-8")):
                writer.writerow({**clip, "person": origin.person, "split": origin.split})
    _replace(output / MANIFEST, text.getvalue().encode())


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        os.replace(draft, path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
