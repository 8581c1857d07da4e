"""Every decoder of requests under bytes that coverage leads, with atheris, which is not among the dependencies:

    pip install atheris && python -m tests.runtime.server.fuzz_requests -max_total_time=300 FOLDER_FOR_WHAT_IT_FINDS

The first byte chooses: a request of either protocol, on the codec's path and on Python's, which must say the same; rows of series; or
a body of REST. pytest runs the same checks under hypothesis.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["offbeat.server", "offbeat.streams", "offbeat.series"]):
    from tests.runtime.folders import random_windows
    from tests.runtime.server.test_decoders_under_fuzz import check_rows
    from tests.runtime.server.test_known_requests import CALLS, TwoPaths
    from tests.runtime.server.test_rest_under_fuzz import check as check_body
    from tests.runtime.server.two_paths import native_scorer


def seeds(paths: list[TwoPaths]) -> list[bytes]:
    """Requests of forms that the codec knows, the byte that chooses before each."""
    return [
        bytes([choice]) + each.learn(random_windows(n_windows), outputs)
        for choice, each in enumerate(paths)
        for n_windows in (1, 2)
        for outputs in ((), ("is_anomaly",))
    ]


def main() -> None:
    """Runs until libFuzzer's own limits."""
    logging.disable()
    with tempfile.TemporaryDirectory() as folder, native_scorer(Path(folder, "models")) as scorer:
        paths = [TwoPaths(*call, scorer) for call in CALLS.values()]
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(seeds(paths)):
            corpus.joinpath(str(number)).write_bytes(seed)

        def one(data: bytes) -> None:
            choice, content = data[:1], data[1:]
            kind = choice[0] % 4 if choice else 0
            if kind < 2:
                paths[kind].compare(content)
            elif kind == 2:
                check_rows(content)
            else:
                check_body(content[1:], min(len(content) - 1, content[0]) if content else 0)

        atheris.Setup([*sys.argv, str(corpus)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
