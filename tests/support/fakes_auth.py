"""Working stand-ins for the ports of auth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from services.auth.domain.api_key import ApiKey
from services.auth.domain.errors import KeyExists, RequestIdUsed
from services.auth.domain.key import Digest, Peppers
from services.auth.ports import Changes, Position
from services.runtime.errors import KeyNotFound

START = 1_800_000_000.0
PEPPERS = Peppers({1: b"p" * 32})


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def ms(self) -> int:
        return int(self.time * 1000)


class FakeRandomness:
    """Bytes that differ with each call and are the same in each run."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, size: int) -> bytes:
        self.calls += 1
        return hashlib.shake_256(str(self.calls).encode()).digest(size)


class FakeKeyStore:
    """A KeyStore in memory."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[int, ApiKey]] = {}
        self._revision = 0

    async def add(self, key: ApiKey) -> ApiKey:
        for _, other in self._keys.values():
            if key.request_id and other.request_id == key.request_id:
                raise RequestIdUsed("used", request_id=key.request_id, key_id=other.key_id)
        if key.key_id in self._keys:
            raise KeyExists(key.key_id)
        self._put(key)
        return key

    async def get(self, key_id: str) -> ApiKey:
        if key_id not in self._keys:
            raise KeyNotFound("no such key", key_id=key_id)
        return self._keys[key_id][1]

    async def find(self, digests: Sequence[Digest]) -> ApiKey | None:
        for _, key in self._keys.values():
            if any(secret.digest in digests for secret in key.secrets):
                return key
        return None

    async def page(self, limit: int, after: Position | None) -> list[ApiKey]:
        keys = (replace(key, secrets=()) for _, key in self._keys.values())
        older = [key for key in keys if after is None or (key.created_at, key.key_id) < after]
        return sorted(older, key=lambda key: (key.created_at, key.key_id), reverse=True)[:limit]

    async def change(self, key_id: str, step: Callable[[ApiKey], ApiKey]) -> ApiKey:
        old = await self.get(key_id)
        new = step(old)
        if new == old:
            return old
        new = replace(new, version=old.version + 1)
        self._put(new)
        return new

    async def changes_since(self, revision: int, limit: int) -> Changes:
        found = sorted((at, key.key_id) for at, key in self._keys.values() if at > revision)[:limit]
        return Changes(found[-1][0] if found else revision, tuple(key_id for _, key_id in found))

    async def revision(self) -> int:
        return self._revision

    async def pepper_versions(self) -> frozenset[int]:
        return frozenset(
            secret.digest.pepper_version for _, key in self._keys.values() for secret in key.secrets
        )

    def _put(self, key: ApiKey) -> None:
        self._revision += 1
        self._keys[key.key_id] = (self._revision, key)
