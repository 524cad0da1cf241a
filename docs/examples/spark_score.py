"""A saved detector scores a Spark data frame, in every worker.

python spark_score.py detector.skae rows.parquet scores.parquet

Workers need skae, and the detector at the same path: on a shared disk, or sent by
``spark-submit --files``.
"""

import sys
from functools import cache

import numpy as np
import pyarrow
from pyspark.sql import SparkSession
from pyspark.sql.types import BooleanType, DoubleType, StructType


@cache
def load(path):
    """Read a detector, once in each worker process."""
    import skae.io

    return skae.io.load(path)


def scored(rows, path):
    """Data frame with the columns "score" and "is_outlier" more.

    Columns are told by the names that the detector was trained with.
    """

    def score(batches):
        # The module as workers import it: what it has loaded stays for the next task.
        import spark_score

        detector = spark_score.load(path)
        names = list(detector.feature_names_in_)
        for batch in batches:
            X = batch.select(names).to_pandas()
            scores = detector.score_samples(X) if len(X) else np.empty(0)
            more = [pyarrow.array(scores), pyarrow.array(scores < detector.offset_)]
            yield pyarrow.RecordBatch.from_arrays(
                [*batch.columns, *more], [*batch.schema.names, "score", "is_outlier"]
            )

    fields = StructType([*rows.schema.fields])
    fields.add("score", DoubleType()).add("is_outlier", BooleanType())
    return rows.mapInArrow(score, fields)


def main(path, source, target):
    """Score the rows of a Parquet file."""
    spark = SparkSession.builder.appName("skae").getOrCreate()
    spark.sparkContext.addPyFile(__file__)
    rows = spark.read.parquet(source)
    scored(rows, path).write.parquet(target)
    spark.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
