"""A cursor over octets that turns every step past the end into a DecodeError with its place.

It knows field names and offsets, and nothing about what the fields mean.
"""

from __future__ import annotations

from .errors import DecodeError


class Reader:
    """Reads `octets` from the front; `path` is the prefix of every field name in an error."""

    __slots__ = ("_octets", "_path", "at")

    def __init__(self, octets: bytes, path: str) -> None:
        self._octets = octets
        self._path = path
        self.at = 0

    @property
    def left(self) -> int:
        """Octets not yet read."""
        return len(self._octets) - self.at

    def octet(self, field: str) -> int:
        return self.take(1, field)[0]

    def take(self, octets: int, field: str) -> bytes:
        """Raises: DecodeError when fewer than `octets` are left."""
        if octets > self.left:
            raise self.error(field, f"needs {octets} octets, {self.left} are left")
        taken = self._octets[self.at : self.at + octets]
        self.at += octets
        return taken

    def rest(self) -> bytes:
        return self.take(self.left, "rest")

    def error(self, field: str, why: str) -> DecodeError:
        return DecodeError(f"{self._path}.{field}", self.at, why)
