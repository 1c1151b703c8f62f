"""The text of an API key, so that junk is refused without asking anybody.

`llmh_<environment>_<id, 12>_<secret, 43>_<checksum, 6>`: letters and digits, checksum of all before its underscore.
"""

import re
from binascii import crc32
from typing import Final

PREFIX: Final = "llmh_"
BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SHORTEST_FOREIGN: Final = 32
"""Characters of the shortest key that an operator may choose (the bootstrap key); such keys have no checksum."""
LONGEST: Final = 512

_OURS: Final = re.compile(r"llmh_(live|test)_[0-9A-Za-z]{12}_")
# An operator's bootstrap key may begin with llmh_ too; only these beginnings promise the form.
_FORM: Final = re.compile(r"(llmh_[a-z0-9]{1,16}_([0-9A-Za-z]{12})_[0-9A-Za-z]{43})_([0-9A-Za-z]{6})")


def checksum(text: str) -> str:
    """CRC-32 of ASCII text as six base-62 digits, most significant first."""
    number = crc32(text.encode())
    digits = []
    for _ in range(6):
        number, digit = divmod(number, 62)
        digits.append(BASE62[digit])
    return "".join(reversed(digits))


def join(environment: str, key_id: str, secret: str) -> str:
    """The whole key of these parts."""
    text = f"{PREFIX}{environment}_{key_id}_{secret}"
    return f"{text}_{checksum(text)}"


def key_id_of(token: str) -> str | None:
    """The id in a key of llmhub's own form, None for any other key.

    Raises ValueError for a text that cannot be a key: too short, too long, or llmhub's own with a fault in it.
    """
    if _OURS.match(token):
        found = _FORM.fullmatch(token)
        if found is None or checksum(found[1]) != found[3]:
            raise ValueError("the key is mistyped or incomplete")
        return found[2]
    if SHORTEST_FOREIGN <= len(token) <= LONGEST:
        return None
    raise ValueError("a key has 32 to 512 characters")
