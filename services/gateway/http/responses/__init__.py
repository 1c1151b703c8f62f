"""The Responses API: calls whose answers are kept, and what can be asked about them later."""
