"""Score the rows of a file: ranks, p-values, reasons, and a report."""

import warnings
from argparse import Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline

from skae import AutoencoderOutlierDetector, thresholds
from skae._callbacks import progress_bar
from skae._command import columns as of_columns
from skae._command import numerals, results, saved, tables
from skae._command.errors import CommandError
from skae._command.progress import Progress
from skae._command.score_report import N_NAMED as N_NAMED_IN_REPORT
from skae._command.score_report import write_report
from skae._command.scored import Scored
from skae._command.strange import Strange
from skae._command.text import listed, shown, visible
from skae._ranking import worst_features
from skae._tracing import trace
from skae.inspection import reasons
from skae.inspection._explanations import parts_by_column

if TYPE_CHECKING:
    from rich.console import Console

# More rows make the training no longer, and hardly better.
MAX_TRAIN = 100_000

MIN_TRAIN = 10

# What is assumed of a file that is scored by what trained on it: this share of its rows
# are outliers, of which the grossest do not train.
ASSUMED, TRIM, ANOMALY_SCORE = 0.05, 0.02, "cells"

# Rare categories are not what is gross.
WEIGHT_OF_CATEGORIES = 0.2

# A threshold of fewer rows is rough.
FEW = 200

# Rows kept for the pictures: the most abnormal, and a random sample.
N_TOP, N_SAMPLE = 500, 2000

# Rows that are named in the terminal.
N_NAMED = 10


def run(options: Namespace, console: "Console", progress: Progress) -> None:
    """Train or load, score, and write what is asked for."""
    rng = np.random.default_rng(options.random_state)
    notes: list[str] = []
    first = _open(options, _only(options.files) if options.load else options.files[0])
    if options.load:
        pipeline, table = saved.load(options.load), first
    else:
        pipeline = _train(options, first, rng, notes, progress)
        table = _open(options, options.files[-1]) if len(options.files) == 2 else first
    if options.save:
        saved.save(pipeline, options.save)
    is_new = bool(options.load) or table is not first
    if is_new:
        table = _read_as_in_training(pipeline, table, options, notes)
    scored = _score(pipeline, table, options.features, options.id, rng, notes, progress)
    # Of rows that trained they would promise too much.
    scored = scored if is_new else scored._replace(p_values=None)
    missing = np.count_nonzero(~scored.has_score)
    if missing:
        notes.append(f"{missing:,} rows without any value have no score")
    with progress("writing", table) as advance:
        chunks = advance(tables.chunks(table, raw=True))
        rows = results.write(scored, chunks, scored.names, options)
    write_report(pipeline, scored, rows, table.name, options.id, notes, options.report)
    _print(console, scored, rows, notes, options)


def _given(name: str | None) -> list[str]:
    return [] if name is None else [name]


def _open(options: Namespace, path: Path) -> tables.Table:
    return tables.open_table(path, options.encoding, has_names=not options.no_header)


def _only(files: list[Path]) -> Path:
    if len(files) != 1:
        raise CommandError(f"--load takes one file to score. Got {len(files)}.")
    return files[0]


def _train(
    options: Namespace,
    table: tables.Table,
    rng: np.random.Generator,
    notes: list[str],
    progress: Progress,
) -> Pipeline:
    with progress("reading", table) as advance:
        rows, n_rows = tables.sample(advance(tables.chunks(table)), MAX_TRAIN, rng)
    drop = [*options.drop, *(name for name in _given(options.id) if name in rows)]
    chosen = of_columns.choose(rows, table.decimal, drop)
    if n_rows > len(rows):
        notes.append(f"trained on {len(rows):,} of {n_rows:,} rows, chosen at random")
    rows = of_columns.frame(rows, chosen, table.decimal)
    parts = None
    if options.save or len(options.files) > 1:
        chosen, parts = of_columns.recurring(chosen, rows)
        rows = rows[chosen.names]
    notes += [*chosen.uses(), *chosen.notes]
    rows = rows[~of_columns.without_values(rows)]
    if len(rows) < MIN_TRAIN:
        raise CommandError(
            f"{table.path} has {len(rows)} rows with values, and training needs "
            f"{MIN_TRAIN}."
        )
    pipeline = _untrained(options, chosen, notes, parts)
    detector = pipeline[1]
    if not table.is_parquet:
        # Rows to come may be too few to tell.
        pipeline.decimal_ = table.decimal
    with of_columns.quiet():
        # One after the other: a bar for the detector alone.
        inputs = pipeline[0].fit_transform(rows)
        # A model of which half is trained must not be taken for a whole one.
        warnings.filterwarnings("error", "Training was interr", ConvergenceWarning)
        try:
            with progress_bar(detector, visible=progress.visible):
                detector.fit(inputs)
        except ConvergenceWarning as warning:
            raise KeyboardInterrupt from warning
    n_held_out = len(detector.calibration_scores_)
    if n_held_out < FEW and (len(options.files) == 2 or options.save):
        notes.append(_of_few(n_held_out, detector.contamination))
    return pipeline


