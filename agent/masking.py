"""Numbers and texts as they may stand in a log."""

from __future__ import annotations

_SHOWN_DIGITS = 4
_is_plain = False


def masked(number: str) -> str:
    """The last four digits of a number; a name (alphanumeric sender) keeps its first letter."""
    if _is_plain:
        return number
    if any(character.isdigit() for character in number):
        return f"…{number[-_SHOWN_DIGITS:]}"
    return f"{number[:1]}…"


def show_numbers() -> None:
    """The owner chose plain numbers in logs (`agent.log_numbers = "plain"`)."""
    global _is_plain  # noqa: PLW0603 - one process-wide choice, made once at start
    _is_plain = True
