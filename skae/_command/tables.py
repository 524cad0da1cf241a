"""Tables in CSV and Parquet files, read in chunks of text and numbers."""

import codecs
import gzip
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow
from pyarrow import parquet

from skae._command import numerals
from skae._command.errors import CommandError
from skae._command.text import visible

CHUNK_ROWS = 50_000

# What to look at to find out how a file is written.
HEAD_BYTES = 1 << 20

DELIMITERS = ",;\t|"

MISSING = ["", "?", "-", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None"]


class Table(NamedTuple):
    """A file of rows, and how it is written.

    ``bytes_per_row`` is None where only reading the file would tell.
    """

    path: Path
    is_parquet: bool
    bytes_per_row: float | None = None
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: str = "."
    lines_above: int = 0

    @property
    def name(self) -> str:
        """Name of the file, in letters that can be written and seen."""
        return visible(self.path.name.encode(errors="replace").decode())


def open_table(path: str | Path) -> Table:
    """Find out how a file is written; refuse what is no table."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise CommandError(
            f"{path} cannot be read: it is no file but a folder, a pipe or a device."
        )
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
        if head[:4] == b"PAR1":
            return Table(path, is_parquet=True)
        is_packed = head[:2] == b"\x1f\x8b"
        with (gzip.open if is_packed else open)(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            encoding = _encoding(file)
    except (OSError, EOFError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if head[:4] == b"PK\3\4":
        raise CommandError(f"{path} is an Excel or zip file: export it as CSV.")
    if b"\0" in head and encoding != "utf-16":
        raise CommandError(f"{path} is neither text nor Parquet.")
    if not head.strip():
        raise CommandError(f"{path} is empty.")
    # The last line of the head may be cut within a character.
    text = head.decode(encoding, errors="ignore")
    # Excel may name the delimiter above the header.
    table = re.sub(r"\A\s*(?:sep=.\s*\n)?\s*", "", text)
    delimiter, decimal = _punctuation(table)
    above = text[: len(text) - len(table)]
    return Table(
        path,
        is_parquet=False,
        bytes_per_row=None if is_packed else len(head) / max(head.count(b"\n"), 1),
        encoding=encoding,
        delimiter=delimiter,
        decimal=decimal,
        lines_above=above.count("\n"),
    )


def _encoding(file: Any) -> str:
    """UTF-16 by its mark, UTF-8, or else Latin-1, where every byte is a letter."""
    if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while part := file.read(HEAD_BYTES):
            decoder.decode(part)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    return "utf-8-sig"


def _punctuation(text: str) -> tuple[str, str]:
    """Delimiter of the cells and decimal sign of the numbers."""
    header, _, rows = re.sub(r"\r\n?", "\n", text).partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    cells = pd.Series(re.split(rf"[\n{re.escape(delimiter)}]", rows)).str.strip(' "')
    # Where commas part the cells, none is in a number.
    return delimiter, "." if delimiter == "," else numerals.decimal_sign(cells, ".")


def rows_about(table: Table) -> float | None:
    """About how many rows a file has; None where only reading it would tell."""
    if table.bytes_per_row is None:
        return None
    return table.path.stat().st_size / table.bytes_per_row


def chunks(
    table: Table, texts: Sequence[str] | None = None, verbatim: Sequence[str] = ()
) -> Iterator[pd.DataFrame]:
    """Rows in data frames, indexed from 0 on.

    Of text files, the columns ``texts`` stay text; None: all of them. In those of
    ``verbatim``, only an empty cell is a missing value.
    """
    start = 0
    try:
        parts = (
            _parquet_chunks(table)
            if table.is_parquet
            else _text_chunks(table, texts, verbatim)
        )
        for chunk in parts:
            chunk.columns = chunk.columns.map(str)
            chunk.index = pd.RangeIndex(start, start + len(chunk))
            start += len(chunk)
            yield chunk
    except (OSError, EOFError, ValueError, pd.errors.ParserError) as error:
        line = " ".join(str(error).split())
        raise CommandError(f"{table.path} cannot be read: {line}") from error
    except pd.errors.ParserWarning as warning:
        raise CommandError(
            f"{table.path} cannot be read: its rows have more cells than its first "
            "line has names. Is that a title, or does a column lack its name?"
        ) from warning
    if start == 0:
        raise CommandError(f"{table.path} has no rows below its header.")


def _text_chunks(
    table: Table, texts: Sequence[str] | None, verbatim: Sequence[str]
) -> Iterator[pd.DataFrame]:
    options = {
        "sep": table.delimiter,
        "encoding": table.encoding,
        "skipinitialspace": True,
        "skiprows": table.lines_above,
        # Blank lines are rows too, so that rows have the numbers they have in the file.
        "skip_blank_lines": False,
        "index_col": False,
        # Only packed files do not tell how long their rows are.
        "compression": "gzip" if table.bytes_per_row is None else None,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        names = pd.read_csv(table.path, nrows=0, **options).columns
        with pd.read_csv(
            table.path,
            dtype=str if texts is None else dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values={n: [""] if n in verbatim else MISSING for n in names},
            # Otherwise a column may change its type within a chunk, with a warning.
            low_memory=False,
            chunksize=CHUNK_ROWS,
            **options,
        ) as reader:
            yield from reader


def _parquet_chunks(table: Table) -> Iterator[pd.DataFrame]:
    with parquet.ParquetFile(table.path) as file:
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise ValueError("two of its columns have the same name.")
        for batch in file.iter_batches(CHUNK_ROWS):
            # Without an index that pandas may have kept in the file.
            yield pyarrow.Table.from_batches([batch]).to_pandas(ignore_metadata=True)


def sample(
    parts: Iterable[pd.DataFrame], size: int, rng: np.random.Generator
) -> tuple[pd.DataFrame, int]:
    """Draw a random sample of the rows, in their order; and count all rows."""
    kept, n_rows = Kept(size), 0
    for chunk in parts:
        n_rows += len(chunk)
        kept.add(chunk, rng.random(len(chunk)))
    return kept.rows, n_rows


class Kept:
    """Rows of the smallest keys among all that were added, in their order."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.rows: Any = None
        self.keys = np.empty(0)

    def add(self, rows: pd.DataFrame, keys: np.ndarray) -> None:
        """Take further rows into account."""
        self.rows = rows if self.rows is None else pd.concat([self.rows, rows])
        self.keys = np.r_[self.keys, keys]
        if len(self.rows) > self.size:
            smallest = np.sort(np.argpartition(self.keys, self.size)[: self.size])
            self.rows, self.keys = self.rows.iloc[smallest], self.keys[smallest]
