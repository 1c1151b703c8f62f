"""What the router gets from outside."""
