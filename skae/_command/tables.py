"""Tables in CSV, Parquet and Excel files, read in chunks of text and numbers."""

import codecs
import gzip
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
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

# Beginnings of zip files, which new Excel files are, and of old Excel files.
EXCEL = b"PK\3\4", b"\xd0\xcf\x11\xe0"

# Lines to look at to find out whether spaces part the columns.
MAX_LINES = 100

DELIMITERS = ",;\t|"

# Where there is none of them, and what it then parts are as many cells in all lines.
SPACES = r"\s+"

MISSING = ["", "?", "-", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None"]


class Table(NamedTuple):
    """A file of rows, and how it is written.

    ``bytes_per_row`` is None where only reading the file would tell. Without
    ``has_names``, the first line is a row too.
    """

    path: Path
    is_parquet: bool
    bytes_per_row: float | None = None
    encoding: str = "utf-8-sig"
    delimiter: str = ","
    decimal: str = "."
    lines_above: int = 0
    has_names: bool = True
    is_excel: bool = False

    @property
    def name(self) -> str:
        """Name of the file, in letters that can be written and seen."""
        return visible(self.path.name.encode(errors="replace").decode())


def open_table(
    path: str | Path, encoding: str | None = None, *, has_names: bool = True
) -> Table:
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
        if head[:4] in EXCEL:
            _check_excel(path, head)
            return Table(path, is_parquet=False, is_excel=True, has_names=has_names)
        is_packed = head[:2] == b"\x1f\x8b"
        with (gzip.open if is_packed else open)(path, "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            encoding = encoding or _encoding(file)
    except (OSError, EOFError) as error:
        why = getattr(error, "strerror", None) or error
        raise CommandError(f"{path} cannot be read: {why}") from error
    if b"\0" in head and "16" not in encoding and "32" not in encoding:
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
        has_names=has_names,
    )


def _check_excel(path: Path, head: bytes) -> None:
    """Refuse old Excel files, other packed ones, and all where a package lacks."""
    if head[:4] != EXCEL[0] or not zipfile.is_zipfile(path):
        raise CommandError(
            f"{path} is an old or torn Excel file, or no table: export it as CSV."
        )
    with zipfile.ZipFile(path) as file:
        if "xl/workbook.xml" not in file.namelist():
            raise CommandError(f"{path} is a zip file: unpack it, or export it as CSV.")
    if find_spec("openpyxl") is None:
        raise CommandError(
            f"{path} is an Excel file, which needs openpyxl: pip install openpyxl, or "
            "export it as CSV."
        )


def _encoding(file: Any) -> str:
    """UTF-16 by its mark or its zeros, UTF-8, or else what Windows writes.

    Where that lacks a letter, Latin-1, where every byte is one.
    """
    head = file.read(1000)
    if head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    for first, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        # Of most letters, one byte of two is zero, and the other is not.
        if head[first::2].count(0) > len(head) / 4 and not head[1 - first :: 2].count(
            0
        ):
            return name
    file.seek(0)
    decoders = {
        "utf-8-sig": codecs.getincrementaldecoder("utf-8")(),
        "cp1252": codecs.getincrementaldecoder("cp1252")(),
    }
    while decoders:
        part = file.read(HEAD_BYTES)
        for name, decoder in list(decoders.items()):
            try:
                decoder.decode(part, final=not part)
            except UnicodeDecodeError:
                del decoders[name]
        if not part:
            break
    return next(iter(decoders), "latin-1")


def _punctuation(text: str) -> tuple[str, str]:
    """Delimiter of the cells and decimal sign of the numbers."""
    header, _, rows = re.sub(r"\r\n?", "\n", text).partition("\n")
    delimiter = max(DELIMITERS, key=header.count)
    if delimiter not in header and _has_columns_of_spaces(header, rows):
        return SPACES, numerals.decimal_sign(pd.Series(rows.split()), ".")
    cells = pd.Series(re.split(rf"[\n{re.escape(delimiter)}]", rows)).str.strip(' "')
    # Where commas part the cells, none is in a number.
    return delimiter, "." if delimiter == "," else numerals.decimal_sign(cells, ".")


def _has_columns_of_spaces(header: str, rows: str) -> bool:
    """Whether lines are the same number of words, most of which are numbers."""
    # The last line may be cut.
    words = [line.split() for line in rows.split("\n")[:MAX_LINES] if line.strip()][:-1]
    n_columns = len(header.split())
    if n_columns < 2 or not words or any(len(line) != n_columns for line in words):
        return False
    values = numerals.numbers(pd.Series([word for line in words for word in line]))
    return bool(np.isnan(values).mean() < 0.5)


def rows_about(table: Table) -> float | None:
    """About how many rows a file has; None where only reading it would tell."""
    if table.bytes_per_row is None:
        return None
    return table.path.stat().st_size / table.bytes_per_row


def chunks(
    table: Table,
    texts: Sequence[str] | None = None,
    verbatim: Sequence[str] = (),
    *,
    raw: bool = False,
) -> Iterator[pd.DataFrame]:
    """Rows in data frames, indexed from 0 on.

    Of text files, the columns ``texts`` stay text; None: all of them. In those of
    ``verbatim``, only an empty cell is a missing value. If ``raw``, all cells are text
    as it stands in the file.
    """
    start = 0
    try:
        if table.is_parquet:
            parts = _parquet_chunks(table)
        elif table.is_excel:
            parts = _excel_chunks(table)
        else:
            parts = _text_chunks(table, texts, verbatim, raw)
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
    table: Table, texts: Sequence[str] | None, verbatim: Sequence[str], raw: bool
) -> Iterator[pd.DataFrame]:
    options: dict[str, Any] = {
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
        if table.has_names:
            names = pd.read_csv(table.path, nrows=0, **options).columns
        else:
            names = _numbered(pd.read_csv(table.path, nrows=1, header=None, **options))
            options |= {"names": names, "header": None}
        missing = {n: [""] if n in verbatim else MISSING for n in names}
        with pd.read_csv(
            table.path,
            dtype=str if texts is None else dict.fromkeys(texts, str),
            keep_default_na=False,
            na_values=None if raw else missing,
            na_filter=not raw,
            # Otherwise a column may change its type within a chunk, with a warning.
            low_memory=False,
            chunksize=CHUNK_ROWS,
            **options,
        ) as reader:
            yield from reader


def _numbered(rows: pd.DataFrame) -> list[str]:
    """Names for columns that have none."""
    return [f"column {i + 1}" for i in range(rows.shape[1])]


def _excel_chunks(table: Table) -> Iterator[pd.DataFrame]:
    """Rows of the first sheet, which is read as a whole."""
    head = 0 if table.has_names else None
    rows = pd.read_excel(
        table.path,
        header=head,
        keep_default_na=False,
        na_values=MISSING,
        engine="openpyxl",
    )
    if not table.has_names:
        rows.columns = _numbered(rows)
    for start in range(0, len(rows), CHUNK_ROWS):
        yield rows.iloc[start : start + CHUNK_ROWS]


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
