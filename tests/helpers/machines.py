"""A machine that is the same wherever the tests run."""

from rtmbench.platform.machine import Machine

MACHINE = Machine(cpu="a processor", cores=2, memory_mb=24_000, available_mb=20_000, os="an OS", kernel="Linux 6")
