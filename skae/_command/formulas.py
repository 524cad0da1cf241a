"""Text that a spreadsheet would compute, marked so that it stays text."""

from typing import Any

import pyarrow
from pyarrow import compute

# Beginnings of formulas, and what begins like one: numbers, and a mere dash.
FORMULA = r"^[-=+@\t\r\n]"
NUMBER = r"^(?:[-+]?\d[\d.,]*(?:[eE][-+]?\d+)?(?: ?[%€$£])?|-)$"


def escaped(cells: Any) -> Any:
    """Mark with an apostrophe what is no number but looks like a formula."""
    looks = compute.match_substring_regex(cells, FORMULA)
    is_formula = compute.and_not(looks, compute.match_substring_regex(cells, NUMBER))
    if not compute.any(is_formula).as_py():
        return cells
    mark, end = (pyarrow.scalar(text, cells.type) for text in ("'", ""))
    marked = compute.binary_join_element_wise(mark, cells, end)
    return compute.if_else(is_formula, marked, cells)
