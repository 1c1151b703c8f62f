"""API keys, principals and who may do what."""
