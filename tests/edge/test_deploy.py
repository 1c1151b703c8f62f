"""The rendered file in deploy/ is what the code renders."""

from pathlib import Path

import pytest

from services.mesh.edge.__main__ import main

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "envoy"


def test_the_committed_configuration_is_true(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(FOLDER / "llmhub.yaml"), "--descriptors", "/etc/llmhub/llmhub.binpb"]
    assert main(arguments) == 0
    assert capsys.readouterr().out == (FOLDER / "envoy.yaml").read_text(), "render it anew, see README.md"
