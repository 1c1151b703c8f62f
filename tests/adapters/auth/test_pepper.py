import stat
import threading
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.auth.adapters.pepper import FILE_NAME, PepperError, load
from services.auth.domain.key import Peppers
from services.auth.settings import AuthSettings
from services.runtime import private_file
from tests.support.fakes_auth import FakeRandomness


def settings(folder: Path, **peppers: str) -> AuthSettings:
    return AuthSettings(
        data_dir=folder, peppers={int(name[1:]): SecretStr(text) for name, text in peppers.items()}
    )


def test_the_first_start_makes_a_pepper_that_later_starts_use(tmp_path: Path) -> None:
    first = load(settings(tmp_path / "new"), set(), FakeRandomness())
    later = load(settings(tmp_path / "new"), {1}, FakeRandomness())
    assert first == later
    assert [len(pepper) for pepper in first.versions.values()] == [32]
    assert stat.S_IMODE((tmp_path / "new" / FILE_NAME).stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_a_second_line_takes_over_for_new_keys(tmp_path: Path) -> None:
    old = load(settings(tmp_path), set(), FakeRandomness())
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write(f"2 {'ab' * 32}\n")
    both = load(settings(tmp_path), {1}, FakeRandomness())
    assert both == Peppers({**old.versions, 2: b"\xab" * 32})
    assert both.digest("x").pepper_version == 2


def test_settings_take_precedence_and_make_no_file(tmp_path: Path) -> None:
    peppers = load(settings(tmp_path, v1="one" * 11, v2="two" * 11), {1}, FakeRandomness())
    assert peppers == Peppers({1: b"one" * 11, 2: b"two" * 11})
    assert list(tmp_path.iterdir()) == []


def test_a_lost_pepper_is_never_replaced(tmp_path: Path) -> None:
    with pytest.raises(PepperError, match=r"auth\.pepper.*version 1 .*Restore"):
        load(settings(tmp_path), {1}, FakeRandomness())
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(PepperError, match="version 1 "):
        load(settings(tmp_path, v2="two" * 11), {1, 2}, FakeRandomness())


@pytest.mark.parametrize("line", ["1", "x " + "ab" * 32, "1 abcd", "1 " + "xy" * 32])
def test_a_damaged_file_is_named_with_its_line(tmp_path: Path, line: str) -> None:
    (tmp_path / FILE_NAME).write_text(line)
    with pytest.raises(PepperError, match=r"auth\.pepper:1"):
        load(settings(tmp_path), set(), FakeRandomness())


def test_racing_creators_agree(tmp_path: Path) -> None:
    results: list[str] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        results.append(private_file.create(tmp_path / "file", str(number)))

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert len(set(results)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
