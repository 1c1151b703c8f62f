"""The peppers: from the settings, or from a file made on the first start."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from services.auth.domain.key import Peppers
from services.auth.ports import Randomness
from services.auth.settings import AuthSettings
from services.runtime import private_file

FILE_NAME = "auth.pepper"
PEPPER_BYTES = 32


class PepperError(Exception):
    """The peppers are missing or damaged, so no stored key could be verified. The message is for operators."""


def load(settings: AuthSettings, in_use: Collection[int], randomness: Randomness) -> Peppers:
    """Return the peppers; makes the file only if no stored digest needs one (`in_use`: versions that are needed).

    Each line of the file is a version and 64 hexadecimal digits; a line with a higher version takes over for new keys.
    """
    path = settings.data_dir / FILE_NAME
    if settings.peppers:
        source = "the setting auth.peppers"
        peppers = {
            version: secret.get_secret_value().encode() for version, secret in settings.peppers.items()
        }
    else:
        source = str(path)
        text = private_file.read(path)
        if text is None and not in_use:
            text = private_file.create(path, f"1 {randomness(PEPPER_BYTES).hex()}\n")
        peppers = _parse(path, text or "")
    missing = set(in_use) - set(peppers)
    if missing or not peppers:
        versions = ", ".join(map(str, sorted(missing))) or "any"
        raise PepperError(
            f"{source}: pepper version {versions} is missing, and keys in the database were made with it. "
            "Restore it from a backup; without it these keys can never be verified again."
        )
    return Peppers(peppers)


def _parse(path: Path, text: str) -> dict[int, bytes]:
    peppers = {}
    for number, line in enumerate(text.splitlines(), 1):
        version, _, digits = line.strip().partition(" ")
        try:
            peppers[int(version)] = bytes.fromhex(digits)
            if len(peppers[int(version)]) < PEPPER_BYTES:
                raise ValueError("too short")
        except ValueError:
            raise PepperError(f"{path}:{number}: expected a version and 64 hexadecimal digits") from None
    return peppers
