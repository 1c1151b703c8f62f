"""GET /v1/models in OpenAI's shape, over ModelService."""

from __future__ import annotations

import urllib.parse
from typing import Any

import grpc.aio
import msgspec

from llmhub.model.v1.model_service_pb2 import GetModelRequest, ListModelsRequest, Model
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceStub
from services.runtime.status import from_rpc_error

_PAGE = 1000
_PREFIX = "/v1/models/"


class Catalog:
    """Lists models with the caller's own key, so that the router decides what the key may see."""

    def __init__(self, router: grpc.aio.Channel) -> None:
        self._stub = ModelServiceStub(router)

    async def answer(self, path: str, token: str) -> bytes:
        """Return the body for the list or for one model. Raises what ModelService refuses."""
        metadata = (("authorization", f"Bearer {token}"),)
        try:
            if path.startswith(_PREFIX):
                wanted = urllib.parse.unquote(path.removeprefix(_PREFIX))
                got = await self._stub.GetModel(GetModelRequest(model=wanted), metadata=metadata)
                return msgspec.json.encode(_openai(got.model))
            models: list[dict[str, Any]] = []
            page_token = ""
            while True:
                request = ListModelsRequest(page_size=_PAGE, page_token=page_token)
                page = await self._stub.ListModels(request, metadata=metadata)
                models.extend(_openai(model) for model in page.models)
                page_token = page.next_page_token
                if not page_token:
                    return msgspec.json.encode({"object": "list", "data": models})
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "router") from None


def _openai(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": 0, "owned_by": model.provider or "llmhub"}
