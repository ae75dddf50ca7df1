"""The server as a process: where it says it is, and what happens when it cannot be there."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from pesoleve.errors import ExportError
from pesoleve.serve import listen, run


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_a_port_that_is_taken_is_named_with_the_way_out(site: Path, taken_port: int) -> None:
    with pytest.raises(ExportError, match=rf"127\.0\.0\.1:{taken_port}: .*in use.*--port"):
        run(site, host="127.0.0.1", port=taken_port, base_path="/", isolation=True)


def test_an_answer_does_not_wait_for_the_browser_to_acknowledge_its_headers() -> None:
    async def sends_at_once() -> bool:
        accepted: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            connection = writer.get_extra_info("socket")
            accepted.set_result(bool(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
            writer.close()

        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(accept, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                sent_at_once = await accepted
                writer.close()
        return sent_at_once

    assert asyncio.run(sends_at_once())


def test_it_serves_where_it_says_until_it_is_interrupted(site: Path) -> None:
    command = [str(Path(sys.executable).with_name("pesoleve")), "serve", str(site)]
    options = ["--port", "0", "--base-path", "/peso-leve", "--no-isolation"]
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        text=True,
        env={"COLUMNS": "500"},
        # A shell starts what runs in the background deaf to it.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as server:
        assert server.stdout is not None
        try:
            found = re.search(r"http://127\.0\.0\.1:\d+/peso-leve/", server.stdout.readline())
            assert found is not None
            answer = httpx.get(found.group())
            assert answer.status_code == 200
            assert answer.text == (site / "index.html").read_text()
            assert "Content-Security-Policy" in answer.headers
            assert "Cross-Origin-Embedder-Policy" not in answer.headers
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(timeout=30)
    assert server.returncode == 130
