"""The file of scores: a line for each row, with its cells as they stood."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd
import pyarrow
from pyarrow import csv

from skae._command.errors import CommandError, writing
from skae._command.formulas import escaped
from skae._command.scored import Scored


def write(
    scored: Scored,
    chunks: Iterable[pd.DataFrame],
    used: Sequence[str],
    options: Namespace,
) -> pd.DataFrame:
    """Write the scores beside the rows, and return the most abnormal of these.

    ``options.columns`` says which columns of the rows are written.
    """
    worst, kept = scored.worst_rows, []
    with writing(options.out) as path, open(path, "wb") as file:
        for i, (lines, rows) in enumerate(_side_by_side(scored.lines(), chunks)):
            kept.append(rows[rows.index.isin(worst)])
            wanted = _wanted(list(rows.columns), used, options)
            _write_lines(_joined(lines, rows, wanted, options.id), file, header=not i)
    return pd.concat(kept)


def _wanted(names: list[str], used: Sequence[str], options: Namespace) -> list[str]:
    """Columns to write behind the scores."""
    chosen = {"all": names, "used": used, "none": ()}[options.columns]
    return [name for name in names if name in chosen and name != options.id]


def _side_by_side(
    lines: Iterable[pd.DataFrame], chunks: Iterable[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Pair lines with as many rows; both come in parts of any size."""
    lines = iter(lines)
    waiting = pd.DataFrame()
    for rows in chunks:
        while len(waiting) < len(rows):
            more = next(lines, None)
            if more is None:
                raise CommandError("the file has grown while it was read.")
            waiting = pd.concat([waiting, more]) if len(waiting) else more
        yield waiting.iloc[: len(rows)], rows
        waiting = waiting.iloc[len(rows) :]
    if len(waiting) or any(len(more) for more in lines):
        raise CommandError("the file has shrunk while it was read.")


def _joined(
    lines: pd.DataFrame, rows: pd.DataFrame, wanted: Sequence[str], row_id: str | None
) -> pyarrow.Table:
    made = pyarrow.Table.from_pandas(lines, preserve_index=False)
    if row_id is not None:
        made = made.add_column(1, _name(row_id, made), _cells(rows[row_id]))
    for name in wanted:
        made = made.append_column(_name(name, made), _cells(rows[name]))
    return made


def _name(name: str, table: pyarrow.Table) -> str:
    """Name of a column, apart from those that are there."""
    (safe,) = escaped(pyarrow.array([name])).to_pylist()
    while safe in table.column_names:
        safe += " (file)"
    return safe


def _cells(column: pd.Series) -> Any:
    """Cells to write: numbers, truths, and text of everything else."""
    kinds = pyarrow.types
    try:
        cells = pyarrow.array(column, from_pandas=True)
        if kinds.is_dictionary(cells.type):
            cells = cells.cast(cells.type.value_type)
        kind = cells.type
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
        # Values of several types.
        kind = pyarrow.null()
    if kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_boolean(kind):
        return cells
    if not (kinds.is_string(kind) or kinds.is_large_string(kind)):
        cells = pyarrow.array(column.map(str, na_action="ignore"), pyarrow.string())
    return escaped(cells)


def _write_lines(lines: pyarrow.Table, file: Any, *, header: bool) -> None:
    """Write lines, with quotes around text only where some of it needs them."""
    for style in ("none", "needed"):
        buffer = pyarrow.BufferOutputStream()
        options = csv.WriteOptions(include_header=header, quoting_style=style)
        try:
            # Much faster than pandas.
            csv.write_csv(lines, buffer, options)
        except pyarrow.ArrowInvalid:
            if style == "needed":
                raise
        else:
            file.write(buffer.getvalue())
            return
