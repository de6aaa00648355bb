"""How many bits per second a viewer's way carries: fewer as soon as it is slow, more with patience.

Additive increase and multiplicative decrease as in TCP (RFC 5681), on a ladder of rates, because
each change costs a key frame. A rung that proved too high is tried again after twice the time.
"""

from __future__ import annotations

# bit/s: more than a face needs, then about 0.7 of the one before each. On the lowest, a face of 512
# pixels is still well recognisable.
LADDER = (4_000_000, 2_000_000, 1_400_000, 1_000_000, 700_000, 500_000, 350_000)
SETTLING = 1.0  # seconds that a lower rate has to take effect
PATIENCE, MAX_PATIENCE = 5.0, 60.0  # seconds without trouble before the next rung is tried
MAX_LAG = 0.25  # seconds that a frame may be on its way


class Allowance:
    """What one viewer may be sent."""

    def __init__(self) -> None:
        self._rung = 0
        self._changed = self._troubled = float("-inf")  # when
        self._climbed = False  # whether the last change was upward
        self._patience = PATIENCE

    @property
    def bit_rate(self) -> int:
        """bit/s."""
        return LADDER[self._rung]

    def report(self, now: float, *, slow: bool) -> bool:
        """Take in how the last moments went; gives whether the bit rate has changed.

        Args:
            now: seconds of any clock that does not jump.
            slow: whether less arrived than was sent.
        """
        before = self._rung
        if slow:
            self._step_down(now)
        elif now - max(self._changed, self._troubled) > self._patience:
            self._step_up(now)
        return self._rung != before

    def _step_down(self, now: float) -> None:
        self._troubled = now
        if now - self._changed < SETTLING or self._rung == len(LADDER) - 1:
            return
        if self._climbed:
            self._patience = min(2 * self._patience, MAX_PATIENCE)
        self._rung, self._changed, self._climbed = self._rung + 1, now, False

    def _step_up(self, now: float) -> None:
        if self._rung:
            self._rung, self._changed, self._climbed = self._rung - 1, now, True
