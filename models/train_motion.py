"""Training of the motion model: ``vasari train motion --data TRACKS -o RUN``.

Needs PyTorch and Accelerate (``vasari[train]``). One process by itself, or one for each GPU under
``accelerate launch -m vasari train motion …``. A run that was stopped goes on exactly where it
was: every random number follows from the seed, the step and the process.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch
from accelerate import Accelerator
from torch import nn
from torch.nn import functional

from vasari.errors import InputError
from vasari.generate.channels import CHANNELS
from vasari.models.motion_data import TEMPOS, Take, Windows, read_takes
from vasari.models.motion_transformer import (
    FULL_NOISE,
    LENGTH,
    NOISE_WAVES,
    PAST,
    SOUND,
    WISH_SIZE,
    WISHES,
)

Float32Array = npt.NDArray[np.float32]

CHECKPOINT, WEIGHTS, HISTORY = "checkpoint.pt", "motion.npz", "history.json"
SNR_LIMIT = 5.0  # min-SNR weighting of the noise levels (Hang et al., arXiv 2303.09556)
SPEED_WEIGHT = 1.0  # of the error in the steps from frame to frame, beside that in the places
CHECK_WINDOWS = 192  # of people never trained on
CHECK_SEED = 1
REGRESSION = "regression"
OBJECTIVES = ("diffusion", REGRESSION)  # what a network learns to make motion from: noise, nothing


@dataclasses.dataclass(frozen=True)
class Config:
    """What a run is made of; a TOML file gives those that differ."""

    objective: str = OBJECTIVES[0]
    width: int = 128  # of a token
    layers: int = 4
    heads: int = 4
    dropout: float = 0.1
    batch: int = 32  # windows, in each process
    steps: int = 8000  # at most
    peak_rate: float = 1e-3  # learning rate
    warm_up: int = 300  # steps
    weight_decay: float = 0.02
    averaging: float = 0.998  # of the weights that are kept, over steps
    check_every: int = 250  # steps
    patience: int = 8  # checks without progress after which the run ends
    crowd_share: float = 0.4  # of examples, from people of fifty clips or more
    seed: int = 0
    held_out: tuple[str, ...] = ()  # patterns of people who are only checked on
    mute: tuple[str, ...] = ()  # patterns of clips whose sound is not the voice of who is seen
    lags: dict[str, float] = dataclasses.field(default_factory=dict)  # seconds the picture is late

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise InputError(f"no objective '{self.objective}'; there are {', '.join(OBJECTIVES)}")

    @classmethod
    def load(cls, file: Path) -> Config:
        """Read a TOML file.

        Raises:
            InputError: it cannot be read, or holds an unknown key or objective.
        """
        import tomli

        try:
            values = tomli.loads(file.read_text())
        except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
            raise InputError(f"cannot read {file}: {error}") from None
        names = [field.name for field in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(names))
        if unknown:
            raise InputError(f"{file}: unknown '{unknown[0]}'; known are {', '.join(names)}")
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in values.items()
        }
        return cls(**given)


class Network(nn.Module):  # type: ignore[misc]  # without PyTorch its base is unknown
    """`vasari.models.motion_transformer.MotionTransformer` in PyTorch."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width, channels = config.width, len(CHANNELS)
        self.heads = config.heads
        self.tokens = nn.Linear(channels + SOUND + 2, width)
        self.places = nn.Parameter(torch.randn(LENGTH, width) * 0.02)
        self.wishes = nn.Linear(WISH_SIZE + len(WISHES), width)
        self.level = nn.Linear(2 * NOISE_WAVES, width)
        self.state = nn.Linear(width, width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.last_state = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, channels)

    def forward(
        self, noisy: torch.Tensor, level: torch.Tensor, conditions: Sequence[torch.Tensor]
    ) -> torch.Tensor:
        """From noisy motion (B, WINDOW, D) at levels (B,) to motion."""
        past, past_known, sound, sound_known, wishes, wishes_known = conditions
        heard = sound_known[:, None, None].expand(-1, LENGTH, 1)
        role = torch.ones_like(heard).clone()
        role[:, :PAST] = -past_known[:, None, None]
        motion = torch.cat([past, noisy], 1)
        tokens = self.tokens(torch.cat([motion, sound * heard, heard, role], 2)) + self.places
        state = self.wishes(torch.cat([wishes, wishes_known], 1)) + self.level(_waves(level))
        state = functional.silu(self.state(functional.silu(state)))
        for block in self.blocks:
            tokens = block(tokens, state)
        shift, scale = self.last_state(state)[:, None].chunk(2, -1)
        return self.last(_normed(tokens) * (1 + scale) + shift)[:, PAST:]


