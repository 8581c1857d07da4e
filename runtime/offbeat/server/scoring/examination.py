"""Whether an engine works at all, asked with a window that no caller has sent."""

from __future__ import annotations

from offbeat.result import DEFAULT_OUTPUTS
from offbeat.server.scoring.served import ServedModel
from offbeat.server.scoring.warm_up import normal_windows


class Examination:
    """The question as a task of a worker; what it gives is whether the engine works."""

    __slots__ = ("_model",)

    def __init__(self, model: ServedModel) -> None:
        self._model = model

    def __call__(self) -> bool:
        """Asks."""
        return works(self._model)

    def failed(self, error: BaseException) -> bool:
        """Without an answer it does not."""
        return False

    def lost(self, error: BaseException) -> None:
        """It hangs now, and is in use until it comes back."""
        self._model.n_hung += 1

    def returned(self) -> None:
        """It may be asked again."""
        self._model.n_hung -= 1


def works(model: ServedModel) -> bool:
    """Whether its engine scores a window of mean values: where it does, what failed before was the request's affair."""
    try:
        outputs = model.scorer.run(normal_windows(model.scorer.manifest, 1), DEFAULT_OUTPUTS)
    except BaseException:  # noqa: BLE001 - whatever an engine raises
        return False
    return all(len(outputs[name]) == 1 for name in DEFAULT_OUTPUTS)
