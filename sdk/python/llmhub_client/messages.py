"""The contract's public messages. What only services of the mesh say to each other is not here."""

from llmhub_client._generated.llmhub.auth.v1 import (
    CreateKeyRequest,
    CreateKeyResponse,
    Key,
    RotateKeyResponse,
)
from llmhub_client._generated.llmhub.completion import v1 as _completion
from llmhub_client._generated.llmhub.completion.v1 import *  # noqa: F403 - public as a whole
from llmhub_client._generated.llmhub.embedding import v1 as _embedding
from llmhub_client._generated.llmhub.embedding.v1 import *  # noqa: F403
from llmhub_client._generated.llmhub.model.v1 import Capability, Model
from llmhub_client._generated.llmhub.provider.v1 import (
    Provider,
    ProviderCheck,
    ProviderCheckKind,
    ProviderCheckResult,
    ProviderState,
)
from llmhub_client._generated.llmhub.route.v1 import Needs, Operation
from llmhub_client._generated.llmhub.types import v1 as _types
from llmhub_client._generated.llmhub.types.v1 import *  # noqa: F403
from llmhub_client._generated.llmhub.usage.v1 import (
    Dimension,
    PriceState,
    UsageAggregate,
    UsageFilter,
    UsageRecord,
)

__all__ = [
    "Capability",
    "CreateKeyRequest",
    "CreateKeyResponse",
    "Dimension",
    "Key",
    "Model",
    "Needs",
    "Operation",
    "PriceState",
    "Provider",
    "ProviderCheck",
    "ProviderCheckKind",
    "ProviderCheckResult",
    "ProviderState",
    "RotateKeyResponse",
    "UsageAggregate",
    "UsageFilter",
    "UsageRecord",
]
__all__ += _completion.__all__
__all__ += _embedding.__all__
__all__ += _types.__all__
