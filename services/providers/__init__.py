"""One contract in, many provider dialects out."""
