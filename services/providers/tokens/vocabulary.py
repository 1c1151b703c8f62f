"""The shipped vocabularies, loaded when first needed."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Final

from services.runtime.log import get_logger

log = get_logger(__name__)

CountText = Callable[[str], int]

_SLICE: Final = 16_384
# Both vocabularies part a word or number from such a character wherever they stand, so counts of the parts add up.
_SEAM: Final = re.compile(
    r"(?<=[A-Za-z0-9\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff])(?=[\s.,;:!?()\[\]{}<>\"/\\|=+*&^%$#@~。、])"
)


class Vocabularies:
    """Counts with a vocabulary by name. Everything here blocks: it is for a thread."""

    def __init__(self) -> None:
        self._loaded: dict[str, CountText | None] = {}
        self._lock = threading.Lock()

    def loaded(self, name: str) -> bool:
        """Tell whether counting with a vocabulary needs no loading. Does not block."""
        return self._loaded.get(name) is not None

    def count(self, name: str, texts: Iterable[str], stop: Callable[[], bool] = bool) -> int | None:
        """Return the tokens of texts, or None if the vocabulary is not to be had on this machine.

        Counting holds the interpreter's lock, so it goes in slices between which other threads run; `stop` ends it.
        """
        count = self._load(name)
        if count is None:
            return None
        total = 0
        for text in texts:
            for piece in slices(text):
                if stop():
                    return total
                total += count(piece)
        return total

    def _load(self, name: str) -> CountText | None:
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = _open(name)
            return self._loaded[name]


def slices(text: str) -> Iterator[str]:
    """Cut a long text where no token goes across."""
    start = 0
    while len(text) - start > _SLICE:
        seam = _SEAM.search(text, start + _SLICE)
        if seam is None:
            break
        yield text[start : seam.start()]
        start = seam.start()
    yield text[start:] if start else text


def _open(name: str) -> CountText | None:
    """Load a vocabulary with the library this Python has; the two count the same."""
    try:
        count: CountText = getattr(import_module("rs_bpe.bpe").openai, name)().count
    except ImportError:
        try:
            count = import_module("bpe_openai._bindings").tokenizer_for_encoding(name).count
        except ImportError:
            log.warning("no vocabulary library is installed: token counts of OpenAI models are estimates")
            return None
    return count
