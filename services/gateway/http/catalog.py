"""The lists of models, in the shape of whoever asks, over ModelService."""

from __future__ import annotations

import urllib.parse
from typing import Final

import grpc.aio
import msgspec

from llmhub.model.v1.model_service_pb2 import GetModelRequest, ListModelsRequest, Model
from llmhub.model.v1.model_service_pb2_grpc import ModelServiceStub
from services.gateway.http.lists import LISTS, OpenAIList
from services.runtime.status import from_rpc_error

_PAGE: Final = 1000
_ROOTS: Final = ("/v1/models/", "/v1beta/models/")


class Catalog:
    """Lists models with the caller's own key, so that the router decides what the key may see."""

    def __init__(self, router: grpc.aio.Channel) -> None:
        self._stub = ModelServiceStub(router)

    async def answer(self, dialect: str, path: str, query: str, token: str) -> bytes:
        """Return the body for the list or for one model. Raises what ModelService refuses; RequestInvalid."""
        shape = LISTS.get(dialect, OpenAIList)()
        for root in _ROOTS:
            if path.startswith(root) and len(path) > len(root):
                return msgspec.json.encode(shape.model(await self._model(path.removeprefix(root), token)))
        asked = dict(urllib.parse.parse_qsl(query))
        return msgspec.json.encode(shape.page(await self._models(token), asked))

    async def _model(self, name: str, token: str) -> Model:
        try:
            got = await self._stub.GetModel(GetModelRequest(model=name), metadata=_metadata(token))
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "router") from None
        return got.model

    async def _models(self, token: str) -> list[Model]:
        models: list[Model] = []
        page_token = ""
        try:
            while True:
                request = ListModelsRequest(page_size=_PAGE, page_token=page_token)
                page = await self._stub.ListModels(request, metadata=_metadata(token))
                models.extend(page.models)
                page_token = page.next_page_token
                if not page_token:
                    return models
        except grpc.aio.AioRpcError as error:
            raise from_rpc_error(error, "router") from None


def _metadata(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)
