"""The example of the documentation answers over HTTP, and its benchmark runs."""

import asyncio
import runpy
from contextlib import nullcontext

import httpx
import numpy as np
import pytest
import skops.io

from benchmarks.speed import serving


@pytest.fixture(scope="module")
def trained():
    return serving.trained(n_rows=300, n_features=4, max_iter=2)


def test_the_example_answers(trained, tmp_path, monkeypatch):
    pipeline, rows = trained
    skops.io.dump(pipeline, tmp_path / "model")
    monkeypatch.setenv("MODEL", str(tmp_path / "model"))
    app = runpy.run_path(str(serving.EXAMPLE / "serve.py"))["app"]

    async def post(**content):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.post("http://test/score", **content)

    answer = asyncio.run(post(json={"rows": rows[:7].tolist()}))
    assert answer.json() == {
        "labels": pipeline.predict(rows[:7]).tolist(),
        "scores": pipeline.decision_function(rows[:7]).tolist(),
    }
    wrong = [{}, {"rows": [[1, 2]]}, {"rows": "x"}, {"rows": []}, [1]]
    for content in [{"content": b"no JSON"}, *({"json": value} for value in wrong)]:
        answer = asyncio.run(post(**content))
        assert answer.status_code == 422
        assert answer.json()["error"]


@pytest.mark.slow
def test_the_benchmark_checks_every_answer(trained):
    pipeline, rows = trained
    results = serving.run(pipeline, rows, 32)
    assert results.keys() == {"library", "ONNX Runtime", "HTTP"}
    for figures in results.values():
        assert figures["one client"]["p50_ms"] > 0


def test_a_wrong_answer_is_found(trained):
    def zeros(rows):
        return np.zeros(len(rows))

    _, rows = trained
    with pytest.raises(AssertionError):
        serving.measure(lambda: nullcontext(zeros), rows, np.ones(len(rows)), 32)
