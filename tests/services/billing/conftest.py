import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.billing.settings import BillingSettings


@pytest.fixture
def socket() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="lh", dir="/tmp") as folder:
        yield Path(folder) / "b.sock"


@pytest.fixture
def settings(tmp_path: Path) -> BillingSettings:
    return BillingSettings(data_dir=tmp_path)
