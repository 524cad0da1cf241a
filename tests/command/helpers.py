"""Tables of users, and what the commands make of them."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from skae import __main__ as main


def mixed(n_rows=300, seed=0):
    """Rows of all kinds of columns; the last three are abnormal."""
    rng = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "id": np.arange(n_rows) + 1000,
            "when": pd.date_range("2024-01-01", periods=n_rows, freq="h").astype(str),
            "amount": rng.normal(50, 5, size=n_rows).round(2),
            "ratio": rng.normal(size=n_rows).round(4),
            "shop": rng.choice(["north", "south", "<b>east</b>"], size=n_rows),
            "note": [f"free text number {i}" for i in range(n_rows)],
            "always": "EUR",
            "empty": np.nan,
            "flag": rng.random(n_rows) < 0.3,
        }
    )
    table["<script>alert(1)</script>"] = table["amount"] * 2 + rng.normal(size=n_rows)
    table.loc[::7, "ratio"] = np.nan
    table.loc[3, "shop"] = np.nan
    table.loc[n_rows - 3 :, "amount"] = 500.0
    return table


def run(*arguments, code=0):
    assert main.main([str(a) for a in arguments]) == code


def code_of(*arguments):
    try:
        return main.main([str(a) for a in arguments])
    except SystemExit as ending:
        return ending.code


def error_of(capsys, *arguments):
    """The one line that a command ends with."""
    assert code_of(*arguments) == 2
    err = capsys.readouterr().err
    lines = err.strip().splitlines()
    assert len(lines) == 1, err
    assert re.match(r"python -m skae( \w+)?: error: ", lines[0])
    return lines[0]


class Page(HTMLParser):
    """What a browser would make of a report."""

    def __init__(self, path):
        super().__init__()
        self.tags, self.alternatives, self.links, self.text = [], [], [], ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.tags.append(tag)
        if tag == "img":
            self.alternatives.append(attrs["alt"])
        self.links += [v for k, v in attrs.items() if k in ("src", "href")]

    def handle_data(self, data):
        self.text += data
