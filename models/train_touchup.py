"""The training of the touch-up: ``vasari train touch-up CLIPS -o touchup.onnx``.

Frames of real clips are moved as the clips move; what the renderer then shows around eyes and
mouth, beside what it should show, is what the network learns from.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vasari.errors import VasariError, VideoError
from vasari.eval.replay import replay
from vasari.generate.portrait import Portrait
from vasari.generate.render import Renderer
from vasari.generate.touchup import (
    PATCH_HEIGHT,
    PATCH_WIDTH,
    REGIONS,
    Look,
    Patch,
    Region,
    lay_patches,
    look,
    place_regions,
)
from vasari.models.replayed_clips import LIMIT, STARTS, usable
from vasari.models.touchup_network import Network, Part

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

# Data.
EVERY = 2  # of the frames that follow a portrait every so many is used
RING = 14  # pixels of a patch's border by which the truth is laid on what is shown
MAX_SLIP = 5.0  # pixels: a truth that slips farther was tracked badly and is left out

# Training.
BATCH = 32
# Examples are drawn in proportion to their mean error, of 255, between these: what is right has
# little to teach.
ERROR_RANGE = (2.0, 12.0)
PEAK_RATE = 2e-3  # learning rate
# Beside the mean error of the colours. Texture is how strong edges are nearby, wherever exactly
# they lie: without it the mean of all that may be true would be best, a blur.
SSIM_WEIGHT, GRADIENT_WEIGHT, TEXTURE_WEIGHT = 0.25, 1.0, 2.0
SMOOTH_WEIGHT, COLOUR_WEIGHT = 0.02, 0.05  # against shifts that tear and colours that need not be
IDENTITY_SHARE = 0.08  # of the examples: the portrait itself, which must stay as it is
GREY_SHARE, POSTER_SHARE = 0.15, 0.1  # of the examples: without colour, with few colours
SHARP_SHARE = 0.4  # of the examples: sharper or softer
REPORTED = 250  # steps from one printed line to the next


class Recorder:
    """A `Retoucher` that changes nothing and keeps what it sees."""

    def __init__(self, portrait: Portrait) -> None:
        self.anchors = place_regions(portrait)
        self.patches: list[Patch] = []
        self.looks: list[Look] = []

    def apply(
        self, frame: ImageArray, *, anchors: Float32Array, mesh: Float32Array, gaze: Float32Array
    ) -> None:
        """Keep the regions of a frame."""
        self.patches = lay_patches(anchors, len(frame))
        self.looks = [look(frame, patch, mesh) for patch in self.patches]


def collect(clip: Path, start: int) -> Iterator[tuple[Region, ImageArray]]:
    """Examples from one replay of a clip, each (10, h, w): a network's inputs and the truth."""
    portrait, moments = replay(clip, start=start, limit=LIMIT, every=EVERY)
    recorder = Recorder(portrait)
    renderer = Renderer(portrait, recorder)
    patches = lay_patches(recorder.anchors, portrait.size)
    own = [look(portrait.image, patch, portrait.mesh) for patch in patches]
    for moment in moments:
        renderer.frame(moment.pose)
        for patch, shown, mine in zip(recorder.patches, recorder.looks, own, strict=True):
            truth = look(moment.truth, patch, moment.mesh)
            laid = lay_on(truth.colours, shown.colours)
            if laid is not None:
                planes = np.dstack([shown.colours, mine.colours, shown.opening, laid])
                yield patch.region, np.ascontiguousarray(planes.transpose(2, 0, 1))


def lay_on(truth: ImageArray, shown: ImageArray) -> ImageArray | None:
    """Move a true patch to where the skin at its border stands in what is shown.

    The head's pose is tracked to a pixel or two; what slips at random would only teach to blur.
    """
    import cv2

    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (shown, truth)]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(*grey, None)  # type: ignore[call-overload]
    ring = np.ones(grey[0].shape, bool)
    ring[RING:-RING, RING:-RING] = False
    slip = np.median(flow[ring], axis=0)
    if np.hypot(*slip) > MAX_SLIP:
        return None
    warp = np.array([[1, 0, slip[0]], [0, 1, slip[1]]], np.float32)
    return np.asarray(
        cv2.warpAffine(
            truth,
            warp,
            truth.shape[1::-1],
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.uint8,
    )


def examples(clips: Sequence[Path], cache: Path | None) -> tuple[ImageArray, ImageArray]:
    """Stacked examples of eyes and of mouths, (n, 10, h, w) uint8 each."""
    replays = [_one_replay(clip, start, cache) for clip in clips for start in STARTS]
    eyes, mouths = zip(*replays, strict=True)
    return np.concatenate(eyes), np.concatenate(mouths)


def _one_replay(clip: Path, start: int, cache: Path | None) -> tuple[ImageArray, ImageArray]:
    """The stacked examples of one replay, from the cache if they are there."""
    kept = cache / f"{clip.parent.name}_{clip.stem}_{start}.npz" if cache else None
    if kept and kept.exists():
        with np.load(kept) as stored:
            return stored["eyes"], stored["mouths"]
    found: list[tuple[Region, ImageArray]] = []
    with suppress(VideoError):  # it ends before this start, or hides the face there
        found.extend(collect(clip, start))
    eyes = _stack([planes for region, planes in found if region.ball])
    mouths = _stack([planes for region, planes in found if not region.ball])
    if kept:
        np.savez(kept, eyes=eyes, mouths=mouths)
    return eyes, mouths


def _stack(rows: list[ImageArray]) -> ImageArray:
    """Rows, (10, h, w) each, in one array, which may be empty."""
    return np.array(rows, np.uint8).reshape(-1, 10, PATCH_HEIGHT, PATCH_WIDTH)


def apply_fields(shown: torch.Tensor, fields: torch.Tensor) -> torch.Tensor:
    """Change patches, (n, 3, h, w), as `vasari.generate.touchup.change` changes a frame."""
    height, width = shown.shape[2:]
    x = torch.arange(width) + fields[:, 0]
    y = torch.arange(height)[:, None] + fields[:, 1]
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], dim=-1)
    moved = functional.grid_sample(shown, grid, align_corners=True, padding_mode="border")
    return moved + fields[:, 2:]


