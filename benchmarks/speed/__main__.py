"""Time ours and others on the same work.

    python -m benchmarks.speed run --out benchmarks/results/speed.json
    python -m benchmarks.speed compare BASE.json HEAD.json

``run`` takes the scenarios of ``benchmarks.speed.scenarios``, each peer in a process of
its own, in turns, and writes the seconds, medians and ratios. A scenario that is in the
file already is not run again. ``compare`` prints how the ratio to the bare loop, or the
seconds where there is none, changed, and fails where it grew beyond ``--tolerance``.
Peers that are not installed are left out: ``pip install --group benchmarks``.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import metadata
from pathlib import Path

from benchmarks.speed.scenarios import SCENARIOS, SWEEPS

WORKER = (sys.executable, "-m", "benchmarks.speed.worker")
NEEDS = {
    "pyod": "pyod",
    "keras-jax": "keras",
    "keras-torch": "keras",
}
LABELS = {
    "n_rows": "rows",
    "n_features": "features",
    "hidden": "width of the hidden layers",
    "batch_size": "rows in a batch",
}
VERSIONS = ("numpy", "jax", "flax", "optax", "scikit-learn", "pyod", "keras", "torch")


def is_installed(package):
    """Whether a distribution is there."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def machine():
    """Say what the figures depend on."""
    return {
        "cores": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": {n: metadata.version(n) for n in VERSIONS if is_installed(n)},
    }


def run_cold(name, peers, n_runs):
    """Seconds of whole processes, and what the peers say about their last run."""
    seconds, said = {peer: [] for peer in peers}, {}
    for _ in range(n_runs):
        for peer in peers:
            start = time.perf_counter()
            output = subprocess.check_output([*WORKER, peer, name, "--once"])
            seconds[peer].append(time.perf_counter() - start)
            said[peer] = json.loads(output.splitlines()[-1])
    return seconds, said


def run_warm(name, peers, n_runs):
    """Seconds of calls in processes that have done the work before."""
    workers = {
        peer: subprocess.Popen(
            [*WORKER, peer, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for peer in peers
    }
    said = {
        peer: json.loads(worker.stdout.readline()) for peer, worker in workers.items()
    }
    seconds = {peer: [] for peer in peers}
    for _ in range(n_runs):
        for peer, worker in workers.items():
            worker.stdin.write("run\n")
            worker.stdin.flush()
            seconds[peer].append(float(worker.stdout.readline()))
    for worker in workers.values():
        worker.communicate()
    return seconds, said


def report(seconds, said):
    """Medians, and medians of the ratios of neighbouring runs."""
    ours = next(iter(seconds))
    ratios = {
        f"{ours} / {peer}" if peer.startswith("bare") else f"{peer} / {ours}": (
            statistics.median(
                a / b if peer.startswith("bare") else b / a
                for a, b in zip(seconds[ours], times, strict=True)
            )
        )
        for peer, times in seconds.items()
        if peer != ours
    }
    return {
        "median_seconds": {
            k: round(statistics.median(v), 6) for k, v in seconds.items()
        },
        "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "seconds": {k: [round(x, 6) for x in v] for k, v in seconds.items()},
        "said": {peer: what for peer, what in said.items() if what},
    }


def run(options):
    """Run scenarios and write after each."""
    out = options.out
    results = json.loads(out.read_text()) if out.exists() else {"scenarios": {}}
    results["machine"] = machine()
    for name, scenario in SCENARIOS.items():
        if not any(part in name for part in options.scenarios):
            continue
        if name in results["scenarios"] and not options.again:
            continue
        peers = [
            peer
            for peer in scenario.peers
            if is_installed(NEEDS.get(peer, "numpy"))
            and (not options.peers or peer in options.peers)
        ]
        if not peers:
            continue
        runner = run_cold if scenario.cold else run_warm
        result = report(*runner(name, peers, options.runs))
        results["scenarios"][name] = result
        out.write_text(json.dumps(results, indent=1) + "\n")
        print(name, json.dumps(result["median_seconds"]), flush=True)
        print(" " * len(name), json.dumps(result["ratios"]), flush=True)


def figure(result):
    """Ratio to the bare loop, or the seconds where there is none."""
    for name, ratio in result["ratios"].items():
        if "/ bare" in name:
            return ratio
    return next(iter(result["median_seconds"].values()))


def compare(options):
    """Print base, head and their quotient; return the names that became slower."""
    base, head = (
        json.loads(path.read_text())["scenarios"]
        for path in (options.base, options.head)
    )
    slower = []
    for name in (name for name in base if name in head):
        before, after = figure(base[name]), figure(head[name])
        mark = ""
        if after > (1 + options.tolerance) * before:
            slower.append(name)
            mark = "slower"
        print(f"{name:32s} {before:10.4f} {after:10.4f} {after / before:6.2f} {mark}")
    return slower


def draw(path):
    """Draw seconds of the sweeps, which a file of results has."""
    import matplotlib.pyplot as plt

    scenarios = json.loads(path.read_text())["scenarios"]
    figure, axes = plt.subplots(4, figsize=(5, 12), layout="constrained")
    for axis, (swept, values) in zip(axes.flat, SWEEPS.items(), strict=True):
        shown = [v[0] if isinstance(v, tuple) else v for v in values]
        results = {v: scenarios.get(f"sweep-{swept}-{v}") for v in shown}
        results = {v: r["median_seconds"] for v, r in results.items() if r}
        peers = dict.fromkeys(peer for r in results.values() for peer in r)
        for marker, peer in zip("osd^vx", peers, strict=False):
            pairs = [(v, r[peer]) for v, r in results.items() if peer in r]
            axis.loglog(*zip(*pairs, strict=True), marker=marker, label=peer)
        axis.set(xlabel=LABELS[swept], ylabel="seconds of a fit")
    axes[0].legend()
    return figure


def main():
    """Read the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("run")
    command.add_argument("scenarios", nargs="*", default=[""], help="parts of names")
    command.add_argument("--peers", nargs="+")
    command.add_argument("--runs", type=int, default=7)
    command.add_argument("--again", action="store_true")
    command.add_argument("--out", type=Path, required=True)
    command.set_defaults(function=run)
    command = commands.add_parser("compare")
    command.add_argument("base", type=Path)
    command.add_argument("head", type=Path)
    command.add_argument("--tolerance", type=float, default=0.1)
    command.set_defaults(function=compare)
    options = parser.parse_args()
    if options.function(options):
        sys.exit(1)


if __name__ == "__main__":
    main()
