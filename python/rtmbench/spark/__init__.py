"""What a PySpark pipeline needs to run in Real-Time Mode: by `spark-submit`, `rtmbench`, a notebook.

A pipeline file defines `build(spark, io)`, which returns a `DataStreamWriter` that is ready to
start, and ends in `main(build)`. PySpark itself is imported only inside functions, so that this
package and every pipeline can be imported without it.
"""

from rtmbench.spark.events import EVENT, parse_events
from rtmbench.spark.io import Io
from rtmbench.spark.measuring import Measured, measured
from rtmbench.spark.notebook import pipeline
from rtmbench.spark.requirements import jvm_class, require_stateful_python
from rtmbench.spark.runner import main
from rtmbench.spark.sessions import session
from rtmbench.spark.trigger import is_real_time, real_time_trigger, trigger_of

__all__ = [
    "EVENT",
    "Io",
    "Measured",
    "is_real_time",
    "jvm_class",
    "main",
    "measured",
    "parse_events",
    "pipeline",
    "real_time_trigger",
    "require_stateful_python",
    "session",
    "trigger_of",
]
