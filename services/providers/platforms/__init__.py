"""Where dialects are hosted; see ports.Platform."""
