"""The portrait: a picture whose face was found, framed with head and shoulders, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vasari.errors import PortraitError
from vasari.generate.faces import face_height, find_faces, mesh_face
from vasari.generate.matte import Layers, split
from vasari.generate.picture import read_picture
from vasari.generate.template import Placement, align, template
from vasari.generate.topology import CHIN, FACE_OVAL, FOREHEAD

Float32Array = npt.NDArray[np.float32]
ImageArray = npt.NDArray[np.uint8]

SIZES = (256, 512, 1024)  # pixels, the sides of the square frame
DEFAULT_SIZE = 512

# The framing, in heights of the face from the top of the forehead to the chin.
FRAME_SIDE = 2.25
FRAME_ABOVE = 0.62  # room over the forehead for hair and hat
MIN_FRAME_SIDE = 1.3  # closer than this and the picture is extended at its edges
MIN_FACE_HEIGHT = 48  # pixels: with fewer, lips and lids are two pixels thick


@dataclass(frozen=True)
class Frame:
    """The square that is cut out of a picture; it may reach beyond it."""

    left: int  # pixels of the picture
    top: int
    side: int

    @classmethod
    def around(cls, mesh: Float32Array, width: int, height: int) -> Frame:
        """The frame of a face, (478, 3) pixels, in a picture of a width and a height."""
        tall = face_height(mesh)
        side = min(FRAME_SIDE * tall, float(min(width, height)))
        side = max(side, MIN_FRAME_SIDE * tall)
        middle = mesh[list(FACE_OVAL), 0].mean()
        above = (side / tall - 1) * FRAME_ABOVE / (FRAME_SIDE - 1)  # keeps the head's place
        brow = (mesh[FOREHEAD] + mesh[CHIN])[1] / 2 - tall / 2
        left, top = middle - side / 2, brow - above * tall
        return cls(_into(left, side, width), _into(top, side, height), round(side))

    def cut(self, image: ImageArray, size: int) -> ImageArray:
        """Cut the frame out of an image, its edges continued where it reaches beyond, and scale it.

        Args:
            image: (H, W, 3) uint8.
            size: the side of the result in pixels.
        """
        import cv2

        height, width = image.shape[:2]
        left, top, side = self.left, self.top, self.side
        beyond = max(-left, -top, left + side - width, top + side - height, 0)
        if beyond:
            image = np.pad(image, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")
            left, top = left + beyond, top + beyond
        cut = image[top : top + side, left : left + side]
        method = cv2.INTER_AREA if side > size else cv2.INTER_LANCZOS4
        return np.ascontiguousarray(cv2.resize(cut, (size, size), interpolation=method))


def _into(start: float, side: float, limit: int) -> int:
    """Move a span of a given side into 0..limit, or centre it where it is the longer."""
    if side >= limit:
        return round((limit - side) / 2)
    return round(min(max(start, 0), limit - side))


@dataclass(frozen=True)
class Portrait:
    """A square picture of one head and shoulders, ready to be moved."""

    image: ImageArray  # (S, S, 3) uint8 sRGB
    mesh: Float32Array  # (478, 3) pixels, z toward the viewer negative
    placement: Placement  # the head's pose: how the template face stands in the image
    layers: Layers  # the person and the background

    @classmethod
    def open(cls, path: Path | str, *, size: int = DEFAULT_SIZE, face: int = 1) -> Portrait:
        """Read a picture and frame one of its faces.

        Args:
            path: an image file: a photo, a painting, a statue, a cartoon.
            size: the side of the frame in pixels, one of SIZES.
            face: which face, 1 for the largest.

        Raises:
            PortraitError: the file is no image, no face is found, there is no such face, or it
                is smaller than MIN_FACE_HEIGHT.
        """
        return cls.from_image(read_picture(Path(path)), size=size, face=face, name=str(path))

    @classmethod
    def from_image(
        cls, image: ImageArray, *, size: int = DEFAULT_SIZE, face: int = 1, name: str = "image"
    ) -> Portrait:
        """Frame one of the faces of an image, (H, W, 3) uint8 sRGB; else as ``open``."""
        if size not in SIZES:
            raise PortraitError(f"size is {size}; give one of {', '.join(map(str, SIZES))}")
        faces = find_faces(image)
        if not faces:
            raise PortraitError(f"no face found in {name}; give a picture that shows a face")
        if not 1 <= face <= len(faces):
            raise PortraitError(f"{name} shows {len(faces)} face(s); there is no face {face}")
        mesh = faces[face - 1]
        if face_height(mesh) < MIN_FACE_HEIGHT:
            raise PortraitError(
                f"the face in {name} is {face_height(mesh):.0f} pixels high; "
                f"at least {MIN_FACE_HEIGHT} are needed"
            )
        return cls._framed(image, mesh, size)

    @classmethod
    def _framed(cls, image: ImageArray, mesh: Float32Array, size: int) -> Portrait:
        """Cut the frame out and measure the face again at the frame's own scale."""
        frame = Frame.around(mesh, image.shape[1], image.shape[0])
        picture = frame.cut(image, size)
        corner = np.array([frame.left, frame.top, 0], np.float32)
        return cls.framed(picture, (mesh - corner) * np.float32(size / frame.side))

    @classmethod
    def framed(cls, picture: ImageArray, mesh: Float32Array) -> Portrait:
        """A portrait from a square picture that is framed already.

        Args:
            picture: (S, S, 3) uint8 sRGB.
            mesh: (478, 3) pixels, its face as first found.
        """
        found = mesh_face(picture)
        if found is not None and _same_face(found, mesh):
            mesh = found
        layers = split(picture, _face_mask(mesh, len(picture)))
        return cls(picture, mesh, align(mesh, template()), layers)

    @property
    def size(self) -> int:
        """The side of the frame, pixels."""
        return int(self.image.shape[0])


def _same_face(first: Float32Array, second: Float32Array) -> bool:
    """Whether two meshes lie on one face: nowhere a fifth of its height apart."""
    apart = np.linalg.norm((first - second)[:468, :2], axis=1).max()
    return bool(apart < 0.2 * face_height(second))


def _face_mask(mesh: Float32Array, size: int) -> npt.NDArray[np.bool_]:
    """True inside the oval of the face, (size, size)."""
    import cv2

    mask = np.zeros((size, size), np.uint8)
    outline = cv2.convexHull(np.rint(mesh[list(FACE_OVAL), :2]).astype(np.int32))
    cv2.fillConvexPoly(mask, outline, 1)
    return mask > 0
