"""Counting input tokens where the provider does not."""
