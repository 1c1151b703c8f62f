"""The vendor-shaped HTTP door."""
