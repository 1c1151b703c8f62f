"""Adapters: a codec plus the transport, and the built-in simulator."""
