"""The trials of a search, in a file that outlives it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import msgspec
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from offbeat.errors import CheckpointError, ConfigurationError
from offbeat_training.resume_state import RunIdentity
from offbeat_training.run_folder import RESUME_FILE
from offbeat_training.search_config import N_TRIALS, STUDY_FILE, SearchConfig
from offbeat_training.search_space import Choices, Dimension, Value, grid, parse_space

_IDENTITY, _FAILURE, _SECONDS = "identity", "failure", "seconds"


class SearchTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One trial, counted from 1: what was tried, what came of it (None where training failed), and why it failed."""

    number: int
    values: dict[str, Value]
    metric: float | None
    seconds: float
    failure: str | None


class SearchStudy:
    """Proposes values and remembers what came of them; a proposal whose process died is made again.

    The same seed and the same results give the same proposals, in one sitting or in several.
    """

    def __init__(self, study: optuna.Study, config: SearchConfig, seed: int) -> None:
        space = parse_space(config.space, config.fixed)
        self._study = study
        self._config = config
        self._seed = seed
        self._distributions = {name: _distribution(dimension) for name, dimension in space.items()}
        self._grid = grid(space) if config.method == "grid" else []
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
            study.enqueue_trial(trial.params)

    @property
    def n_trials(self) -> int:
        """How many trials there will be, of all sittings."""
        return (
            min(self._config.n_trials or N_TRIALS, len(self._grid)) if self._grid else self._config.n_trials or N_TRIALS
        )

    def trials(self) -> list[SearchTrial]:
        """The trials that have ended, in the order in which they did."""
        ended = [
            trial for trial in self._study.trials if trial.state == TrialState.COMPLETE or _FAILURE in trial.user_attrs
        ]
        return [_search_trial(number, trial) for number, trial in enumerate(ended, 1)]

    def propose(self) -> optuna.Trial:
        """The next values to try, as `params` of a trial that `record` closes."""
        trials = self.trials()
        tried = [trial.values for trial in trials]
        if self._grid and not self._study.get_trials(states=(TrialState.WAITING,)):
            self._study.enqueue_trial(next(point for point in self._grid if point not in tried))
        # A sampler of its own for each trial, so that it matters to none how many came before in this sitting.
        self._study.sampler = optuna.samplers.TPESampler(seed=(self._seed + len(trials)) % 2**32)
        return self._study.ask(self._distributions)

    def record(self, trial: optuna.Trial, metric: float | None, seconds: float, failure: str | None = None) -> None:
        """Closes a trial, with its metric or with why there is none."""
        trial.set_user_attr(_SECONDS, seconds)
        if failure is not None:
            trial.set_user_attr(_FAILURE, failure)
        self._study.tell(trial, metric, TrialState.COMPLETE if failure is None else TrialState.FAIL)


@contextlib.contextmanager
def open_study(config: SearchConfig, identity: RunIdentity, seed: int) -> Iterator[SearchStudy]:
    """The study in the search's folder, made if it is not there.

    Raises ConfigurationError for one that was not to be resumed and for a training run's folder, CheckpointError for a damaged one and for one of other
    data, another configuration or another space.
    """
    path = config.model_dir / STUDY_FILE
    if (config.model_dir / RESUME_FILE).exists():
        raise ConfigurationError(
            f"model_dir {config.model_dir} holds a training run; name another folder for the search"
        )
    if path.exists() and not config.resume:
        raise ConfigurationError(
            f"model_dir {config.model_dir} holds a search already; resume it, or name another folder"
        )
    try:
        config.model_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(f"model_dir {config.model_dir}: cannot be made: {error.strerror or error}") from error
    with _quiet_optuna(), contextlib.ExitStack() as closing:
        try:
            storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
            closing.callback(storage.engine.dispose)
            closing.callback(storage.remove_session)
            study = _study(storage, config, identity)
        except (SQLAlchemyError, optuna.exceptions.OptunaError, RuntimeError, msgspec.ValidationError) as error:
            raise CheckpointError(f"{path}: not a study of a search: {str(error).splitlines()[0]}") from error
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error}") from error
        yield SearchStudy(study, config, seed)


def _study(storage: optuna.storages.RDBStorage, config: SearchConfig, identity: RunIdentity) -> optuna.Study:
    direction = "minimize" if config.is_minimised else "maximize"
    study = optuna.create_study(storage=storage, study_name="offbeat", direction=direction, load_if_exists=True)
    if not study.trials and _IDENTITY not in study.user_attrs:
        study.set_user_attr(_IDENTITY, msgspec.to_builtins(identity))
    msgspec.convert(study.user_attrs.get(_IDENTITY), RunIdentity).check_same(identity)
    return study


def _distribution(dimension: Dimension) -> BaseDistribution:
    if isinstance(dimension, Choices):
        return CategoricalDistribution(dimension.values)
    if dimension.is_whole:
        return IntDistribution(round(dimension.low), round(dimension.high), log=dimension.is_log)
    return FloatDistribution(dimension.low, dimension.high, log=dimension.is_log)


def _search_trial(number: int, trial: FrozenTrial) -> SearchTrial:
    facts: dict[str, Any] = trial.user_attrs
    return SearchTrial(
        number=number, values=trial.params, metric=trial.value, seconds=facts[_SECONDS], failure=facts.get(_FAILURE)
    )


@contextlib.contextmanager
def _quiet_optuna() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
