"""Values that a fitted Pipeline can make nothing of."""

from typing import Any

import pandas as pd

from skae._command.columns import MAX_NOTES, Columns
from skae._command.kinds import no_numbers
from skae._command.text import first, shown


class Strange:
    """Counts of such values, column by column."""

    def __init__(self, pipeline: Any, columns: Columns) -> None:
        self.columns = columns
        self.lost = dict.fromkeys(columns.numbers + columns.dates, 0)
        self.unseen = dict.fromkeys(columns.categories, 0)
        self.known = {}
        if columns.categories:
            encoder = pipeline[0].named_transformers_["categories"]["onehotencoder"]
            known = map(set, encoder.categories_)
            self.known = dict(zip(columns.categories, known, strict=True))

    def add(self, chunk: pd.DataFrame, rows: pd.DataFrame) -> None:
        """Count them in rows, before and after they were made to enter."""
        for name in self.lost:
            self.lost[name] += chunk[name].count() - rows[name].count()
        for name, known in self.known.items():
            self.unseen[name] += (~rows[name].dropna().isin(known)).sum()

    def notes(self) -> list[str]:
        """Say which columns have some."""
        lines = [
            f"{shown(name)}: {self._of_lost(name, count)}"
            for name, count in self.lost.items()
            if count
        ]
        lines += [
            f"{shown(name)}: values unknown from training, {count:,} of them"
            for name, count in self.unseen.items()
            if count
        ]
        return first(lines, MAX_NOTES)

    def _of_lost(self, name: str, count: int) -> str:
        if name in self.columns.dates:
            return f"values that are no dates, {count:,} of them, are missing"
        return no_numbers(count, self.columns.units.get(name, ""))
