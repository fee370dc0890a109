"""The real-time trigger for PySpark 4.1 and newer: `from rtm_trigger import real_time_trigger`.

It lives in the `rtmbench` package, where pipelines import it from; this file is its address in a checkout.
"""

from rtmbench.spark import real_time_trigger

__all__ = ["real_time_trigger"]
