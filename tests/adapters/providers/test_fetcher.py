"""The guarded fetcher against a real server: what it brings, and everything it refuses."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from llmhub.types.v1.content_pb2 import MediaKind
from services.providers.domain.address import is_public
from services.providers.fetch_settings import FetchSettings
from services.providers.fetcher import Fetched, Fetcher, Wanted
from services.runtime.errors import RequestInvalid
from tests.adapters.providers.web import HOST, PNG, Web, answer, endless, make_certificates, trickling

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="install openssl to test TLS")

IMAGE = MediaKind.MEDIA_KIND_IMAGE


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("tls")
    make_certificates(found)
    return found


@pytest.fixture
async def web(folder: Path) -> AsyncIterator[Web]:
    async with Web(folder).open() as server:
        yield server


class Names:
    """A resolver that gives the answers it was told, one after the other, and the last one from then on."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def loopback(address: str) -> bool:
    """The rule of these tests alone: the server under test is allowed, nothing else is."""
    return address == "127.0.0.1"


def fetcher(web: Web, names: Names | None = None, **settings: Any) -> Fetcher:
    chosen = FetchSettings(
        **{"enabled": True, "ports": (web.port,), "ca": web.folder / "ca.crt", "timeout": 5.0, **settings}
    )
    return Fetcher(chosen, resolve=names or Names(["127.0.0.1"]), allowed=loopback)


async def one(
    web: Web, url: str = "", names: Names | None = None, kind: int = IMAGE, **settings: Any
) -> Fetched:
    wanted = Wanted(url or web.url(), kind, "messages[0].parts[0].media.url")
    return next(iter((await fetcher(web, names, **settings).fetch([wanted])).values()))


async def refused(web: Web, url: str = "", names: Names | None = None, **settings: Any) -> str:
    with pytest.raises(RequestInvalid) as error:
        await one(web, url, names, **settings)
    assert [each.field for each in error.value.violations] == ["messages[0].parts[0].media.url"]
    assert error.value.__cause__ is None
    assert "token" not in str(error.value)
    return error.value.violations[0].message


async def test_what_is_behind_a_url_comes_with_its_type(web: Web) -> None:
    assert await one(web, web.url("/x.png?token=1#top")) == Fetched(PNG, "image/png")
    head = web.heads[0].lower()
    assert head.startswith("get /x.png?token=1 http/1.1\r\n")
    assert f"host: {HOST}" in head
    for name in ("authorization", "cookie", "referer", "proxy"):
        assert name not in head


async def test_each_url_of_a_request_is_fetched_once_and_nothing_is_kept(web: Web) -> None:
    fetch = fetcher(web)
    wanted = [Wanted(web.url(f"/{name}"), IMAGE, f"f{n}") for n, name in enumerate("aab")]
    assert len(await fetch.fetch(wanted)) == 2
    assert web.connections == 2
    await fetch.fetch(wanted)
    assert web.connections == 4


async def test_at_most_four_of_a_request_are_fetched_at_a_time(web: Web) -> None:
    async def meet(writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(5):
            await barrier.wait()
        await answer()(writer)

    barrier = asyncio.Barrier(4)
    web.answers = {f"/{n}": meet for n in range(8)}
    await fetcher(web).fetch([Wanted(web.url(f"/{n}"), IMAGE, "f") for n in range(8)])
    assert web.most == 4


async def test_too_many_urls_are_refused_before_any_is_fetched(web: Web) -> None:
    wanted = [Wanted(web.url(f"/{n}"), IMAGE, f"f{n}") for n in range(3)]
    with pytest.raises(RequestInvalid, match="at most 2"):
        await fetcher(web, max_per_request=2).fetch(wanted)
    assert web.connections == 0


async def test_the_address_that_was_checked_is_the_one_connected_to(web: Web) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    assert (await one(web, names=names)).data == PNG
    assert names.asked == [HOST]


async def test_a_name_that_changes_its_answer_gets_nowhere(web: Web) -> None:
    names = Names(["127.0.0.2"], ["127.0.0.1"])
    assert "public internet" in await refused(web, names=names)
    assert web.connections == 0


async def test_one_closed_address_among_open_ones_closes_the_host(web: Web) -> None:
    assert "public internet" in await refused(web, names=Names(["127.0.0.1", "10.0.0.1"]))
    assert web.connections == 0


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "[::1]", "[::ffff:7f00:1]", "localhost"]
)
async def test_no_spelling_of_loopback_passes_the_rule_for_public_addresses(web: Web, host: str) -> None:
    guard = Fetcher(FetchSettings(enabled=True, ports=(web.port,), ca=web.folder / "ca.crt"))
    with pytest.raises(RequestInvalid):
        await guard.fetch([Wanted(f"https://{host}:{web.port}/x.png", IMAGE, "f")])
    assert web.connections == 0


