"""What scoring a file gives."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow

from skae._command.formulas import escaped
from skae._command.text import shown
from skae.inspection import Reason

# Lines to write in one go.
LINES = 50_000

# Where no cell alone makes a row odd.
NO_CELL = "an unusual combination: no single column"


class Scored(NamedTuple):
    """Scores of a file; arrays have an entry for each of its rows.

    ``worst`` are the columns that make most of the scores, and ``shares`` how much.
    ``top`` and ``others`` are the most abnormal rows and a random sample, as they
    enter the Pipeline, indexed by the number of the row, from 0 on. ``why`` has the
    reasons of the most abnormal ones. There are no ``p_values`` of rows that trained.
    """

    scores: np.ndarray
    p_values: np.ndarray | None
    worst: np.ndarray
    shares: np.ndarray
    names: list[str]
    offset: float
    top: pd.DataFrame
    others: pd.DataFrame
    why: dict[int, list[Reason]]

    @property
    def has_score(self) -> np.ndarray:
        """Whether each row has a score; rows without any value have none."""
        return ~np.isnan(self.scores)

    @property
    def is_flagged(self) -> np.ndarray:
        """Whether each row is an outlier; rows without a score are not."""
        return self.scores < self.offset

    @property
    def ranks(self) -> np.ndarray:
        """Rank of each row, 1 for the most abnormal; 0 for rows without a score."""
        order = np.argsort(self.scores, kind="stable")
        ranks = np.empty(len(order), np.int64)
        ranks[order] = np.arange(1, len(order) + 1)
        return np.where(np.isnan(self.scores), 0, ranks)

    @property
    def worst_rows(self) -> np.ndarray:
        """Numbers of the rows kept as the most abnormal, the worst first."""
        rows = self.top.index.to_numpy()
        rows = rows[~np.isnan(self.scores[rows])]
        return rows[np.argsort(self.scores[rows], kind="stable")]

    @property
    def flagged_share(self) -> str:
        """How many rows are flagged, in words."""
        flagged, n_rows = int(self.is_flagged.sum()), int(self.has_score.sum())
        return (
            f"{flagged:,} of {n_rows:,} rows ({percent(flagged / n_rows)}) are flagged"
        )

    def blamed(self, row: int) -> list[str]:
        """Columns of the cells that make a row odd, the worst first."""
        return [reason.column for reason in self.why.get(int(row), [])]

    def reasons(self, row: int) -> list[str]:
        """Say what makes a row odd."""
        return [shown(reason) for reason in self.why.get(int(row), [])] or [NO_CELL]

    def lines(self) -> Iterator[pd.DataFrame]:
        """Table to write, in parts: a line for each row, in the order of the file."""
        named = escaped(pyarrow.array(self.names, pyarrow.string()))
        names = np.array(named.to_pylist(), dtype=object)
        ranks, flagged = self.ranks, self.is_flagged
        for start in range(0, len(ranks), LINES):
            part = slice(start, start + LINES)
            rank = pd.array(ranks[part], dtype="Int64")
            outlier = pd.array(flagged[part].astype(int), dtype="Int64")
            rank[ranks[part] == 0] = outlier[ranks[part] == 0] = pd.NA
            lines = pd.DataFrame(
                {
                    "row": np.arange(start, start + len(rank)) + 1,
                    "rank": rank,
                    "score": self.scores[part].round(6),
                }
            )
            if self.p_values is not None:
                lines["p_value"] = self.p_values[part].round(6)
            lines["outlier"] = outlier
            for i in range(self.worst.shape[1]):
                share = self.shares[part, i].astype(np.float64).round(3)
                worst = names[self.worst[part, i]]
                lines[f"feature_{i + 1}"] = np.where(np.isnan(share), None, worst)
                lines[f"share_{i + 1}"] = share
            yield lines


def percent(share: float) -> str:
    """Share in percent, with a digit where it is small."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{share:.0%}".replace("%", " %")
