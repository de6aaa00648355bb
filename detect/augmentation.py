"""What happens to clips on their way: encoding, scaling, blur, noise, colour.

Both classes go through changes drawn from the same chances, so that no change tells the class. The
crops of a pair lie alike (`Change.alike`), but how much is lost on the way differs between them, so
that how sharp or how blocky a face is does not tell it either.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

ImageArray = npt.NDArray[np.uint8]

JPEG_QUALITIES = (25, 96)
WEBP_QUALITIES = (15, 90)  # VP8 frames: predicted, transformed and smoothed much as in H.264
SCALES = (0.4, 1.0)
BLURS = (0.3, 1.4)  # pixels, standard deviation
NOISES = (1.0, 7.0)  # levels, standard deviation
GAMMAS, GAINS, SATURATIONS = (0.7, 1.4), (0.85, 1.15), (0.4, 1.5)


@dataclass(frozen=True)
class Change:
    """One way that a crop goes."""

    left: int  # where the crop of the wanted side begins
    top: int
    flip: bool
    gamma: float
    gains: tuple[float, float, float]
    saturation: float
    scale: float  # down by this and up again; 1 leaves it
    blur: float  # 0 leaves it
    noise: float  # 0 leaves it
    noise_seed: int
    codec: str  # ".jpg", ".webp" or "" for none
    quality: int

    @classmethod
    def none(cls, slack: int) -> Change:
        """The middle of a crop that has slack pixels more than wanted, unchanged."""
        middle = slack // 2
        return cls(middle, middle, False, 1, (1, 1, 1), 1, 1, 0, 0, 0, "", 0)

    @classmethod
    def draw(cls, random: np.random.Generator, slack: int) -> Change:
        """Draw one by chance."""
        codec = str(random.choice(["", ".jpg", ".webp"], p=[0.35, 0.5, 0.15]))
        qualities = JPEG_QUALITIES if codec == ".jpg" else WEBP_QUALITIES
        colour = random.random() < 0.6
        gains = random.uniform(*GAINS, 3) if colour else np.ones(3)
        return cls(
            left=int(random.integers(slack + 1)),
            top=int(random.integers(slack + 1)),
            flip=bool(random.random() < 0.5),
            gamma=float(random.uniform(*GAMMAS)) if colour else 1.0,
            gains=(float(gains[0]), float(gains[1]), float(gains[2])),
            saturation=float(random.uniform(*SATURATIONS)) if colour else 1.0,
            scale=float(random.uniform(*SCALES)) if random.random() < 0.4 else 1.0,
            blur=float(random.uniform(*BLURS)) if random.random() < 0.25 else 0.0,
            noise=float(random.uniform(*NOISES)) if random.random() < 0.25 else 0.0,
            noise_seed=int(random.integers(2**31)),
            codec=codec,
            quality=int(random.integers(*qualities)),
        )

    def alike(self, other: Change) -> Change:
        """This change of a crop that is cut and turned as another is."""
        return replace(self, left=other.left, top=other.top, flip=other.flip)

    def apply(self, crop: ImageArray, side: int) -> ImageArray:
        """Change a crop, (S, S, 3) uint8 with S >= side, into one of (side, side, 3)."""
        cut = crop[self.top : self.top + side, self.left : self.left + side]
        cut = cut[:, ::-1] if self.flip else cut
        return self._encoded(self._noisy(self._soft(self._coloured(cut))))

    def _coloured(self, crop: ImageArray) -> ImageArray:
        import cv2

        if self.gamma == 1 and self.saturation == 1:
            return np.ascontiguousarray(crop)
        levels = (np.arange(256) / 255) ** self.gamma * 255
        table = np.clip(np.outer(levels, self.gains), 0, 255).astype(np.uint8)
        colours = cv2.LUT(np.ascontiguousarray(crop), table[None])
        mix = self.saturation * np.eye(3) + (1 - self.saturation) / 3
        return np.asarray(cv2.transform(colours, mix), np.uint8)

    def _soft(self, crop: ImageArray) -> ImageArray:
        import cv2

        side = len(crop)
        if self.scale < 1:
            small = max(round(side * self.scale), 8)
            crop = cv2.resize(crop, (small, small), interpolation=cv2.INTER_AREA)
            crop = cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
        if self.blur:
            crop = cv2.GaussianBlur(crop, (0, 0), self.blur)
        return crop

    def _noisy(self, crop: ImageArray) -> ImageArray:
        if not self.noise:
            return crop
        random = np.random.default_rng(self.noise_seed)
        noise = random.standard_normal(crop.shape, np.float32) * np.float32(self.noise)
        return np.clip(crop + noise, 0, 255).astype(np.uint8)

    def _encoded(self, crop: ImageArray) -> ImageArray:
        import cv2

        if not self.codec:
            return crop
        flag = cv2.IMWRITE_JPEG_QUALITY if self.codec == ".jpg" else cv2.IMWRITE_WEBP_QUALITY
        _, code = cv2.imencode(self.codec, crop[..., ::-1], [flag, self.quality])
        return np.ascontiguousarray(cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1])
