"""Media of other dialects at Bedrock."""

from typing import Any

import pytest

from tests.dialects.bedrock.asking import content


@pytest.mark.parametrize(
    ("media", "block"),
    [
        (
            'kind: MEDIA_KIND_IMAGE data: "x" mime_type: "image/jpg"',
            {"image": {"format": "jpeg", "source": {"bytes": "eA=="}}},
        ),
        (
            'kind: MEDIA_KIND_IMAGE data: "\\211PNG\\r\\n\\032\\n"',
            {"image": {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}},
        ),
        (
            'kind: MEDIA_KIND_IMAGE url: "data:image/webp;base64,eA=="',
            {"image": {"format": "webp", "source": {"bytes": "eA=="}}},
        ),
        (
            'kind: MEDIA_KIND_VIDEO url: "s3://bucket/a.3gp"',
            {"video": {"format": "three_gp", "source": {"s3Location": {"uri": "s3://bucket/a.3gp"}}}},
        ),
        (
            'kind: MEDIA_KIND_AUDIO data: "x" mime_type: "audio/mpeg"',
            {"audio": {"format": "mp3", "source": {"bytes": "eA=="}}},
        ),
        (
            'kind: MEDIA_KIND_DOCUMENT data: "x" mime_type: "application/pdf" file_name: "My_report: v1.pdf"',
            {"document": {"format": "pdf", "name": "My report v1", "source": {"bytes": "eA=="}}},
        ),
        (
            'kind: MEDIA_KIND_DOCUMENT text: "x" context: "c" citations: true',
            {
                "document": {
                    "format": "txt",
                    "name": "Document",
                    "source": {"text": "x"},
                    "context": "c",
                    "citations": {"enabled": True},
                }
            },
        ),
        (
            'kind: MEDIA_KIND_DOCUMENT parts { parts { text: "x" } parts { text: "y" } } title: "T"',
            {
                "document": {
                    "format": "txt",
                    "name": "T",
                    "source": {"content": [{"text": "x"}, {"text": "y"}]},
                }
            },
        ),
    ],
)
def test_media(media: str, block: dict[str, Any]) -> None:
    assert content(f"parts {{ media {{ {media} }} }}") == ([block], [])


@pytest.mark.parametrize(
    "media",
    [
        'kind: MEDIA_KIND_IMAGE url: "https://example.com/a.png"',
        'kind: MEDIA_KIND_IMAGE url: "data:image/png;base64,e?A=="',
        'kind: MEDIA_KIND_IMAGE url: "data:image/png;base64,?"',
        'kind: MEDIA_KIND_IMAGE file_id: "f"',
        'kind: MEDIA_KIND_IMAGE data: "x" mime_type: "image/tiff"',
        'kind: MEDIA_KIND_IMAGE text: "x"',
        'data: "x"',
    ],
)
def test_media_that_bedrock_cannot_take_are_reported(media: str) -> None:
    blocks, lost = content(f'parts {{ media {{ {media} }} }} parts {{ text: "x" }}')
    assert blocks == [{"text": "x"}]
    assert set(lost) == {"messages[0].parts[0].media"}


def test_documents_have_names_of_their_own() -> None:
    one = 'parts { media { kind: MEDIA_KIND_DOCUMENT data: "x" mime_type: "text/csv" title: "a.b" } }'
    blocks, lost = content(one * 3)
    assert [block["document"]["name"] for block in blocks] == ["a b", "a b 2", "a b 3"]
    assert lost == [f"messages[0].parts[{index}].media.title" for index in range(3)]
