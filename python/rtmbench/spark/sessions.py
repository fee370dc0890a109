"""The Spark session of a pipeline."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from rtmbench.errors import PreflightError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def session(app_name: str = "rtmbench") -> SparkSession:
    """Return the running Spark session, or start one.

    Master, memory and connector come from where Spark takes them otherwise: `spark-submit`'s options and
    `spark-defaults.conf`. Python workers run this interpreter, unless `PYSPARK_PYTHON` names another.

    Raises `PreflightError` where PySpark is not installed.
    """
    # Unset, Spark would start its workers with whatever `python3` is first on the PATH.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise PreflightError(
            f"{sys.executable} has no {error.name}. Run the pipeline with spark-submit or through `rtmbench run`, or"
            " install pyspark 4.1 or newer into this interpreter."
        ) from error
    spark: SparkSession = SparkSession.builder.appName(app_name).getOrCreate()
    return spark
