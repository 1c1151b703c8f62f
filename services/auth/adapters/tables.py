"""Tables of the auth service; they stay inside the adapters. Times are milliseconds since 1970."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Index, LargeBinary
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class AuthTable(SQLModel, registry=registry()):
    """Base of the tables; metadata of its own, so that services in one process do not mix."""


class RevisionRow(AuthTable, table=True):
    """One row that counts writes. Each write takes it first, so that revisions are committed in their order."""

    __tablename__ = "auth_revision"

    id: int = Field(primary_key=True)
    value: int = Field(sa_type=BigInteger)


class KeyRow(AuthTable, table=True):
    """A key without its secrets; never deleted."""

    __tablename__ = "auth_key"
    __table_args__ = (Index("ix_auth_key_newest", "created_at_ms", "key_id"),)

    key_id: str = Field(primary_key=True, max_length=12)
    name: str
    scopes: list[int] = Field(sa_column=Column(JSON, nullable=False))
    models: list[str] = Field(sa_column=Column(JSON, nullable=False))
    environment: str = Field(max_length=16)
    created_at_ms: int = Field(sa_type=BigInteger)
    expires_at_ms: int | None = Field(default=None, sa_type=BigInteger)
    revoked_at_ms: int | None = Field(default=None, sa_type=BigInteger)
    version: int = Field(sa_type=BigInteger)
    request_id: str | None = Field(default=None, unique=True, max_length=36)
    revision: int = Field(sa_type=BigInteger, unique=True)


class SecretRow(AuthTable, table=True):
    """The digest of one secret; a key has two between a rotation and the end of its overlap."""

    __tablename__ = "auth_secret"

    digest: bytes = Field(sa_column=Column(LargeBinary(32), primary_key=True))
    pepper_version: int
    key_id: str = Field(foreign_key="auth_key.key_id", index=True, max_length=12)
    valid_until_ms: int | None = Field(default=None, sa_type=BigInteger)