def untrained_of_one_file(
    chosen: of_columns.Columns,
    *,
    contamination: float = ASSUMED,
    trim: float = TRIM,
    random_state: int | None = None,
    parts: Sequence[str] | None = None,
) -> Pipeline:
    """Pipeline for a file whose outliers are among the rows that train."""
    detector = AutoencoderOutlierDetector(
        missing="mask",
        contamination=contamination,
        trim=trim,
        anomaly_score=ANOMALY_SCORE,
        random_state=random_state,
    )
    return of_columns.pipeline(
        chosen,
        detector,
        parts=parts,
        weight_of_categories=WEIGHT_OF_CATEGORIES,
    )


def _untrained(
    options: Namespace,
    chosen: of_columns.Columns,
    notes: list[str],
    parts: Sequence[str] | None,
) -> Pipeline:
    if len(options.files) == 1:
        if not options.contamination:
            notes.append(
                f"assumed that {ASSUMED:.0%} of the rows are outliers; "
                "--contamination SHARE says otherwise"
            )
        return untrained_of_one_file(
            chosen,
            contamination=options.contamination or ASSUMED,
            trim=TRIM if options.trim is None else options.trim,
            random_state=options.random_state,
            parts=parts,
        )
    detector = AutoencoderOutlierDetector(
        missing="mask",
        trim="auto" if options.trim is None else options.trim,
        contamination=options.contamination or "auto",
        random_state=options.random_state,
    )
    return of_columns.pipeline(chosen, detector, parts=parts)


def _of_few(n_rows: int, contamination: float | str) -> str:
    if contamination != "auto":
        return (
            "p-values of rows that did not train are rough: they rest on "
            f"{n_rows} rows held out from training"
        )
    return (
        f"threshold and p-values are rough: they rest on {n_rows} rows held out from "
        "training, and the share of new normal rows that are flagged may differ much "
        "from 5 %"
    )


def _read_as_in_training(
    pipeline: Pipeline, table: tables.Table, options: Namespace, notes: list[str]
) -> tables.Table:
    """Table whose numbers have the decimals of the training, or clearly others."""
    chosen = of_columns.columns_of(pipeline)
    names = chosen.numbers
    known = getattr(pipeline, "decimal_", None)
    head = next(tables.chunks(table))
    if options.load:
        notes += chosen.uses()
        n_held_out = len(pipeline[-1].calibration_scores_)
        if n_held_out < FEW:
            notes.append(_of_few(n_held_out, pipeline[-1].contamination))
        left = [n for n in head.columns if n not in (*chosen.names, options.id)]
        notes += [f"ignored, not of the training: {listed(left)}"] if left else []
    decimal = numerals.decimal_sign_of(
        head, head.columns.intersection(names), known or table.decimal
    )
    if known and decimal != known:
        notes.append(
            f"numbers have the decimal sign {decimal!r} here and {known!r} in training"
        )
    return table._replace(decimal=decimal)


def _chunks(table: tables.Table, chosen: of_columns.Columns) -> Iterator[pd.DataFrame]:
    """Rows, whose numbers stay text where pandas would take them for others."""
    texts = [name for name in chosen.names if name not in chosen.numbers]
    return tables.chunks(table, texts if table.decimal == "." else None)


