"""Dask workers: what a round costs, what a second worker brings, and memory.

    python -m benchmarks.speed.rounds --out FILE.json

Workers are processes of one core and one thread each. Rows are made on the fly, so no
worker ever holds the table: 4,000,000 rows of 30 columns in 32 partitions. Both
numbers of workers train the same three rounds, each an epoch.

overhead  seconds of a round beside its training: rounds of one step on 8 partitions of
          64 rows, in milliseconds, per round
scaling   seconds to fit the table (default network, score "reconstruction")
memory    peak of the resident set of each worker, in MB
larger    with --larger: one worker trains one round of a table four times as large as
          its memory limit, and scores it
"""

import argparse
import json
import os
import resource
import time
from contextlib import contextmanager
from pathlib import Path

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

from skae.core import batching
from skae.dask import DaskAutoencoderOutlierDetector

N_COLUMNS, N_PARTS = 30, 32


def table(n_rows, n_parts):
    """Rows of six factors, made where they are needed."""
    chunk = n_rows // n_parts
    noise = da.random.default_rng(0).normal(size=(n_rows, 6), chunks=(chunk, 6))
    mixing = np.random.default_rng(0).normal(size=(6, N_COLUMNS))
    more = da.random.default_rng(1).normal(size=(n_rows, N_COLUMNS), chunks=chunk)
    rows = noise.map_blocks(np.matmul, mixing, chunks=(noise.chunks[0], N_COLUMNS))
    return rows + 0.1 * more.rechunk({1: N_COLUMNS})


def pinned(core):
    """Confine a worker to one core."""
    os.sched_setaffinity(0, {core})


def peak():
    """Megabytes of this worker at most, so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(client, X, **parameters):
    """Fit, once for the compiler and once for the clock."""
    detector = DaskAutoencoderOutlierDetector(
        anomaly_score="reconstruction", random_state=0, client=client, **parameters
    )
    start = time.perf_counter()
    detector.fit(X)
    return time.perf_counter() - start, detector.n_iter_


@contextmanager
def cluster(n_workers, memory_limit):
    """Worker processes of one core each."""
    with (
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            memory_limit=memory_limit,
            dashboard_address=":0",
        ) as processes,
        Client(processes) as client,
    ):
        for core, address in enumerate(client.scheduler_info()["workers"]):
            client.run(pinned, core % os.cpu_count(), workers=[address])
        yield client


def larger(limit=700_000_000):
    """Train and score a table four times as large as the worker's memory limit."""
    n_parts = 128
    n_rows = -(-4 * limit // (8 * N_COLUMNS * n_parts)) * n_parts
    X = table(n_rows, n_parts)
    with cluster(1, limit) as client:
        detector = DaskAutoencoderOutlierDetector(
            anomaly_score="reconstruction", random_state=0, client=client, max_iter=1
        ).fit(X)
        after_fit = client.run(peak)
        mean = float(client.compute(detector.score_samples(X).mean()).result())
        return {
            "rows": n_rows,
            "table_mb": round(X.nbytes / 1e6),
            "limit_mb": limit // 1_000_000,
            "peak_mb": [round(mb) for mb in after_fit.values()],
            "peak_mb_scored": [round(mb) for mb in client.run(peak).values()],
            "mean_score": mean,
        }


def measure(n_workers, n_rows, memory_limit):
    """Figures with so many workers."""
    with cluster(n_workers, memory_limit) as client:
        few = table(8 * 64, 8)
        times = {n: seconds(client, few, max_iter=n, local_steps=1) for n in (5, 5, 55)}
        overhead = (times[55][0] - times[5][0]) / (times[55][1] - times[5][1])
        # A tenth of the rows is held out.
        epoch = batching.steps_per_epoch(n_rows // N_PARTS * 9 // 10, 128)
        X = table(n_rows, N_PARTS)
        whole, rounds = seconds(client, X, max_iter=3, local_steps=epoch)
        return {
            "workers": n_workers,
            "overhead_ms": round(1000 * overhead, 1),
            "fit_seconds": round(whole, 1),
            "rounds": rounds,
            "peak_mb": [round(mb) for mb in client.run(peak).values()],
        }


def main():
    """Run the benchmark and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--memory-limit", default="1GB")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--larger", action="store_true")
    options = parser.parse_args()
    if options.larger:
        report = larger()
        print(report)
        if options.out:
            options.out.write_text(json.dumps(report, indent=1) + "\n")
        return
    runs = []
    for n_workers in (1, 2):
        runs.append(measure(n_workers, options.rows, options.memory_limit))
        print(runs[-1], flush=True)
    report = {"cores": os.cpu_count(), "rows": options.rows, "runs": runs}
    report["ratio"] = round(runs[0]["fit_seconds"] / runs[1]["fit_seconds"], 2)
    print("one worker / two:", report["ratio"])
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
