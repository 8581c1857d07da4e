from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DataType(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DATA_TYPE_UNSPECIFIED: _ClassVar[DataType]
    DATA_TYPE_FLOAT32: _ClassVar[DataType]
    DATA_TYPE_BOOL: _ClassVar[DataType]
DATA_TYPE_UNSPECIFIED: DataType
DATA_TYPE_FLOAT32: DataType
DATA_TYPE_BOOL: DataType

class Tensor(_message.Message):
    __slots__ = ("name", "data_type", "shape", "data")
    NAME_FIELD_NUMBER: _ClassVar[int]
    DATA_TYPE_FIELD_NUMBER: _ClassVar[int]
    SHAPE_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    name: str
    data_type: DataType
    shape: _containers.RepeatedScalarFieldContainer[int]
    data: bytes
    def __init__(self, name: _Optional[str] = ..., data_type: _Optional[_Union[DataType, str]] = ..., shape: _Optional[_Iterable[int]] = ..., data: _Optional[bytes] = ...) -> None: ...

class ScoreRequest(_message.Message):
    __slots__ = ("model", "version", "id", "window", "outputs", "priority")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    id: str
    window: Tensor
    outputs: _containers.RepeatedScalarFieldContainer[str]
    priority: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., id: _Optional[str] = ..., window: _Optional[_Union[Tensor, _Mapping]] = ..., outputs: _Optional[_Iterable[str]] = ..., priority: _Optional[int] = ...) -> None: ...

class ScoreResponse(_message.Message):
    __slots__ = ("id", "model", "version", "outputs")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    version: int
    outputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., outputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ...) -> None: ...

class ScoreStreamResponse(_message.Message):
    __slots__ = ("response", "refusal")
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    REFUSAL_FIELD_NUMBER: _ClassVar[int]
    response: ScoreResponse
    refusal: Refusal
    def __init__(self, response: _Optional[_Union[ScoreResponse, _Mapping]] = ..., refusal: _Optional[_Union[Refusal, _Mapping]] = ...) -> None: ...

class Refusal(_message.Message):
    __slots__ = ("id", "code", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: int
    message: str
    def __init__(self, id: _Optional[str] = ..., code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class PointsRequest(_message.Message):
    __slots__ = ("model", "version", "id", "series", "values", "timestamps", "outputs", "stride", "priority", "answer_delay_us")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMPS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    STRIDE_FIELD_NUMBER: _ClassVar[int]
    PRIORITY_FIELD_NUMBER: _ClassVar[int]
    ANSWER_DELAY_US_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    id: str
    series: _containers.RepeatedScalarFieldContainer[str]
    values: bytes
    timestamps: bytes
    outputs: _containers.RepeatedScalarFieldContainer[str]
    stride: int
    priority: int
    answer_delay_us: int
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., id: _Optional[str] = ..., series: _Optional[_Iterable[str]] = ..., values: _Optional[bytes] = ..., timestamps: _Optional[bytes] = ..., outputs: _Optional[_Iterable[str]] = ..., stride: _Optional[int] = ..., priority: _Optional[int] = ..., answer_delay_us: _Optional[int] = ...) -> None: ...

class PointsResponse(_message.Message):
    __slots__ = ("scores", "refusals")
    SCORES_FIELD_NUMBER: _ClassVar[int]
    REFUSALS_FIELD_NUMBER: _ClassVar[int]
    scores: _containers.RepeatedCompositeFieldContainer[PointScores]
    refusals: _containers.RepeatedCompositeFieldContainer[PointsRefusal]
    def __init__(self, scores: _Optional[_Iterable[_Union[PointScores, _Mapping]]] = ..., refusals: _Optional[_Iterable[_Union[PointsRefusal, _Mapping]]] = ...) -> None: ...

class PointScores(_message.Message):
    __slots__ = ("id", "model", "version", "rows", "outputs", "alarms", "dropped_rows", "n_started")
    ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    OUTPUTS_FIELD_NUMBER: _ClassVar[int]
    ALARMS_FIELD_NUMBER: _ClassVar[int]
    DROPPED_ROWS_FIELD_NUMBER: _ClassVar[int]
    N_STARTED_FIELD_NUMBER: _ClassVar[int]
    id: str
    model: str
    version: int
    rows: bytes
    outputs: _containers.RepeatedCompositeFieldContainer[Tensor]
    alarms: bytes
    dropped_rows: bytes
    n_started: int
    def __init__(self, id: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., rows: _Optional[bytes] = ..., outputs: _Optional[_Iterable[_Union[Tensor, _Mapping]]] = ..., alarms: _Optional[bytes] = ..., dropped_rows: _Optional[bytes] = ..., n_started: _Optional[int] = ...) -> None: ...

class PointsRefusal(_message.Message):
    __slots__ = ("id", "code", "message", "rows_kept")
    ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    ROWS_KEPT_FIELD_NUMBER: _ClassVar[int]
    id: str
    code: int
    message: str
    rows_kept: bool
    def __init__(self, id: _Optional[str] = ..., code: _Optional[int] = ..., message: _Optional[str] = ..., rows_kept: _Optional[bool] = ...) -> None: ...

class ResetSeriesRequest(_message.Message):
    __slots__ = ("model", "series", "all")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SERIES_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    model: str
    series: _containers.RepeatedScalarFieldContainer[str]
    all: bool
    def __init__(self, model: _Optional[str] = ..., series: _Optional[_Iterable[str]] = ..., all: _Optional[bool] = ...) -> None: ...

class ResetSeriesResponse(_message.Message):
    __slots__ = ("n_series",)
    N_SERIES_FIELD_NUMBER: _ClassVar[int]
    n_series: int
    def __init__(self, n_series: _Optional[int] = ...) -> None: ...

class SnapshotSeriesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class SnapshotSeriesResponse(_message.Message):
    __slots__ = ("n_series",)
    N_SERIES_FIELD_NUMBER: _ClassVar[int]
    n_series: int
    def __init__(self, n_series: _Optional[int] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelSummary]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelSummary, _Mapping]]] = ...) -> None: ...

class ModelSummary(_message.Message):
    __slots__ = ("name", "version", "architecture", "backend", "max_batch_size")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ARCHITECTURE_FIELD_NUMBER: _ClassVar[int]
    BACKEND_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_SIZE_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    architecture: str
    backend: str
    max_batch_size: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ..., architecture: _Optional[str] = ..., backend: _Optional[str] = ..., max_batch_size: _Optional[int] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: int
    def __init__(self, name: _Optional[str] = ..., version: _Optional[int] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model", "manifest_json")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MANIFEST_JSON_FIELD_NUMBER: _ClassVar[int]
    model: ModelSummary
    manifest_json: bytes
    def __init__(self, model: _Optional[_Union[ModelSummary, _Mapping]] = ..., manifest_json: _Optional[bytes] = ...) -> None: ...
