"""The main job: find the outliers in a file, or compare detectors.

    python -m skae
    python -m skae compare data.csv --label COLUMN
    python -m skae score train.csv [new.csv]

Without a command, detectors are compared on real data bundled with scikit-learn.
"""

import argparse
import codecs
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

from skae._command.text import shown
from skae._ranges import Float
from skae.thresholds import CONTAMINATION

TRIM = Float("[0, 0.5)")

RANDOM_STATE = "seed of samples, splits and detectors"
NO_CACHE = "do not keep compiled programs for the next time"

# Letters of a line that says what went wrong.
MAX_LINE = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    try:
        return _run(parser, options)
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted", file=sys.stderr)
        return 130


def _run(parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    try:
        # What the commands read, show and save with, in the order of the extra.
        for package in ("rich", "pandas", "pyarrow", "matplotlib", "skops"):
            import_module(package)
        # It takes long, and few tables need it.
        package = "skrub"
        if find_spec(package) is None:
            raise ImportError(package)
    except ImportError:
        parser.error(f"this command needs {package}: pip install 'skae[cli]'")
    from rich.console import Console

    from skae import keep_programs
    from skae._command.errors import CommandError
    from skae._command.progress import Progress

    command = import_module(f"skae._command.{options.command or 'bundled'}")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # Names may have letters that a terminal or a pipe lacks.
            stream.reconfigure(errors="replace")
    try:
        if not options.no_cache:
            # What cannot be kept or read is compiled, as it was before.
            warnings.filterwarnings("ignore", "Error .* persistent compilation cache")
            keep_programs()
        command.run(options, Console(), Progress())
        sys.stdout.flush()
    except (CommandError, OSError) as error:
        print(_line(parser, error), file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """Parser that ends with one line where arguments are wrong."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{_line(self, message)}\n")


def _line(parser: argparse.ArgumentParser, message: object) -> str:
    return f"{parser.prog}: error: {shown(message, MAX_LINE)}"


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m skae",
        description="Find the outliers in a file, or compare "
        "AutoencoderOutlierDetector with scikit-learn's detectors. Without a command, "
        "they are compared on real data bundled with scikit-learn.",
    )
    parser.add_argument("--random-state", type=int, default=0, help=RANDOM_STATE)
    parser.add_argument("--no-cache", action="store_true", help=NO_CACHE)
    commands = parser.add_subparsers(dest="command", title="commands")
    _add_score(commands)
    _add_compare(commands)
    return parser


def _add_score(commands: Any) -> None:
    score = commands.add_parser(
        "score",
        help="score the rows of a file: ranks, p-values, reasons, and a report",
        description="Train on a file and score the rows of another, or of the same. "
        "CSV, Parquet or Excel; numbers, categories, dates, text and missing values "
        "are used. Writes a file of scores and an HTML report.",
    )
    score.add_argument(
        "files",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="rows to train on, and rows to score if these are others",
    )
    # Asked for by those who know the other command.
    score.add_argument("--label", help=argparse.SUPPRESS)
    score.add_argument("--load", type=Path, metavar="MODEL", help="do not train")
    score.add_argument(
        "--save", type=Path, metavar="MODEL", help="keep what was trained"
    )
    score.add_argument(
        "--contamination",
        type=_share,
        metavar="SHARE",
        help=f"share of outliers among the training rows, in {CONTAMINATION.interval}, "
        "which is flagged; by default 0.05 of one file. Of two, a row is flagged if at "
        "most 5 %% of the rows held out from training score as low",
    )
    score.add_argument(
        "--trim",
        type=_trimmed,
        metavar="SHARE",
        help="share of the training rows, the grossest, that do not train, in "
        f"{TRIM.interval}; by default 0.02 of one file, and of two what "
        "--contamination asks for",
    )
    score.add_argument(
        "--features",
        type=int,
        default=3,
        metavar="N",
        help="columns to name per row (default: 3)",
    )
    score.add_argument(
        "--out", type=Path, help="file of scores; by default NAME.scores.csv"
    )
    score.add_argument(
        "--id", metavar="COLUMN", help="column that names the rows; it does not train"
    )
    score.add_argument(
        "--columns",
        choices=["all", "used", "none"],
        default="all",
        help="columns of the rows to write beside their scores (default: all)",
    )
    score.add_argument(
        "--encoding", type=_encoding, help="of text files; by default it is found out"
    )
    score.add_argument(
        "--no-header",
        action="store_true",
        help="the first line is a row; columns are called column 1, column 2, ...",
    )
    _add_common(score)


def _add_compare(commands: Any) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare detectors on a labelled file",
        description="Train on half of the inliers of a file and test on its other "
        "rows, with the default parameters of each detector. Writes an HTML report.",
    )
    compare.add_argument("file", type=Path, metavar="FILE", help="CSV or Parquet")
    compare.add_argument("--label", required=True, metavar="COLUMN")
    compare.add_argument(
        "--outlier",
        nargs="+",
        metavar="VALUE",
        help="labels of outliers; by default the rarer of two",
    )
    compare.add_argument(
        "--contaminated",
        action="store_true",
        help="train on half of all rows, outliers among them",
    )
    compare.add_argument(
        "--time-limit",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="for each detector (default: 300); not on Windows",
    )
    _add_common(compare)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--drop", nargs="+", default=[], metavar="COLUMN", help="columns not to use"
    )
    command.add_argument(
        "--report",
        type=Path,
        help="HTML file; by default NAME.report.html or NAME.comparison.html",
    )
    command.add_argument(
        "--random-state", type=int, default=argparse.SUPPRESS, help=RANDOM_STATE
    )
    command.add_argument(
        "--no-cache", action="store_true", default=argparse.SUPPRESS, help=NO_CACHE
    )


def _share(text: str) -> float:
    """Share of outliers."""
    return _in(CONTAMINATION, text)


def _trimmed(text: str) -> float:
    """Share of rows that do not train."""
    return _in(TRIM, text)


def _in(interval: Float, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not interval.accepts(value):
        raise argparse.ArgumentTypeError(f"must be in {interval.interval}. Got {text}.")
    return value


def _encoding(name: str) -> str:
    """Name of an encoding of text."""
    try:
        "".encode(name)
        return codecs.lookup(name).name
    except LookupError:
        raise argparse.ArgumentTypeError(
            f"must be an encoding, such as utf-8 or cp1252. Got {name}."
        ) from None


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Refuse numbers out of range, and outputs that would overwrite an input."""
    if not 0 <= options.random_state < 2**32:
        parser.error(
            f"--random-state must be in [0, 2**32). Got {options.random_state}."
        )
    if options.command is None:
        return
    inputs = options.files if options.command == "score" else [options.file]
    if len(inputs) > 2:
        parser.error(f"score takes one file or two. Got {len(inputs)}.")
    if options.command == "score" and options.label is not None:
        parser.error(
            "score has no --label, which is of compare: leave that column out of the "
            f"training by --drop {options.label}."
        )
    if not getattr(options, "time_limit", 1) > 0:
        parser.error(f"--time-limit must be above 0. Got {options.time_limit}.")
    if getattr(options, "features", 1) < 1:
        parser.error(f"--features must be at least 1. Got {options.features}.")
    if getattr(options, "load", None):
        for name in ("contamination", "trim", "drop", "save"):
            if getattr(options, name) not in (None, []):
                parser.error(f"--{name} is of the training, which --load leaves out.")
    stem = inputs[-1].name.removesuffix(".gz").rpartition(".")[0] or inputs[-1].name
    kind = "report" if options.command == "score" else "comparison"
    options.report = options.report or Path(f"{stem}.{kind}.html")
    outputs = [options.report]
    if options.command == "score":
        options.out = options.out or Path(f"{stem}.scores.csv")
        outputs += [options.out, options.save]
        inputs = [*inputs, options.load]
    taken = {path.resolve() for path in inputs if path}
    for path in filter(None, outputs):
        if path.resolve() in taken or any(_is_same(path, other) for other in inputs):
            parser.error(f"{path} would be overwritten or written twice.")
        if path.is_dir() or not path.resolve().parent.is_dir():
            parser.error(f"{path} cannot be written: no such folder, or a folder.")
        taken.add(path.resolve())


def _is_same(path: Path, other: Path | None) -> bool:
    """Whether two names are of one file."""
    return (
        other is not None and path.exists() and other.exists() and path.samefile(other)
    )


if __name__ == "__main__":
    raise SystemExit(main())
