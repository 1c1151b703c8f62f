"""One module per command of `llmhub`."""
