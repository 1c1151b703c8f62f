"""Prices, usage and money."""
