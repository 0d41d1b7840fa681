# SPDX-License-Identifier: GPL-2.0-or-later
"""Where the frames of a Speex payload begin (the Speex manual, chapter 9 and 10: bit allocation of the modes).

libspeex writes a line to standard error for every payload that it cannot make sense of, and anybody can send those by the thousand;
so what it would complain about is found here first.

    payload = frame … frame, padding        frame = (message)* narrow band, wide-band layer (0 to 2)
"""

from __future__ import annotations

NARROW_BITS = (5, 43, 119, 160, 220, 300, 364, 492, 79)
"""Length of a narrow-band frame by its mode, mode included."""

LAYER_BITS = (4, 36, 112, 192, 352)
"""Length of a wide-band layer by its mode, mode included; modes above are none."""

LAYER_MODES = (5, 2)
"""How many modes the layer to 8 kHz and the one to 16 kHz have."""

MESSAGE, USER_MESSAGE = 14, 13
MESSAGE_BITS = (1, 1, 4, 4, 4, 4, 4, 4, 8, 8, 16, 16, 32, 32, 64, 64)
"""Length of a message between coder and decoder by its kind."""


class Bits:
    """The bits of a payload; behind its end are zeros."""

    def __init__(self, payload: bytes) -> None:
        self._value = int.from_bytes(payload, "big")
        self.length = 8 * len(payload)
        self.at = 0

    def peek(self, count: int) -> int:
        """The next bits."""
        left = self.length - self.at - count
        value = self._value >> left if left >= 0 else self._value << -left
        return value & ((1 << count) - 1)

    def take(self, count: int) -> int:
        """The next bits, which are then behind."""
        value = self.peek(count)
        self.at += count
        return value

    @property
    def left(self) -> int:
        """How many there still are."""
        return max(self.length - self.at, 0)


def whole_frames(payload: bytes, layers: int, most: int) -> int:
    """Return how many frames stand at a payload's beginning that libspeex takes, at most `most`.

    `layers`: wide-band layers a frame: 0 at 8 kHz, 1 at 16, 2 at 32.
    """
    bits, count = Bits(payload), 0
    while count < most and bits.left >= 5 and _skip_frame(bits, layers):
        count += 1
    return count


def _skip_frame(bits: Bits, layers: int) -> bool:
    """Pass over a frame; False where there is none, or one that is cut off."""
    while bits.left >= 5 and not bits.peek(1):
        mode = bits.take(5)
        if mode == MESSAGE:
            bits.take(MESSAGE_BITS[bits.take(4)])
        elif mode == USER_MESSAGE:
            bits.take(5 + 8 * bits.take(4))
        elif mode < len(NARROW_BITS):
            bits.take(NARROW_BITS[mode] - 5)
            return all(_skip_layer(bits, modes) for modes in LAYER_MODES[:layers]) and bits.at <= bits.length
        else:
            return False
    return False


def _skip_layer(bits: Bits, modes: int) -> bool:
    """Pass over a wide-band layer, which may be left out; False where its mode is none."""
    if bits.left < 4 or not bits.peek(1):
        return True
    mode = bits.take(4) & 7
    if mode >= modes:
        return False
    bits.take(LAYER_BITS[mode] - 4)
    return True