class Block(nn.Module):  # type: ignore[misc]
    """Attention and a feed-forward layer, steered by a state."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        width = config.width
        self.heads, self.dropout = config.heads, config.dropout
        self.state = nn.Linear(width, 6 * width)
        self.attention = nn.Linear(width, 3 * width)
        self.mix = nn.Linear(width, width)
        self.inside = nn.Linear(width, 4 * width)
        self.outside = nn.Linear(4 * width, width)
        nn.init.zeros_(self.state.weight)  # so that each block starts as nothing
        nn.init.zeros_(self.state.bias)

    def forward(self, tokens: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        """From (B, LENGTH, width) to the same."""
        shift, scale, gate, shift_2, scale_2, gate_2 = self.state(state)[:, None].chunk(6, -1)
        tokens = tokens + gate * self._drop(self._attend(_normed(tokens) * (1 + scale) + shift))
        inner = self.inside(_normed(tokens) * (1 + scale_2) + shift_2)
        return tokens + gate_2 * self._drop(
            self.outside(functional.gelu(inner, approximate="tanh"))
        )

    def _attend(self, tokens: torch.Tensor) -> torch.Tensor:
        batch, length, width = tokens.shape
        joint = self.attention(tokens).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = joint.permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        return self.mix(mixed.transpose(1, 2).reshape(batch, length, width))

    def _drop(self, values: torch.Tensor) -> torch.Tensor:
        return functional.dropout(values, self.dropout, self.training)


def _normed(tokens: torch.Tensor) -> torch.Tensor:
    return functional.layer_norm(tokens, tokens.shape[-1:])


def _waves(level: torch.Tensor) -> torch.Tensor:
    """See `vasari.models.motion_transformer.noise_waves`."""
    rates = 1000 ** (torch.arange(NOISE_WAVES, device=level.device) / NOISE_WAVES)
    phases = level[:, None] * rates
    return torch.cat([torch.sin(phases), torch.cos(phases)], 1)


def loss_of(made: torch.Tensor, real: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """The error of denoised motion, (B, WINDOW, D), each noise level weighted by its SNR."""
    ratio = 1 / torch.tan(level * math.pi / 2).clamp(min=1e-3) ** 2
    weight = ratio.clamp(max=SNR_LIMIT) / SNR_LIMIT + 0.1
    return (weight * errors_of(made, real)).mean()


def errors_of(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """The errors of windows of motion, (B, WINDOW, D), in places and steps: (B,)."""
    places = ((made - real) ** 2).mean((1, 2))
    steps = ((made.diff(dim=1) - real.diff(dim=1)) ** 2).mean((1, 2))
    return places + SPEED_WEIGHT * steps


def noised(real: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """Motion with noise on it, at levels (B,) in 0..1."""
    angle = (level * math.pi / 2)[:, None, None]
    return torch.cos(angle) * real + torch.sin(angle) * noise


class Run:
    """One training run in a folder.

    Args:
        takes: everyone, those held out among them.
        config: what the run is made of.
        folder: where checkpoint, weights, history and plot go.
    """

    def __init__(self, takes: Sequence[Take], config: Config, folder: Path) -> None:
        self._config, self._folder = config, folder
        self._accelerator = Accelerator()
        learn, check = _split(takes, config.held_out)
        self._scale = channel_scale(learn)
        share = config.crowd_share
        self._learn = Windows(learn, self._scale, augment=True, crowd_share=share)
        self._check = Windows(check, self._scale, augment=False, crowd_share=share)
        torch.manual_seed(config.seed)
        network = Network(config)
        optimiser = torch.optim.AdamW(
            network.parameters(), config.peak_rate, weight_decay=config.weight_decay
        )
        self._average = copy.deepcopy(network).eval()
        self._network, self._optimiser = self._accelerator.prepare(network, optimiser)
        self._average.to(self._accelerator.device)
        self._step = 0
        self._history: list[dict[str, float]] = []
        self._resume()

    def train(self, until: int | None = None) -> None:
        """Train until there is no more progress on the people held out.

        Args:
            until: the step at which to stop at the latest; by default the last of the config.
        """
        last, total = self._config.steps if until is None else until, 0.0
        while self._step < last and not self._stalled():
            total += self._learn_once()
            if self._step % self._config.check_every == 0:
                self._note(total / self._config.check_every)
                total = 0.0

    def _learn_once(self) -> float:
        """One step of the optimiser."""
        config, process = self._config, self._accelerator.process_index
        random = np.random.default_rng([config.seed, process, self._step])
        torch.manual_seed(int(random.integers(2**31)))
        for group in self._optimiser.param_groups:
            group["lr"] = config.peak_rate * _rate(self._step, config)
        self._network.train()
        loss = self._loss(self._network, self._learn, config.batch, random)
        self._optimiser.zero_grad()
        self._accelerator.backward(loss)
        self._accelerator.clip_grad_norm_(self._network.parameters(), 1.0)
        self._optimiser.step()
        self._step += 1
        self._follow()
        return float(loss.detach())

    def _loss(
        self, network: nn.Module, windows: Windows, count: int, random: np.random.Generator
    ) -> torch.Tensor:
        """The loss on windows drawn at random: made from nothing, or at even noise levels."""
        device = self._accelerator.device
        motion, conditions = windows.draw(count, random)
        real = torch.from_numpy(motion).to(device)
        given = [torch.from_numpy(array).to(device) for array in vars(conditions).values()]
        if self._config.objective == REGRESSION:
            level = torch.full((count,), FULL_NOISE, device=device)
            return errors_of(network(torch.zeros_like(real), level, given), real).mean()
        levels = (np.arange(count) + random.random(count)) / count
        level = torch.tensor(levels, dtype=torch.float32, device=device)
        noise = torch.tensor(random.standard_normal(motion.shape), dtype=torch.float32).to(device)
        return loss_of(network(noised(real, noise, level), level, given), real, level)

    @torch.no_grad()
    def _follow(self) -> None:
        """Let the average follow the weights."""
        share = 1 - min(self._config.averaging, (1 + self._step) / (10 + self._step))
        current = self._accelerator.unwrap_model(self._network).state_dict()
        for name, value in self._average.state_dict().items():
            value.lerp_(current[name], share)

    def _note(self, learned: float) -> None:
        """Check on the people held out, keep what is best, and save where the run is."""
        with torch.no_grad():
            random = np.random.default_rng(CHECK_SEED)
            checked = float(self._loss(self._average, self._check, CHECK_WINDOWS, random))
        self._history.append({"step": self._step, "learned": learned, "checked": checked})
        if not self._accelerator.is_main_process:
            return
        click.echo(f"step {self._step}: loss {learned:.4f}, of people held out {checked:.4f}")
        if checked <= min(row["checked"] for row in self._history):
            self._export()
        self._save()
        (self._folder / HISTORY).write_text(json.dumps(self._history))
        plot(self._history, self._folder / "loss.png")

    def _stalled(self) -> bool:
        """Whether the last checks brought nothing."""
        checks = [row["checked"] for row in self._history]
        return len(checks) - int(np.argmin(checks)) > self._config.patience if checks else False

    def _export(self) -> None:
        """Write the averaged weights as `MotionTransformer` reads them, in half precision."""
        arrays = {name: value.astype(np.float16) for name, value in exported(self._average).items()}
        regression = np.array(self._config.objective == REGRESSION)
        np.savez(self._folder / WEIGHTS, channel_scale=self._scale, regression=regression, **arrays)

    def _save(self) -> None:
        draft = self._folder / f".{CHECKPOINT}.tmp"
        state = {
            "step": self._step,
            "history": self._history,
            "network": self._accelerator.unwrap_model(self._network).state_dict(),
            "average": self._average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }
        torch.save(state, draft)
        draft.replace(self._folder / CHECKPOINT)

    def _resume(self) -> None:
        """Go on where a run in the folder was stopped, if there was one."""
        file = self._folder / CHECKPOINT
        if not file.exists():
            return
        state = torch.load(file, map_location=self._accelerator.device, weights_only=True)
        self._accelerator.unwrap_model(self._network).load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._step, self._history = state["step"], state["history"]


def _split(takes: Sequence[Take], held_out: Sequence[str]) -> tuple[list[Take], list[Take]]:
    """Those to learn from, and those to check on."""
    check = [t for t in takes if any(fnmatch(t.person, pattern) for pattern in held_out)]
    if not check or len(check) == len(takes):
        raise InputError("name with held_out some people to check on, and leave some to learn from")
    chosen = {id(take) for take in check}
    return [take for take in takes if id(take) not in chosen], check


def channel_scale(takes: Sequence[Take]) -> Float32Array:
    """What one unit of each channel stands for, (D,): its deviation over people."""
    people: dict[str, list[Float32Array]] = {}
    for take in takes:
        people.setdefault(take.person, []).append(take.motion.var(axis=0))
    variances = [np.mean(each, axis=0) for each in people.values()]
    return np.asarray(np.sqrt(np.mean(variances, axis=0)), np.float32)


def _rate(step: int, config: Config) -> float:
    """The learning rate's share of its peak: a rise, then a cosine down to a twentieth."""
    rise = min((step + 1) / config.warm_up, 1)
    fall = 0.5 + 0.5 * math.cos(math.pi * min(step / config.steps, 1))
    return rise * (0.05 + 0.95 * fall)


