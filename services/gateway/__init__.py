"""The public API: authenticate, route, meter, answer."""
