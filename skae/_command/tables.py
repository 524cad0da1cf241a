"""Tables in CSV and Parquet files, read in chunks of text and numbers."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pyarrow import parquet

from skae._command.errors import CommandError

CHUNK_ROWS = 50_000

# What to look at to find out how a file is written.
HEAD_BYTES = 1 << 20

DELIMITERS = ",;\t|"


class Table(NamedTuple):
    """A file of rows, and how it is written; None where the bytes of a row vary."""

    path: Path
    is_parquet: bool
    bytes_per_row: float | None = None
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: str = "."


def open_table(path):
    """Find out how a file is written; refuse what is no table."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        is_packed = head[:2] == b"\x1f\x8b"
        if is_packed:
            with gzip.open(path) as file:
                head = file.read(HEAD_BYTES)
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if head[:4] == b"PAR1":
        return Table(path, is_parquet=True)
    if b"\0" in head:
        raise CommandError(f"{path} is neither text nor Parquet.")
    if not head.strip():
        raise CommandError(f"{path} is empty.")
    table = _text_table(path, head)
    if is_packed:
        return table
    return table._replace(bytes_per_row=len(head) / max(head.count(b"\n"), 1))


def _text_table(path, head):
    encoding = "utf-8-sig"
    try:
        # The last line may be cut within a character.
        text = head[: head.rfind(b"\n") + 1 or None].decode(encoding)
    except UnicodeDecodeError:
        # Every byte is a character there.
        encoding = "latin-1"
        text = head.decode(encoding)
    header, _, rows = text.partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    cells = pd.Series(rows.replace("\n", delimiter).split(delimiter)).str.strip(' "\r')
    commas = cells.str.fullmatch(r"[-+]?\d+,\d+").sum()
    points = cells.str.fullmatch(r"[-+]?\d+\.\d+").sum()
    decimal = "," if delimiter != "," and commas > points else "."
    return Table(path, False, None, encoding, delimiter, decimal)


def rows_about(table):
    """About how many rows a file has; None where only reading it would tell."""
    if table.bytes_per_row is None:
        return None
    return table.path.stat().st_size / table.bytes_per_row


def chunks(table, texts=None) -> Iterator[pd.DataFrame]:
    """Rows in data frames, indexed from 0 on.

    Of text files, the columns ``texts`` stay text; None: all of them.
    """
    reader = _parquet_chunks if table.is_parquet else _text_chunks
    start = 0
    try:
        for chunk in reader(table, texts):
            chunk.columns = chunk.columns.map(str)
            chunk.index = pd.RangeIndex(start, start + len(chunk))
            start += len(chunk)
            yield chunk
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        line = " ".join(str(error).split())
        raise CommandError(f"{table.path} cannot be read: {line}") from error
    if start == 0:
        raise CommandError(f"{table.path} has no rows below its header.")


def _text_chunks(table, texts):
    with pd.read_csv(
        table.path,
        sep=table.delimiter,
        encoding=table.encoding,
        dtype=str if texts is None else dict.fromkeys(texts, str),
        # Otherwise a column may change its type within a chunk, with a warning.
        low_memory=False,
        na_values=["?", "-", ""],
        skipinitialspace=True,
        index_col=False,
        chunksize=CHUNK_ROWS,
        compression="infer" if table.path.suffix == ".gz" else None,
    ) as reader:
        yield from reader


def _parquet_chunks(table, texts):
    with parquet.ParquetFile(table.path) as file:
        for batch in file.iter_batches(CHUNK_ROWS):
            yield batch.to_pandas()


def sample(parts, size, rng):
    """Draw a random sample of the rows, in their order; and count all rows."""
    kept, n_rows = Kept(size), 0
    for chunk in parts:
        n_rows += len(chunk)
        kept.add(chunk, rng.random(len(chunk)))
    return kept.rows, n_rows


class Kept:
    """Rows of the smallest keys among all that were added, in their order."""

    def __init__(self, size):
        self.size = size
        self.rows = None
        self.keys = np.empty(0)

    def add(self, rows, keys):
        """Take further rows into account."""
        self.rows = rows if self.rows is None else pd.concat([self.rows, rows])
        self.keys = np.r_[self.keys, keys]
        if len(self.rows) > self.size:
            smallest = np.sort(np.argpartition(self.keys, self.size)[: self.size])
            self.rows, self.keys = self.rows.iloc[smallest], self.keys[smallest]


def numbers(column, decimal="."):
    """Float64 values of a column; NaN for what is no finite number."""
    if column.dtype.kind not in "biuf":
        text = column.astype("str").str.strip()
        column = text.str.replace(",", ".", regex=False) if decimal == "," else text
    values = pd.to_numeric(column, errors="coerce").to_numpy(
        np.float64, na_value=np.nan
    )
    return np.where(np.isfinite(values), values, np.nan)
