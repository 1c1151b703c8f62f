"""What can be done with keys, over the ports: verify, create, update, rotate, revoke, and the operator's keys."""

from __future__ import annotations

import contextlib
import hmac
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from services.auth.domain.api_key import (
    BOOTSTRAP_ID,
    ApiKey,
    Edit,
    Secret,
    admit,
    require_changeable,
    revoked,
    rotated,
)
from services.auth.domain.errors import KeyExists
from services.auth.domain.key import ID_RANDOMNESS, SECRET_RANDOMNESS, Digest, NewKey, Peppers, make
from services.auth.domain.policy import OPERATOR, Grant, require_may_change, require_may_end, require_may_give
from services.auth.ports import KeyStore, Randomness
from services.runtime.clock import Clock
from services.runtime.errors import KeyInvalid, KeyNotFound
from services.runtime.key_format import key_id_of
from services.runtime.log import get_logger

_LOGGER = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for a change: the id of the own key, and what that key may do."""

    key_id: str
    grant: Grant


@dataclass(frozen=True, slots=True)
class Draft:
    """A key that is to be made."""

    name: str
    grant: Grant
    request_id: str = ""


OPERATOR_CALLER = Caller(key_id="", grant=OPERATOR)
"""Whoever holds the installation itself."""


class Keyring:
    """The keys of an installation. Secrets pass through and are never kept; `changed` is called after each commit."""

    def __init__(
        self,
        store: KeyStore,
        peppers: Peppers,
        clock: Clock,
        randomness: Randomness,
        *,
        bootstrap_key: str = "",
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._peppers = peppers
        self._clock = clock
        self._randomness = randomness
        self._bootstrap_key = bootstrap_key
        self._changed = changed

    async def verify(self, text: str) -> tuple[ApiKey, Secret]:
        """Return the key and the secret presented. Raises KeyInvalid, KeyExpired or KeyRevoked."""
        # The operator's own choice of a key has any form.
        chosen = self._bootstrap_key and hmac.compare_digest(text.encode(), self._bootstrap_key.encode())
        if not chosen:
            _require_form(text)
        # By digest whatever the format: the id in a key's text is for people, logs and scanners.
        presented = self._peppers.digests(text)
        key = await self._store.find(presented)
        if key is None:
            raise KeyInvalid("the API key is unknown")
        return key, admit(key, presented, self._now())

    async def create(self, caller: Caller, draft: Draft) -> tuple[ApiKey, str]:
        """Make a key and return it with its text. Raises ScopeDenied, RequestIdUsed."""
        require_may_give(caller.grant, draft.grant)
        new = self._make(draft.grant.environment)
        return await self._add(caller, new, draft), new.text

    async def adopt(self, text: str, draft: Draft) -> ApiKey:
        """Make a key whose text is given. Raises KeyInvalid unless it has the form of `new_text`."""
        key_id = _require_form(text)
        if key_id is None:
            raise KeyInvalid("not a key of llmhub's form")
        return await self._add(OPERATOR_CALLER, NewKey(key_id, text), draft)

    async def update(self, caller: Caller, key_id: str, edit: Edit) -> ApiKey:
        """Change a key. Raises KeyNotFound, ScopeDenied, TargetRevoked."""

        def step(key: ApiKey) -> ApiKey:
            new = edit.applied_to(key)
            require_may_change(caller.grant, key.grant, new.grant)
            require_changeable(key)
            return new

        return await self._change("key updated", caller, key_id, step)

    async def rotate(self, caller: Caller, key_id: str, overlap: int) -> tuple[ApiKey, str]:
        """Give a key a new secret, the old one ending after `overlap` ms; return the new text.

        Raises KeyNotFound, ScopeDenied, TargetRevoked.
        """
        until = self._now() + overlap
        texts: list[str] = []

        def step(key: ApiKey) -> ApiKey:
            require_may_give(caller.grant, key.grant)
            new = self._make(key.grant.environment, key.key_id).text
            changed = rotated(key, self._peppers.digest(new), until)
            texts.append(new)
            return changed

        key = await self._change("key rotated", caller, key_id, step)
        return key, texts[-1]

    async def revoke(self, caller: Caller, key_id: str) -> ApiKey:
        """End a key for good; twice is no error. Raises KeyNotFound, ScopeDenied."""
        now = self._now()

        def step(key: ApiKey) -> ApiKey:
            require_may_end(caller.grant, key.grant)
            return revoked(key, now)

        return await self._change("key revoked", caller, key_id, step)

    async def install_bootstrap(self) -> None:
        """Make sure that the configured bootstrap key, and no former one, is an administrator's key.

        One that was revoked stays revoked until another one is configured.
        """
        digests = self._peppers.digests(self._bootstrap_key) if self._bootstrap_key else ()
        key = await self._store.find(digests) if digests else None
        if key is None or key.key_id == BOOTSTRAP_ID:
            key = await self._put_bootstrap(digests)
        else:
            # The text of an ordinary key was configured, for example the one that the first start printed.
            await self._put_bootstrap(())
            key = await self._change(
                "key made an administrator's",
                OPERATOR_CALLER,
                key.key_id,
                lambda key: replace(key, grant=OPERATOR),
            )
        if key is not None and digests and key.revoked_at is not None:
            _LOGGER.warning("the configured bootstrap key was revoked and is refused: configure another one")

    async def _put_bootstrap(self, digests: Sequence[Digest]) -> ApiKey | None:
        def step(key: ApiKey) -> ApiKey:
            held = [each for each in key.secrets if any(each.digest.matches(one) for one in digests)]
            if held or not digests:
                return replace(key, grant=OPERATOR, secrets=tuple(held))
            return replace(key, grant=OPERATOR, secrets=(Secret(digests[0]),), revoked_at=None)

        if digests:
            new = ApiKey(BOOTSTRAP_ID, "bootstrap", OPERATOR, self._now(), (Secret(digests[0]),))
            # Another process may be doing the same, perhaps with another key: then the later one stands.
            with contextlib.suppress(KeyExists):
                await self._store.add(new)
                self._changed()
                return new
        with contextlib.suppress(KeyNotFound):
            return await self._change("bootstrap key changed", OPERATOR_CALLER, BOOTSTRAP_ID, step)
        return None

    def new_text(self) -> str:
        """Return the text of a key that does not exist yet."""
        return self._make("live").text

    async def _add(self, caller: Caller, new: NewKey, draft: Draft) -> ApiKey:
        key = await self._store.add(
            ApiKey(
                key_id=new.key_id,
                name=draft.name,
                grant=draft.grant,
                created_at=self._now(),
                secrets=(Secret(self._peppers.digest(new.text)),),
                request_id=draft.request_id,
            )
        )
        self._changed()
        _LOGGER.info("key created", key_id=key.key_id, by=caller.key_id or "operator")
        return key

    async def _change(
        self, what: str, caller: Caller, key_id: str, step: Callable[[ApiKey], ApiKey]
    ) -> ApiKey:
        before: list[ApiKey] = []

        def watched(key: ApiKey) -> ApiKey:
            before.append(key)
            return step(key)

        key = await self._store.change(key_id, watched)
        if key != before[-1]:
            self._changed()
            _LOGGER.info(what, key_id=key.key_id, version=key.version, by=caller.key_id or "operator")
        return key

    def _make(self, environment: str, key_id: str = "") -> NewKey:
        return make(environment, self._randomness(ID_RANDOMNESS), self._randomness(SECRET_RANDOMNESS), key_id)

    def _now(self) -> int:
        return int(self._clock.now() * 1000)


def _require_form(text: str) -> str | None:
    """The id in a key of our form, None for a foreign one. Raises KeyInvalid for what can be neither."""
    try:
        return key_id_of(text)
    except ValueError as error:
        raise KeyInvalid(f"the API key is malformed: {error}") from None
