"""Files as people have them: what is made of each, and what is said."""

import gzip
import io
import re
from argparse import Namespace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from skae._command import columns, score, tables
from skae._command.errors import CommandError
from tests.command.helpers import error_of, run

N = 60


def noise(i, mean=50.0):
    """The same numbers for each test, which look like any."""
    return mean + 10 * np.random.default_rng(i).normal()


def lines(header, row, n=N, end="\n"):
    return end.join([header, *(row(i) for i in range(n)), ""])


def plain(i):
    return f"{noise(i):.2f},{noise(i + 500):.1f},{'abc'[i % 3]}"


def german(i):
    return (
        f"{noise(i):.2f};{1000 + noise(i + 500):,.2f}".replace(",", "_")
        .replace(".", ",")
        .replace("_", ".")
    )


def excel(table, **options):
    pytest.importorskip("openpyxl")
    file = io.BytesIO()
    table.to_excel(file, **options)
    return file.getvalue()


def parquet(table):
    file = io.BytesIO()
    table.to_parquet(file)
    return file.getvalue()


def frame_of(n=N):
    return pd.DataFrame(
        {
            "when": pd.date_range("2024-01-01", periods=n, freq="31h"),
            "x": [noise(i) for i in range(n)],
            "shop": ["abc"[i % 3] for i in range(n)],
        }
    )


PLAIN = "x,y,kind"

# Name of the file, its content, options, and what is said among other things.
FILES = {
    "plain.csv": (lines(PLAIN, plain), [], ["numbers: x, y", "categories: kind"]),
    "windows.csv": (lines(PLAIN, plain, end="\r\n"), [], ["numbers: x, y"]),
    "old_mac.csv": (lines(PLAIN, plain, end="\r"), [], ["numbers: x, y"]),
    "tabs.tsv": (lines(PLAIN, plain).replace(",", "\t"), [], ["numbers: x, y"]),
    "bars.txt": (lines(PLAIN, plain).replace(",", "|"), [], ["numbers: x, y"]),
    "spaces.csv": (lines(PLAIN, plain).replace(",", ", "), [], ["numbers: x, y"]),
    "columns_of_spaces.data": (
        lines("  x   y kind", lambda i: f" {plain(i)}".replace(",", "  ")),
        [],
        ["numbers: x, y", "categories: kind"],
    ),
    "words.csv": (
        lines("full name", lambda i: f"Ann{i % 7} Lee"),
        [],
        ["categories: full name", "Is the delimiter another"],
    ),
    "german.csv": (lines("Preis;Summe", german), [], ["numbers: Preis, Summe"]),
    "sep_line.csv": ("sep=;\n" + lines("a;b", german), [], ["numbers: a, b"]),
    "blank_above.csv": ("\n\n" + lines(PLAIN, plain), [], ["numbers: x, y"]),
    "title.csv": (
        "Report of sales,,\n" + lines(PLAIN, plain),
        [],
        ["The first line holds few names: is it a title?"],
    ),
    "no_names.csv": (
        "".join(f"{noise(i):.2f},{noise(i + 500):.1f}\n" for i in range(N)),
        [],
        ["does the file lack a line of names? Then --no-header reads it."],
    ),
    "no_names_said.csv": (
        "".join(f"{noise(i):.2f},{noise(i + 500):.1f}\n" for i in range(N)),
        ["--no-header"],
        ["numbers: column 1, column 2"],
    ),
    "same_names.csv": (lines("x,x,kind", plain), [], ["numbers: x, x.1"]),
    "no_first_name.csv": (
        lines(",x,y,kind", lambda i: f"{i},{plain(i)}"),
        [],
        ["Unnamed: 0: ignored, integers that only count the rows"],
    ),
    "utf8_mark.csv": (b"\xef\xbb\xbf" + lines(PLAIN, plain).encode(), [], ["x, y"]),
    "utf16.csv": (
        lines("Größe,y,kind", plain).encode("utf-16"),
        [],
        ["numbers: Größe, y"],
    ),
    "utf16_no_mark.csv": (
        lines("Größe,y,kind", plain).encode("utf-16-le"),
        [],
        ["numbers: Größe, y"],
    ),
    "euro.csv": (
        lines("Preis €;y", german).encode("cp1252"),
        [],
        ["numbers: Preis €, y"],
    ),
    "cyrillic.csv": (
        lines("цена,y,kind", plain).encode("cp1251"),
        ["--encoding", "cp1251"],
        ["numbers: цена, y"],
    ),
    "packed.csv.gz": (gzip.compress(lines(PLAIN, plain).encode()), [], ["x, y"]),
    "table.parquet": (parquet, [], ["numbers: x", "dates: when"]),
    "sheet.xlsx": (
        lambda table: excel(table, index=False),
        [],
        ["numbers: x", "dates: when", "categories: shop"],
    ),
    "units.csv": (
        lines("weight,speed,share", lambda i: f"{noise(i):.1f} kg,{i % 7} km/h,{i} %"),
        [],
        ["weight (kg)", "speed (km/h)"],
    ),
    "brackets.csv": (
        lines(
            "x,y",
            lambda i: f"({noise(i):.2f}),$ {noise(i):.0f}" if i % 2 else f"{i}.5,-$ 3",
        ),
        [],
        ["numbers: x, y"],
    ),
    "clock.csv": (
        lines("at,x", lambda i: f"{i % 24}:{i % 60:02d},{noise(i):.2f}"),
        [],
        ["at (hours)"],
    ),
    "dates.csv": (
        lines(
            "when,until,day,x",
            lambda i: (
                f"{1 + i % 28}.{1 + i % 12}.2024,2024-{1 + i % 12:02d}-11T10:30:00Z,"
                f"2024{1 + i % 12:02d}{1 + i % 28:02d},{noise(i):.2f}"
            ),
        ),
        [],
        ["dates: when (day.month.year), until", "day (yearmonthday)"],
    ),
    "identifiers.csv": (
        lines(
            "order_id,customer_id,uuid,zip,x",
            lambda i: (
                f"{(7919 * i) % 10007},{i % 9},{i:08x}-aa,0{1000 + i % 5},"
                f"{noise(i):.2f}"
            ),
        ),
        [],
        [
            "order_id: ignored, identifiers: integers of which none repeats",
            "customer_id: by its name an identifier: --drop it if it is one",
            "uuid: ignored, text that differs from row to row",
            "categories: zip",
        ],
    ),
    "texts.csv": (
        lines("note,x", lambda i: f"customer {i} said {'no' * (i % 5)},{noise(i):.2f}"),
        [],
        ["text: note"],
    ),
    "one_column.csv": (lines("x", lambda i: f"{noise(i):.2f}"), [], ["numbers: x"]),
    "constants.csv": (
        lines("a,b,c,x", lambda i: f"7,EUR,,{noise(i):.2f}"),
        [],
        ["a: ignored, the same value in all rows", "c: ignored, no values"],
    ),
    "gaps.csv": (
        lines(
            "x,y",
            lambda i: (
                f"{'' if i % 3 else noise(i)},{'NA' if i % 5 else noise(-i % 99)}"
            ),
        ),
        [],
        ["numbers: x, y"],
    ),
    "junk_cells.csv": (
        lines("x,y", lambda i: f"{'n/k' if i == 3 else noise(i)},{noise(-i % 99)}"),
        [],
        [
            "x: values that are no finite numbers, 1 of them, are missing: "
            "'n/k' in row 4"
        ],
    ),
    "quoted.csv": (
        lines("x,kind", lambda i: f'"{noise(i):.2f}","a, ""b"" {i % 3}"'),
        [],
        ["numbers: x", "categories: kind"],
    ),
    "true_false.csv": (
        lines("flag,x", lambda i: f"{i % 3 == 0},{noise(i):.2f}"),
        [],
        ["categories: flag"],
    ),
    "huge_numbers.csv": (
        lines("x,y", lambda i: f"{noise(i)}e{300 * (i == 5)},{noise(i)}e-200"),
        [],
        ["x: values that are no finite numbers, 1 of them, are missing"],
    ),
    # What cannot be used ends with one line.
    "three_rows.csv": (lines(PLAIN, plain, n=3), [], "training needs 10"),
    "empty.csv": ("", [], "is empty"),
    "names_only.csv": ("x,y\n", [], "has no rows"),
    "colons.csv": (lines("x:y", lambda i: f"{i}:{i % 7}th"), [], "no column can be"),
    "picture.png": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", [], "neither text nor Parquet"),
    "old.xls": (b"\xd0\xcf\x11\xe0" + b"\0" * 600, [], "export it as CSV"),
    "letter.docx": (b"PK\3\4" + b"\0" * 90, [], "export it as CSV"),
    "torn.csv.gz": (gzip.compress(b"a,b\n" * 9999)[:60], [], "cannot be read"),
    "ragged.csv": (lines("x,y", lambda i: "1,2,3,4" if i == 9 else "1,2"), [], "read"),
}


