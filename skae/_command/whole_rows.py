"""The most abnormal rows as they stand in the file, with their odd cells marked."""

from typing import Any

import numpy as np
import pandas as pd

from skae._command import page
from skae._command.scored import Scored
from skae._command.text import shown

# Columns, and letters of a cell, that a page has room for.
MAX_COLUMNS, MAX_LETTERS = 40, 60


def table(scored: Scored, rows: pd.DataFrame, numbers: np.ndarray) -> str:
    """Table of rows, one a line; the odd cells are marked."""
    blamed = {row: scored.blamed(row) for row in numbers}
    names = _chosen(list(rows.columns), {n for odd in blamed.values() for n in odd})
    lines: list[tuple[str | int, ...]] = [
        (
            rank,
            int(row) + 1,
            *(_cell(rows.at[row, name], name in blamed[row]) for name in names),
        )
        for rank, row in enumerate(numbers, 1)
    ]
    more = rows.shape[1] - len(names)
    return page.table(["rank", "row", *map(shown, names)], lines) + (
        page.paragraph(f"{more:,} more columns are in the file of scores.")
        if more
        else ""
    )


def _chosen(names: list[str], blamed: set[str]) -> list[str]:
    """Columns that there is room for, in their order: those that are odd first."""
    first = sorted(names, key=lambda name: name not in blamed)[:MAX_COLUMNS]
    return [name for name in names if name in first]


def _cell(value: Any, is_odd: bool) -> str:
    # Lists of Parquet files have no single answer.
    is_missing = pd.api.types.is_scalar(value) and (pd.isna(value) or value == "")
    text = "(empty)" if is_missing and is_odd else "" if is_missing else value
    text = shown(text, MAX_LETTERS)
    return page.Marked(text) if is_odd else text
