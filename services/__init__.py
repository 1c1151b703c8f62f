"""The services of llmhub and what they share."""