def write(name):
    content, options, said = FILES[name]
    if callable(content):
        content = content(frame_of())
    if isinstance(content, str):
        content = content.encode()
    Path(name).write_bytes(content)
    return options, said


@pytest.mark.parametrize("name", FILES)
def test_files_are_understood_or_refused(name, capsys):
    options, said = write(name)
    if isinstance(said, str):
        assert said in error_of(capsys, "score", name, *options)
        assert [path.name for path in Path.cwd().iterdir()] == [name]
        return
    encoding = options[1] if "--encoding" in options else None
    opened = score._open(
        Namespace(encoding=encoding, no_header="--no-header" in options), Path(name)
    )
    rows = pd.concat(tables.chunks(opened))
    assert len(rows) >= N - 1
    try:
        chosen = columns.choose(rows, opened.decimal, [])
    except CommandError as error:
        words = str(error)
    else:
        words = "; ".join([*chosen.uses(), *chosen.notes])
        made = columns.pipeline(chosen, None)[0].fit_transform(
            columns.frame(rows, chosen, opened.decimal)
        )
        assert made.shape[1] >= len(chosen.names)
        assert (~np.isnan(made)).any(axis=0).all()
    for phrase in said:
        assert phrase in words


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in FILES if isinstance(FILES[n][2], list)])
def test_files_are_scored_from_end_to_end(name, capsys):
    options, said = write(name)
    run("score", name, *options)
    words = " ".join(capsys.readouterr().out.split())
    for phrase in said:
        assert phrase in words
    assert {path.suffix for path in Path.cwd().iterdir()} >= {".csv", ".html"}


@pytest.mark.slow
def test_two_hundred_thousand_rows_are_scored(capsys):
    x = np.random.default_rng(0).normal(size=(200_000, 3)).round(3)
    pd.DataFrame(x, columns=list("abc")).to_csv("long.csv", index=False)
    run("score", "long.csv")
    # Half of them trained.
    assert re.search(r"\((4\.9|5|5\.1) %\) are flagged", capsys.readouterr().out)
    assert Path("long.scores.csv").read_bytes().count(b"\n") == 200_001
