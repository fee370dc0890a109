"""The Python API: functions, the runs that they return, and lists of runs."""
