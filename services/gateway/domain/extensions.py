"""What a caller's extensions may not say: how an answer is sent, and whose stored state it goes on from."""

from __future__ import annotations

from typing import Final

from llmhub.completion.v1.completion_service_pb2 import GenerateRequest
from services.dialects.members import Extension
from services.runtime.errors import ParameterUnsupported

_OURS: Final = frozenset({"stream", "background", "previous_response_id", "conversation"})
"""Members of a body, not of a model's: state at a provider belongs to the account, which all keys share."""


def refuse_state(request: GenerateRequest) -> None:
    """Raise ParameterUnsupported for an extension with such a member; RequestInvalid for one that is no JSON object."""
    for dialect in request.extensions:
        members = Extension(request.extensions, dialect).members
        for name in sorted(_OURS & members.keys()):
            if members[name]:
                field = f"extensions[{dialect}].{name}"
                raise ParameterUnsupported(f"{field}: is decided by llmhub, not by an extension", field=field)
