"""What the pages of the gallery show of the rows."""

import re
from html import escape

import matplotlib.pyplot as plt
import numpy as np

from benchmarks.studies.rows import RESULTS, read

PARTS = {
    "source": "the text",
    "here": "here",
    "verdict": "verdict",
    "protocol": "measured",
}
LABEL = "white-space: nowrap; text-align: left; vertical-align: top"
# Long words must not make a narrow page scroll.
TEXT = "text-align: left; overflow-wrap: anywhere; width: 100%"


class Beside:
    """Rows as a table: what the text reports, what we got, and the verdict."""

    def __init__(self, *names):
        self.rows = [read(name) for name in names]

    def _repr_html_(self):
        return "".join(map(self._table, self.rows))

    def _table(self, row):
        holds = {True: "holds", False: "does not hold", None: ""}[row["holds"]]
        head = " · ".join(filter(None, (f"{row['row']}: {row['title']}", holds)))
        lines = "".join(
            f"<tr><th scope='row' style='{LABEL}'>{label}</th>"
            f"<td style='{TEXT}'>{listed(row[part])}</td></tr>"
            for part, label in PARTS.items()
        )
        return (
            f"<table class='table'><caption>{escape(head)}</caption>"
            f"<tbody>{lines}</tbody></table>"
        )


def rows_of(page):
    """Names of the rows that a page reads, from its text."""
    calls = re.findall(r"(?:Beside|read|draw)\(([^)]*)\)", page.read_text())
    return {name for call in calls for name in re.findall(r'"([A-D]\d)"', call)}


def unwritten(folder):
    """Pattern of the names of pages that read a row that has not been run."""
    names = [
        f"^{re.escape(page.name)}$"
        for page in sorted(folder.rglob("*.py"))
        if not all((RESULTS / f"{name}.json").exists() for name in rows_of(page))
    ]
    return "|".join([r"__init__\.py", *names])


def listed(text):
    """HTML of a text; what semicolons part stands on lines of its own."""
    return "<br>".join(escape(part) for part in text.split("; "))


def show_images(rows, labels, figsize):
    """Draw rows of images of 8 x 8 pixels."""
    figure, axes = plt.subplots(len(rows), len(rows[0]), figsize=figsize)
    for line, images, label in zip(axes, rows, labels, strict=True):
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
        for ax, image in zip(line, images, strict=True):
            ax.imshow(np.reshape(image, (8, 8)), cmap="gray_r", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
    figure.tight_layout(pad=0.4)
    plt.show()
