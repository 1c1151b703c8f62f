"""Which provider and model serve a call, and in which order."""
