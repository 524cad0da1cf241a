"""Progress bars, on the terminal's error stream."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from skae._command import tables


class Progress:
    """Bars for long work; nothing where the error stream is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console

        self.console = Console(stderr=True)
        # Bars of the training go to the standard output.
        self.visible = self.console.is_terminal and Console().is_terminal
        # Some versions of rich end bars that are disabled with an empty line.
        self.console.quiet = not self.visible

    @contextmanager
    def steps(self, what: str, total: int) -> Iterator[Callable[[str], None]]:
        """Yield a function that tells what begins."""
        with self._bar() as bar:
            task = bar.add_task(what, total=total, completed=-1)

            def step(description: str) -> None:
                bar.update(task, description=description, advance=1)

            yield step

    @contextmanager
    def __call__(
        self, what: str, table: tables.Table
    ) -> Iterator[Callable[[Iterator[Any]], Iterator[Any]]]:
        """Yield a function that passes chunks of a table on and counts their rows."""
        from rich.markup import escape

        with self._bar() as bar:
            task = bar.add_task(
                escape(f"{what} {table.name}"), total=tables.rows_about(table)
            )

            def advance(chunks: Iterator[Any]) -> Iterator[Any]:
                for chunk in chunks:
                    yield chunk
                    bar.update(task, advance=len(chunk))

            yield advance

    def _bar(self) -> Any:
        from rich.progress import Progress

        return Progress(console=self.console, transient=True, disable=not self.visible)
