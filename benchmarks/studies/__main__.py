"""Run the rows of the studies, go on where the last run stopped, and print the table.

    SKAE_DATA=DIR python -m benchmarks.studies [--rows A1 C2] [--again] [--out FOLDER]

A row whose file is there for the code as it is now is not run again, unless ``--again``
says so. Rows whose data are missing are listed.
"""

import argparse
import importlib
import time
import traceback
import warnings
from pathlib import Path

from benchmarks.studies import rows
from skae.datasets._files import SOURCES

STUDIES = (
    "credit_card",
    "network_attacks",
    "images",
    "sequences",
    "monitoring",
    "codes",
)
COLUMNS = ("row", "holds", "the text reports", "here", "verdict", "seconds")


def registered():
    """Return all rows by name, in order."""
    for study in STUDIES:
        importlib.import_module(f"benchmarks.studies.{study}")
    return dict(sorted(rows.ROWS.items()))


def is_done(row, version, folder):
    """Whether the row has been written by the code as it is now."""
    path = folder / f"{row.name}.json"
    return path.exists() and rows.read(row.name, folder)["version"] == version


def run(row, version, folder):
    """Run a row and write what it found."""
    start = time.perf_counter()
    result = row.run()
    seconds = round(time.perf_counter() - start, 1)
    head = {"row": row.name, "title": row.title, "data": list(row.data)}
    tail = {"seconds": seconds, "version": version}
    rows.write(row.name, head | result | tail, folder)


def line(result):
    """Format a row of the table."""
    holds = {True: "yes", False: "no", None: "-"}[result["holds"]]
    cells = [f"{result['row']} {result['title']}", holds]
    cells += [result[k] for k in ("source", "here", "verdict")]
    return "| " + " | ".join([*cells, f"{result['seconds']:.0f}"]) + " |"


def main(arguments=None):
    """Run what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", metavar="ROW")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--out", type=Path, default=rows.RESULTS)
    options = parser.parse_args(arguments)
    known = registered()
    unknown = set(options.rows or []) - set(known)
    if unknown:
        parser.error(
            f"--rows: {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    options.out.mkdir(parents=True, exist_ok=True)
    wanted = [known[name] for name in options.rows or known]
    missing = {
        row.name: [name for name in row.data if SOURCES[name].find(None) is None]
        for row in wanted
    }
    # Of the code that has been imported, whatever is edited while it runs.
    versions = {row.name: row.version for row in wanted}
    start = time.perf_counter()
    failed = []
    # Warnings of odd scales and the like are part of what the texts do.
    warnings.simplefilter("ignore")
    for row in wanted:
        version = versions[row.name]
        is_fresh = is_done(row, version, options.out) and not options.again
        if missing[row.name] or is_fresh:
            continue
        try:
            run(row, version, options.out)
        except Exception:
            traceback.print_exc()
            failed.append(row.name)
            continue
        print(line(rows.read(row.name, options.out)), flush=True)
    print(f"\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|")
    for row in wanted:
        if (options.out / f"{row.name}.json").exists():
            print(line(rows.read(row.name, options.out)))
    print(f"\nThis run took {time.perf_counter() - start:.0f} seconds.")
    for name, absent in missing.items():
        if absent:
            print(f"{name} was skipped, as data are missing: {', '.join(absent)}")
    if failed:
        parser.exit(1, f"failed: {', '.join(failed)}\n")


if __name__ == "__main__":
    main()
