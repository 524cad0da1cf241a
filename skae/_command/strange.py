"""Values that a fitted Pipeline can make nothing of."""

from typing import Any

import pandas as pd

from skae._command.columns import MAX_NOTES, Columns
from skae._command.kinds import missing, no_numbers
from skae._command.text import first, shown


class Strange:
    """Counts of such values, column by column."""

    def __init__(self, pipeline: Any, columns: Columns) -> None:
        self.columns = columns
        self.lost = dict.fromkeys(columns.numbers + columns.dates, 0)
        self.examples: dict[str, pd.Series] = {}
        self.unseen = dict.fromkeys(columns.categories, 0)
        self.known = {}
        if columns.categories:
            encoder = pipeline[0].named_transformers_["categories"]["onehotencoder"]
            known = map(set, encoder.categories_)
            self.known = dict(zip(columns.categories, known, strict=True))

    def add(self, chunk: pd.DataFrame, rows: pd.DataFrame) -> None:
        """Count them in rows, before and after they were made to enter."""
        for name in self.lost:
            is_lost = chunk[name].notna().to_numpy() & rows[name].isna().to_numpy()
            self.lost[name] += int(is_lost.sum())
            if is_lost.any():
                self.examples.setdefault(name, chunk[name][is_lost][:1])
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
            return f"values that are no dates, {missing(self.examples[name], count)}"
        unit = self.columns.units.get(name, "")
        return no_numbers(self.examples[name], unit, count)
