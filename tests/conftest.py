"""What holds for all tests."""

import signal

# A shell starts what it puts in the background with SIGINT ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
