"""A self-contained HTML page of headings, text, tables and pictures."""

import base64
import io
import warnings
from collections.abc import Callable, Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from skae._command.errors import writing

STYLE = """
:root { color-scheme: light dark; --ink: #1b1b1b; --paper: #fff; --pale: #595959;
        --line: #ddd; --odd: #ffd9a0; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --paper: #16181b; --pale: #a9adb3; --line: #3a3e44;
          --odd: #7a4a00; }
}
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink);
       background: var(--paper); max-width: 62rem; margin: 0 auto; padding: 1rem; }
mark { color: inherit; background: var(--odd); font-weight: 600; padding: 0 .2em; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; }
figcaption { color: var(--pale); font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid var(--line);
         vertical-align: top; overflow-wrap: break-word; }
td.text:last-child { min-width: 12rem; }
td.number { text-align: right; white-space: nowrap; }
h1, li { overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  thead { display: none; }
  tr { display: block; border-bottom: 1px solid var(--line); padding: .4rem 0; }
  td { display: inline-block; border: 0; padding: 0 .8rem 0 0; }
  td.text { display: block; overflow-wrap: anywhere; }
  td::before { content: attr(data-name) " "; color: var(--pale); }
}
"""


class Marked(str):
    """Text of a cell that is to stand out."""


def page(title: str, *parts: str) -> str:
    """Put parts, which are HTML, on a page."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n{''.join(parts)}</body>\n</html>\n"
    )


def write(html: str, path: Path) -> None:
    """Write a page."""
    with writing(path) as part:
        part.write_text(html, encoding="utf-8")


def heading(text: str) -> str:
    """Heading of a section."""
    return f"<h2>{escape(text)}</h2>\n"


def paragraph(text: str) -> str:
    """Lines of plain text."""
    return f"<p>{escape(text)}</p>\n"


def bullets(lines: Iterable[str]) -> str:
    """List of plain lines; nothing where there are none."""
    items = "".join(f"<li>{escape(line)}</li>\n" for line in lines)
    return f"<ul>\n{items}</ul>\n" if items else ""


def table(headings: Sequence[str], rows: Iterable[Sequence[str | float]]) -> str:
    """Table of plain cells; what is a number stands to the right."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in headings)
    body = "".join(f"<tr>{''.join(map(_cell, row, headings))}</tr>\n" for row in rows)
    return (
        # What is scrolled has to be reached by the keyboard.
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def _cell(value: str | float, heading: str) -> str:
    name = f'data-name="{escape(heading)}"'
    if isinstance(value, Marked):
        return f'<td class="text" {name}><mark>{escape(value)}</mark></td>'
    if isinstance(value, str):
        return f'<td class="text" {name}>{escape(value)}</td>'
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    shown = "-" if shown == "nan" else shown
    return f'<td class="number" {name}>{shown}</td>'


def picture(
    draw: Callable[..., Any], alt: str, size: tuple[float, float] = (7.2, 3.6)
) -> str:
    """Draw on new axes and put the picture, with a description, into the page."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    draw(figure.subplots())
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Names may have letters that the font lacks; they become boxes.
        warnings.filterwarnings("ignore", "Glyph .* missing", UserWarning)
        figure.savefig(file, format="png", dpi=130)
    data = base64.b64encode(file.getvalue()).decode()
    alt = escape(alt)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{alt}">\n'
        f"<figcaption>{alt}</figcaption></figure>\n"
    )
