"""Text of files, made fit for a line of the terminal."""

import re
from collections.abc import Sequence
from typing import Any

# What moves the cursor, ends the line or turns the direction of letters.
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

MAX_LETTERS, MAX_ITEMS = 100, 10


def visible(text: Any) -> str:
    """Text whose control characters are spelt out."""
    return CONTROLS.sub(lambda control: ascii(control[0])[1:-1], str(text))


def shown(text: Any, at_most: int = MAX_LETTERS) -> str:
    """Visible text, cut where it is long."""
    text = str(text)
    return visible(text if len(text) <= at_most else f"{text[:at_most]}...")


def first(items: Sequence[Any], at_most: int = MAX_ITEMS) -> list[Any]:
    """Return the first of many items, and how many more there are."""
    more = len(items) - at_most
    return [*items[:at_most], f"... and {more:,} more"] if more > 0 else list(items)


def listed(items: Sequence[Any]) -> str:
    """Name the first of many items."""
    return ", ".join(map(shown, first(items)))
