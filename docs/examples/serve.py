"""Score rows over HTTP: MODEL=pipeline.skops uvicorn serve:app.

POST /score with {"rows": [[1.5, ...], ...]} answers
{"labels": [1, ...], "scores": [0.3, ...]}: scores below 0 mark outliers.
"""

import os

import numpy as np
import skops.io
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

from skae.io import TRUSTED_TYPES

pipeline = skops.io.load(os.environ["MODEL"], trusted=TRUSTED_TYPES)
# Compile before the first request, for few rows and for many.
for n_rows in (1, 10_000):
    pipeline.predict(np.zeros((n_rows, pipeline.n_features_in_)))


def judge(rows):
    decision = pipeline.decision_function(rows)
    labels = np.where(decision >= 0, 1, -1)
    return {"labels": labels.tolist(), "scores": decision.tolist()}


async def score(request):
    try:
        rows = np.asarray((await request.json())["rows"], dtype=np.float64)
        return JSONResponse(await run_in_threadpool(judge, rows))
    except (KeyError, OverflowError, RecursionError, TypeError, ValueError) as error:
        return JSONResponse({"error": str(error)}, status_code=422)


app = Starlette(routes=[Route("/score", score, methods=["POST"])])
