from __future__ import annotations

import threading

from offbeat.backends.capture_guard import CaptureGuard


def started(target: object) -> threading.Thread:
    thread = threading.Thread(target=target, daemon=True)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_runs_go_on_beside_each_other_and_a_capture_waits_for_them() -> None:
    guard, both, has_captured = CaptureGuard(), threading.Barrier(2, timeout=60), threading.Event()
    may_end = threading.Event()

    def run() -> None:
        with guard.running():
            both.wait()
            assert may_end.wait(10)
            assert not has_captured.is_set()

    def capture() -> None:
        with guard.capturing():
            has_captured.set()

    runs = [started(run), started(run)]
    while guard._n_runs < 2:
        pass
    capturing = started(capture)
    assert not has_captured.wait(0.05)
    may_end.set()
    for thread in (*runs, capturing):
        thread.join(60)
    assert has_captured.is_set()


def test_no_run_begins_during_a_capture_or_while_one_waits() -> None:
    guard, has_run = CaptureGuard(), threading.Event()

    def run() -> None:
        with guard.running():
            has_run.set()

    with guard.capturing():
        waiting = started(run)
        assert not has_run.wait(0.05)
    waiting.join(60)
    assert has_run.is_set()

    has_run.clear()
    order: list[str] = []

    def capture() -> None:
        with guard.capturing():
            order.append("capture")

    with guard.running():
        capturing = started(capture)
        while not guard._n_captures_waiting:
            pass
        waiting = started(run)
        assert not has_run.wait(0.05)
    capturing.join(60)
    waiting.join(60)
    assert order == ["capture"]
    assert has_run.is_set()


def test_a_failed_capture_lets_others_go_on() -> None:
    guard = CaptureGuard()
    try:
        with guard.capturing():
            raise RuntimeError
    except RuntimeError:
        pass
    with guard.running(), guard.running():
        pass
