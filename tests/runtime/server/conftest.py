from __future__ import annotations

from collections.abc import Iterator

import pytest

from .live import Loop, Serve, serving


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def serve(loop: Loop) -> Iterator[Serve]:
    with serving(loop) as start:
        yield start
