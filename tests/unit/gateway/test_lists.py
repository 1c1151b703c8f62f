"""Models in each vendor's own list."""

from __future__ import annotations

from typing import Any

import pytest
from anthropic.types import ModelInfo
from google.genai import types as google
from openai.types import Model as OpenAIModel

from llmhub.model.v1.model_service_pb2 import Capability, Model
from services.gateway.http.lists import AnthropicList, GeminiList, OpenAIList
from services.runtime.errors import RequestInvalid

MODELS = [Model(id=f"p/m{number:02}", provider="p") for number in range(45)]
FULL = Model(
    id="p/x",
    provider="p",
    display_name="X",
    context_tokens=128_000,
    max_output_tokens=4096,
    capabilities=[Capability.CAPABILITY_EMBEDDING],
)


def ids(page: dict[str, Any]) -> list[str]:
    return [model["id"] for model in page["data"]]


def test_openai_s_has_all_models() -> None:
    page = OpenAIList().page(MODELS, {"limit": "2"})
    assert ids(page) == [model.id for model in MODELS]
    assert OpenAIModel.model_validate(page["data"][0], strict=True).owned_by == "p"


def test_anthropic_s_goes_forth_and_back() -> None:
    made = AnthropicList()
    first = made.page(MODELS, {})
    assert ids(first) == [model.id for model in MODELS[:20]]
    assert (first["has_more"], first["first_id"], first["last_id"]) == (True, "p/m00", "p/m19")
    last = made.page(MODELS, {"after_id": "p/m39", "limit": "20"})
    assert (ids(last), last["has_more"]) == ([f"p/m{number}" for number in range(40, 45)], False)
    before = made.page(MODELS, {"before_id": "p/m40", "limit": "5"})
    assert (ids(before), before["has_more"]) == ([f"p/m{number}" for number in range(35, 40)], True)
    start = made.page(MODELS, {"before_id": "p/m02", "limit": "5"})
    assert (ids(start), start["has_more"]) == (["p/m00", "p/m01"], False)
    nothing = made.page([], {})
    assert nothing == {"data": [], "has_more": False, "first_id": None, "last_id": None}


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": "many"},
        {"limit": "-1"},
        {"limit": "9" * 5000},
        {"after_id": "nobody"},
        {"before_id": "nobody"},
        {"after_id": "p/m01", "before_id": "p/m02"},
    ],
)
def test_what_anthropic_would_refuse_is_refused(asked: dict[str, str]) -> None:
    with pytest.raises(RequestInvalid):
        AnthropicList().page(MODELS, asked)


def test_anthropic_s_model_is_what_its_sdk_reads() -> None:
    info = ModelInfo.model_validate(AnthropicList().model(FULL))
    assert (info.id, info.display_name, info.type, info.lifecycle) == ("p/x", "X", "model", "active")
    assert (info.max_input_tokens, info.max_tokens) == (128_000, 4096)
    assert info.created_at.year == 1970


def test_gemini_s_pages_end() -> None:
    made, seen, token = GeminiList(), [], ""
    for _ in range(5):
        page = made.page(MODELS, {"pageSize": "20", "pageToken": token})
        seen += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == [f"models/{model.id}" for model in MODELS]
    assert len(made.page(MODELS, {})["models"]) == 45
    with pytest.raises(RequestInvalid):
        made.page(MODELS, {"pageSize": "x"})


def test_gemini_s_model_is_what_google_s_sdk_reads() -> None:
    model = google.Model.model_validate(
        {
            "name": "models/p/x",
            "displayName": "X",
            "version": "1",
            "inputTokenLimit": 128_000,
            "outputTokenLimit": 4096,
        }
    )
    shown = GeminiList().model(FULL)
    assert shown.pop("supportedGenerationMethods") == ["embedContent", "batchEmbedContents"]
    assert google.Model.model_validate(shown) == model
    assert "generateContent" in GeminiList().model(MODELS[0])["supportedGenerationMethods"]