def _score(
    pipeline: Any,
    table: tables.Table,
    n_features: int,
    row_id: str | None,
    rng: np.random.Generator,
    notes: list[str],
    progress: Progress,
) -> Scored:
    """Score a file chunk by chunk; what is kept of a row takes some 50 bytes."""
    chosen = of_columns.columns_of(pipeline)
    prepare, detector = pipeline[0], pipeline[1]
    _, names, column = trace(prepare, [prepare], of_columns.made_up(chosen))
    parts, top, others = [], tables.Kept(N_TOP), tables.Kept(N_SAMPLE)
    strange = Strange(pipeline, chosen)
    with progress("scoring", table) as advance:
        for chunk in advance(_chunks(table, chosen)):
            wanted = [*chosen.names, *_given(row_id)]
            lacking = [name for name in wanted if name not in chunk.columns]
            if lacking:
                raise CommandError(f"{table.path} lacks the column {lacking[0]!r}.")
            rows = of_columns.frame(chunk, chosen, table.decimal)
            strange.add(chunk, rows)
            parts.append(_score_chunk(prepare, detector, rows, column, n_features))
            top.add(rows, parts[-1][0])
            others.add(rows, rng.random(len(rows)))
    notes += [note for note in strange.notes() if note not in notes]
    if np.isnan(top.keys).all():
        raise CommandError(f"{table.path} has no row with a value to score.")
    scores, p_values, worst, shares = map(np.concatenate, zip(*parts, strict=True))
    found = Scored(
        scores,
        p_values,
        worst,
        shares,
        names,
        detector.offset_,
        top.rows,
        others.rows,
        {},
    )
    numbers = found.worst_rows[:N_NAMED_IN_REPORT]
    with of_columns.quiet():
        why = reasons(pipeline, found.top.loc[numbers], n_features)
    return found._replace(why=dict(zip(map(int, numbers), why, strict=True)))


def _score_chunk(
    prepare: Any, detector: Any, rows: pd.DataFrame, column: np.ndarray, n_features: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Scores, p-values, and the worst columns with their shares of what is odd."""
    n_features = min(n_features, column.max() + 1)
    scores = np.full(len(rows), np.nan)
    p_values = np.full(len(rows), np.nan)
    worst = np.zeros((len(rows), n_features), np.int32)
    shares = np.full((len(rows), n_features), np.nan, np.float32)
    known = ~of_columns.without_values(rows)
    if known.any():
        inputs = prepare.transform(rows[known])
        scores[known] = detector.score_samples(inputs)
        p_values[known] = thresholds.conformal_p_values(
            scores[known], detector.calibration_scores_
        )
        by_column = parts_by_column(detector, inputs, column)
        ranked = worst_features(by_column, n_features)
        worst[known] = ranked
        total = np.nansum(by_column, axis=1, keepdims=True)
        largest = np.take_along_axis(by_column, ranked, axis=1)
        shares[known] = largest / np.maximum(total, np.finfo(np.float32).tiny)
    return scores, p_values, worst, shares


def _print(
    console: "Console",
    scored: Scored,
    rows: pd.DataFrame,
    notes: list[str],
    options: Namespace,
) -> None:
    """Name the most abnormal rows, and where the rest is."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(title="The most abnormal rows", title_justify="left")
    has_p = scored.p_values is not None
    for heading in ("rank", "row", "score", *(["p-value"] if has_p else [])):
        table.add_column(heading, justify="right")
    if options.id is not None:
        table.add_column(escape(shown(options.id)))
    table.add_column("why")
    for rank, row in enumerate(scored.worst_rows[:N_NAMED], 1):
        cells = [str(rank), str(row + 1), f"{scored.scores[row]:.4g}"]
        if scored.p_values is not None:
            cells.append(f"{scored.p_values[row]:.2g}")
        cells += [escape(shown(rows.at[row, name])) for name in _given(options.id)]
        table.add_row(*cells, escape("; ".join(scored.reasons(row))))
    console.print(table)
    for note in notes:
        console.print(escape(f"- {note}"), highlight=False)
    console.print(
        f"{scored.flagged_share}. "
        f"All rows: {visible(options.out)}. Pictures: {visible(options.report)}.",
        markup=False,
        highlight=False,
    )
