"""Routing rules: catalogue, plan, health."""
