"""The life of one call as this product defines it."""
