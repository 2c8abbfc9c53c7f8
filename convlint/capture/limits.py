"""What a capture may take: memory for weights, and time."""

DEFAULT_TIMEOUT = 120.0
"""Seconds that one stage of a check may take."""
REAL_WEIGHTS_LIMIT = 4 << 30
"""Bytes of real weights that a fallback may allocate; more would not fit beside the conversion."""
TRACED_WEIGHTS_LIMIT = 2 << 30
"""Bytes of weights up to which ``auto`` traces the model for the second frontend."""
