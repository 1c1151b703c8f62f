"""The contract's services of auth."""