def loss_of(shown: torch.Tensor, fields: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """How far changed patches are from the truth, in colours, structure, edges and texture."""
    made = apply_fields(shown, fields)
    edges, true_edges = _edges(made), _edges(truth)
    texture = _strength(edges) - _strength(true_edges)
    shift, added = fields[:, :2], fields[:, 2:]
    return (
        (made - truth).abs().mean()
        + SSIM_WEIGHT * (1 - _ssim(made.mean(1, keepdim=True), truth.mean(1, keepdim=True)))
        + GRADIENT_WEIGHT * (edges - true_edges).abs().mean()
        + TEXTURE_WEIGHT * texture.abs().mean()
        + SMOOTH_WEIGHT * _edges(shift).abs().mean()
        + COLOUR_WEIGHT * added.abs().mean()
    )


def _edges(values: torch.Tensor) -> torch.Tensor:
    """Differences of neighbours across and down, (n, 2c, h - 1, w - 1)."""
    corner = values[..., 1:, 1:]
    return torch.cat([corner - values[..., 1:, :-1], corner - values[..., :-1, 1:]], dim=1)


def _strength(edges: torch.Tensor) -> torch.Tensor:
    """How strong edges are in each neighbourhood of seven pixels."""
    return functional.avg_pool2d(edges.abs().mean(1, keepdim=True), 7, stride=2)


def _ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """SSIM (Wang et al. 2004) with a flat window of 7 pixels, values in 0..1."""
    means = [_pooled(first), _pooled(second)]
    variances = [_pooled(x * x) - m * m for x, m in zip((first, second), means, strict=True)]
    covariance = _pooled(first * second) - means[0] * means[1]
    luminance = (2 * means[0] * means[1] + 1e-4) / (means[0] ** 2 + means[1] ** 2 + 1e-4)
    structure = (2 * covariance + 9e-4) / (variances[0] + variances[1] + 9e-4)
    return (luminance * structure).mean()


def _pooled(values: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool2d(values, 7, stride=2)


def augment(batch: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Show examples, (n, 10, h, w) 0..1, otherwise: placed, lit, coloured and drawn differently.

    Frame, portrait and truth of an example are changed alike, so that a painting, an old
    photograph or a drawing is touched up in its own manner.
    """
    batch = _moved(batch, chance)
    pictures = torch.cat([batch[:, :6], batch[:, 7:]], dim=1)
    for part, draw in (
        (GREY_SHARE, _grey),
        (SHARP_SHARE, _sharpened),
        (POSTER_SHARE, _poster),
        (1.0, _coloured),
    ):
        chosen = torch.rand(len(batch), generator=chance) < part
        if chosen.any():
            pictures[chosen] = draw(pictures[chosen], chance)
    pictures.clamp_(0, 1)
    return torch.cat([pictures[:, :6], batch[:, 6:7], pictures[:, 6:]], dim=1)


def _draw(low: float, high: float, shape: Sequence[int], chance: torch.Generator) -> torch.Tensor:
    return low + (high - low) * torch.rand(*shape, generator=chance)


def _grey(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    return pictures.unflatten(1, (3, 3)).mean(2).repeat_interleave(3, dim=1)


def _sharpened(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    smooth = functional.avg_pool2d(pictures, 3, stride=1, padding=1, count_include_pad=False)
    return pictures + _draw(-0.8, 1.2, (len(pictures), 1, 1, 1), chance) * (pictures - smooth)


def _poster(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    levels = torch.round(_draw(4, 10, (len(pictures), 1, 1, 1), chance))
    return torch.round(pictures * levels) / levels


def _coloured(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    gamma = torch.exp(_draw(-0.4, 0.4, (len(pictures), 1, 1, 1), chance))
    tint = _draw(0.75, 1.2, (len(pictures), 3, 1, 1), chance)
    return pictures.clamp(1e-3, 1) ** gamma * tint.repeat(1, 3, 1, 1)


def _moved(batch: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """Mirror, turn, scale and shift examples a little."""
    count = len(batch)
    turn, scale, right, down = (
        spread * (2 * torch.rand(count, generator=chance) - 1)
        for spread in (0.07, 0.06, 0.06, 0.06)
    )
    mirror = torch.where(torch.rand(count, generator=chance) < 0.5, -1.0, 1.0)
    cos, sin = (1 + scale) * torch.cos(turn), (1 + scale) * torch.sin(turn)
    rows = [torch.stack([cos * mirror, sin, right], 1), torch.stack([-sin * mirror, cos, down], 1)]
    grid = functional.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
    return functional.grid_sample(batch, grid, align_corners=False, padding_mode="reflection")


def train(eyes: ImageArray, mouths: ImageArray, steps: int, seed: int) -> Iterator[Network]:
    """Train the network on stacked examples, (n, 10, h, w); gives it every REPORTED steps."""
    torch.manual_seed(seed)
    network = Network(PATCH_HEIGHT, PATCH_WIDTH).to(memory_format=torch.channels_last)
    for part, stack in ((network.eyes, eyes), (network.mouth, mouths)):
        for _ in train_part(part, stack, steps, seed):
            yield network


def train_part(part: Part, stack: ImageArray, steps: int, seed: int) -> Iterator[None]:
    """Train the part for the eyes or the mouth, and stop every REPORTED steps."""
    chance = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(part.parameters(), lr=PEAK_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    weights = _weights(stack)
    total = 0.0
    for step in range(1, steps + 1):
        chosen = torch.multinomial(weights, BATCH, replacement=True, generator=chance)
        batch = torch.from_numpy(stack[chosen.numpy()].astype(np.float32) / np.float32(255))
        batch = augment(_with_identities(batch, chance), chance)
        loss = loss_of(batch[:, :3], part.fields(batch[:, :7]), batch[:, 7:])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(part.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += loss.item()
        if step % REPORTED == 0 or step == steps:
            click.echo(f"{step}/{steps}: loss {total / REPORTED:.5f}")
            total = 0.0
            yield


def _weights(stack: ImageArray) -> torch.Tensor:
    """How often each example is drawn."""
    errors = [np.abs(planes[:3].astype(np.int16) - planes[7:]).mean() for planes in stack]
    return torch.tensor(np.clip(errors, *ERROR_RANGE), dtype=torch.float32)


def _with_identities(batch: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """In some examples the portrait itself is shown, and is the truth."""
    same = torch.rand(len(batch), generator=chance) < IDENTITY_SHARE
    batch[same, :3] = batch[same, 3:6]
    batch[same, 7:] = batch[same, 3:6]
    return batch


def write(network: Network, file: Path) -> None:
    """Write a network as ONNX, for all regions at once."""
    blank = torch.zeros(len(REGIONS), 7, PATCH_HEIGHT, PATCH_WIDTH)
    draft = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    torch.onnx.export(network, (blank,), str(draft), dynamo=False, opset_version=13)
    os.replace(draft, file)


@click.command("touch-up", no_args_is_help=True)
@click.argument("clips", type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The .onnx.")
@click.option("--held-out", multiple=True, help="Pattern of clip names to leave out.")
@click.option(
    "--steps", default=1500, show_default=True, help="Batches of 32 patches, of each part."
)
@click.option("--seed", default=0, show_default=True)
@click.option("--cache", type=click.Path(path_type=Path), help="Folder that keeps examples.")
def touch_up(
    *,
    clips: Path,
    output: Path,
    held_out: tuple[str, ...],
    steps: int,
    seed: int,
    cache: Path | None,
) -> None:
    """Train the touch-up on the clips of faces in the folder CLIPS and below.

    The output is written anew every few minutes.

    \b
    Example:
      vasari train touch-up clips -o touchup.onnx --held-out 'ada_*'
    """
    paths = usable(clips, held_out)
    if not paths:
        raise VasariError(f"no .mp4 to train on in {clips}")
    output.parent.mkdir(parents=True, exist_ok=True)
    if cache:
        cache.mkdir(parents=True, exist_ok=True)
    eyes, mouths = examples(paths, cache)
    if not len(eyes) or not len(mouths):
        raise VasariError(f"the clips in {clips} show no face that moves; give clips of faces")
    click.echo(f"{len(eyes)} examples of eyes and {len(mouths)} of mouths, of {len(paths)} clips")
    for network in train(eyes, mouths, steps, seed):
        write(network, output)