async def test_the_rule_for_public_addresses_is_the_default() -> None:
    assert Fetcher(FetchSettings())._allowed is is_public
    assert not Fetcher(FetchSettings()).enabled


@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"]
)
async def test_a_redirect_is_not_followed(web: Web, status: str) -> None:
    web.answers["/x.png"] = answer(b"", status, location=web.url("/other.png"))
    assert "redirects" in await refused(web)
    assert web.connections == 1


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (answer(b"", "404 Not Found"), "404"),
        (answer(b"", "204 No Content"), "204"),
        (answer(content_type="text/html"), "content type"),
        (answer(content_type=""), "no content type"),
        (answer(content_type="image/svg+xml"), "content type"),
        (answer(content_encoding="gzip"), "compressed"),
        (answer(bytes(3000)), "larger than 2000"),
        (answer(b"short", content_length="100"), "could not be fetched"),
        (answer(content_length="9" * 5000), "could not be fetched"),
        (endless(), "larger than 2000"),
    ],
)
async def test_an_answer_out_of_bounds_is_refused(web: Web, handler: Any, message: str) -> None:
    web.answers["/x.png"] = handler
    assert message in await refused(web, max_bytes=2000)


async def test_a_body_of_just_the_limit_is_taken(web: Web) -> None:
    web.answers["/x.png"] = answer(bytes(2000))
    assert len((await one(web, max_bytes=2000)).data) == 2000


async def test_a_slow_answer_ends_with_the_time_limit(web: Web) -> None:
    gate = asyncio.Event()
    web.answers["/x.png"] = trickling(gate)
    assert "in time" in await refused(web, timeout=0.2)
    gate.set()


async def test_the_attempt_s_own_limit_counts_too(web: Web) -> None:
    gate = asyncio.Event()
    web.answers["/x.png"] = trickling(gate)
    with pytest.raises(RequestInvalid, match="in time"):
        await fetcher(web).fetch([Wanted(web.url(), IMAGE, "f")], 0.2)
    gate.set()


async def test_a_slow_resolver_ends_with_the_time_limit(web: Web) -> None:
    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    guard = fetcher(web, timeout=0.05)
    guard._resolve = never
    with pytest.raises(RequestInvalid, match="in time"):
        await guard.fetch([Wanted(web.url(), IMAGE, "f")])


async def test_a_certificate_of_an_unknown_authority_is_refused(web: Web) -> None:
    assert "could not be fetched" in await refused(web, ca=None)
    assert not web.heads


async def test_a_certificate_for_another_host_is_refused(web: Web) -> None:
    url = f"https://other.example:{web.port}/x.png"
    assert "could not be fetched" in await refused(web, url)
    assert not web.heads


async def test_the_environment_s_proxy_is_not_used(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await one(web)).data == PNG


async def test_a_failure_among_several_stops_the_others(web: Web) -> None:
    gate = asyncio.Event()
    web.answers = {"/slow": trickling(gate), "/bad": answer(b"", "500 Oops")}
    wanted = [Wanted(web.url("/slow"), IMAGE, "a"), Wanted(web.url("/bad"), IMAGE, "b")]
    with pytest.raises(RequestInvalid) as error:
        await fetcher(web).fetch(wanted)
    assert error.value.violations[0].field == "b"
    gate.set()


async def test_a_url_is_in_no_log(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    web.answers["/secret-path"] = answer(b"short", content_length="100")
    await refused(web, web.url("/secret-path?token=hidden"))
    assert "hidden" not in caplog.text
    assert "secret-path" not in caplog.text