def exported(network: Network) -> dict[str, Float32Array]:
    """The weights by the names and shapes of `MotionTransformer`."""
    arrays = {
        "places": network.places.detach().cpu().numpy(),
        "heads": np.array(network.heads),
        "layers": np.array(len(network.blocks)),
    }
    layers: dict[str, Any] = {
        name: getattr(network, name)
        for name in ("tokens", "wishes", "level", "state", "last_state", "last")
    }
    parts = {"state": "state", "attention": "attention", "mix": "mix", "in": "inside"}
    for index, block in enumerate(network.blocks):
        for name, attribute in (parts | {"out": "outside"}).items():
            layers[f"block_{index}_{name}"] = getattr(block, attribute)
    for name, layer in layers.items():
        arrays[f"{name}_matrix"] = layer.weight.detach().cpu().numpy().T
        arrays[f"{name}_bias"] = layer.bias.detach().cpu().numpy()
    return arrays


def plot(history: Sequence[dict[str, float]], file: Path) -> None:
    """Draw the losses over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    steps = [row["step"] for row in history]
    for key, label in (("learned", "training"), ("checked", "people held out")):
        axes.plot(steps, [row[key] for row in history], label=label)
    axes.set(xlabel="step", ylabel="loss")
    axes.legend()
    figure.savefig(file, dpi=100)


@click.command("motion")
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder that `vasari track` wrote; a folder inside it holds the clips of one person.",
)
@click.option(
    "--config", type=click.Path(path_type=Path), help="TOML file with what differs from usual."
)
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the run: checkpoint, weights, losses and their plot.",
)
def motion(data: Path, config: Path | None, output: Path) -> None:
    """Train the model that moves head and face to a voice.

    A run that was stopped goes on where it was when it is started again with the same folder.
    It ends when people held out gain no more; RUN/motion.npz then has the best weights.

    \b
    Example:
      vasari train motion --data tracks --config motion.toml -o run
    """
    chosen = Config.load(config) if config else Config()
    output.mkdir(parents=True, exist_ok=True)
    takes = read_takes(data, mute=chosen.mute, lags=chosen.lags, tempos=TEMPOS)
    click.echo(f"{len(takes)} takes of {len({take.person for take in takes})} people")
    Run(takes, chosen, output).train()
