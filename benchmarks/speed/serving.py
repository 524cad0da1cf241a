"""Latency and throughput of a served detector: HTTP, ONNX Runtime, the library.

    python -m benchmarks.speed.serving --out benchmarks/results/serving.json

A Pipeline with the default detector, trained on 10,000 x 30 rows, answers 1 and 16
clients that ask for one row at a time, and one client that asks for 1,000. Every answer
is compared with the library's. Clients and server share the machine.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from benchmarks.speed.__main__ import machine

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples"
BATCH = 1000
CLIENTS = 16


def trained(n_rows=10_000, n_features=30, **parameters):
    """Return a fitted Pipeline and rows that it has not seen."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from skae import AutoencoderOutlierDetector

    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((n_features, n_features))
    X = rng.standard_normal((n_rows + BATCH, n_features)) @ mixing
    detector = AutoencoderOutlierDetector(random_state=0, **parameters)
    pipeline = make_pipeline(StandardScaler(), detector).fit(X[:n_rows])
    return pipeline, X[n_rows:]


@contextmanager
def connected(url):
    """Make a function that scores rows over one HTTP connection."""
    import httpx

    with httpx.Client(timeout=60) as client:

        def score(rows):
            answer = client.post(url, json={"rows": rows.tolist()}).raise_for_status()
            return np.array(answer.json()["scores"])

        yield score


def free_port():
    """Port that nobody listens to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def serve(model, port):
    """Start the example of the documentation and wait until it answers."""
    command = ["uvicorn", "serve:app", "--port", str(port), "--log-level", "error"]
    server = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=EXAMPLE,
        env=os.environ | {"MODEL": str(model)},
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.1)
    server.kill()
    raise RuntimeError("The server did not start.")


def latencies(score, rows, expected, n_calls, *, rtol):
    """Seconds of calls with one row each; every answer is checked."""
    seconds = []
    for i in np.arange(n_calls) % len(rows):
        start = time.perf_counter()
        found = score(rows[i : i + 1])
        seconds.append(time.perf_counter() - start)
        np.testing.assert_allclose(found, expected[i : i + 1], rtol=rtol, atol=rtol)
    return seconds


def milliseconds(seconds):
    """Return the median and the 99th percentile."""
    p50, p99 = np.quantile(seconds, [0.5, 0.99])
    return {"p50_ms": round(1e3 * p50, 3), "p99_ms": round(1e3 * p99, 3)}


def measure(connect, rows, expected, n_calls, *, rtol=0.0):
    """Figures of one way to score; ``connect`` makes the context of a client."""
    with connect() as score:
        latencies(score, rows, expected, 20, rtol=rtol)
        one = latencies(score, rows, expected, n_calls, rtol=rtol)
        batches = []
        for _ in range(20):
            start = time.perf_counter()
            found = score(rows)
            batches.append(time.perf_counter() - start)
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)

    def client(_):
        with connect() as score:
            return latencies(score, rows, expected, n_calls // CLIENTS, rtol=rtol)

    start = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as pool:
        many = [s for seconds in pool.map(client, range(CLIENTS)) for s in seconds]
    elapsed = time.perf_counter() - start
    return {
        "one client": milliseconds(one),
        f"{CLIENTS} clients": milliseconds(many)
        | {"rows_per_second": round(len(many) / elapsed)},
        f"batches of {BATCH}": {
            "rows_per_second": round(len(rows) / statistics.median(batches))
        },
    }


def run(pipeline, rows, n_calls):
    """Measure every way."""
    import onnxruntime
    import skops.io

    from skae.io import to_onnx

    expected = pipeline.decision_function(rows)
    session = onnxruntime.InferenceSession(
        to_onnx(pipeline, rows).SerializeToString(), providers=["CPUExecutionProvider"]
    )

    def by_onnx(rows):
        return session.run(["scores"], {"X": rows})[0][:, 0]

    results = {
        "library": measure(
            lambda: nullcontext(pipeline.decision_function), rows, expected, n_calls
        ),
        "ONNX Runtime": measure(
            lambda: nullcontext(by_onnx), rows, expected, n_calls, rtol=1e-5
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "pipeline.skops"
        skops.io.dump(pipeline, model)
        port = free_port()
        server = serve(model, port)
        try:
            url = f"http://127.0.0.1:{port}/score"
            results["HTTP"] = measure(lambda: connected(url), rows, expected, n_calls)
        finally:
            server.terminate()
            server.wait()
    return results


def main():
    """Read the command, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    results = run(*trained(), options.calls)
    text = json.dumps({"machine": machine(), "results": results}, indent=1)
    options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
