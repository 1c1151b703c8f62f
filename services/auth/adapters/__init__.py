"""Where keys and peppers are kept."""
