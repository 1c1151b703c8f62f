"""Patterns of model names: a star stands for any text, everything else for itself."""


def covers(pattern: str, other: str) -> bool:
    """Say whether the pattern allows everything that the other pattern, or a plain name, stands for."""
    # A star in `other` is taken as a letter: only a star can match it, and whatever a star matches may be any text.
    # No regular expression: many stars would take it exponential time.
    first, *rest = pattern.split("*")
    if not rest:
        return other == pattern
    *middle, last = rest
    if len(other) < len(first) + len(last) or not (other.startswith(first) and other.endswith(last)):
        return False
    place, end = len(first), len(other) - len(last)
    for part in middle:
        found = other.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
