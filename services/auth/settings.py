"""Resolved settings of the auth service."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from services.runtime.key_format import LONGEST, SHORTEST_FOREIGN


class AuthSettings(BaseModel):
    """Where keys are kept and what protects them."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    data_dir: Path
    database_url: str = ""
    """Empty: the file auth.db in data_dir."""
    bootstrap_key: SecretStr | None = Field(None, min_length=SHORTEST_FOREIGN, max_length=LONGEST)
    """An administrator's key that exists as long as it is configured."""
    peppers: dict[int, SecretStr] = Field(default_factory=dict)
    """Secrets of 32 or more characters by version, the highest in use. Empty: the file auth.pepper in data_dir."""
    poll_interval: float = Field(0.25, gt=0, le=10)
    """Seconds after which a change by another process is seen."""
    beat_interval: float = Field(1.0, gt=0, le=10)
    """Seconds between the signs of life that watchers get."""

    @property
    def url(self) -> str:
        """The database's URL."""
        return self.database_url or f"sqlite:///{self.data_dir / 'auth.db'}"

    @property
    def bootstrap_text(self) -> str:
        """The bootstrap key, empty if there is none."""
        return self.bootstrap_key.get_secret_value() if self.bootstrap_key is not None else ""
