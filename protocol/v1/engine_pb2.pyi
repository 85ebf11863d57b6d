import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Color(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COLOR_UNSPECIFIED: _ClassVar[Color]
    COLOR_BLACK: _ClassVar[Color]
    COLOR_WHITE: _ClassVar[Color]

class KoRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KO_RULE_UNSPECIFIED: _ClassVar[KoRule]
    KO_RULE_SIMPLE: _ClassVar[KoRule]
    KO_RULE_POSITIONAL_SUPERKO: _ClassVar[KoRule]
    KO_RULE_SITUATIONAL_SUPERKO: _ClassVar[KoRule]

class ScoringRule(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SCORING_RULE_UNSPECIFIED: _ClassVar[ScoringRule]
    SCORING_RULE_AREA: _ClassVar[ScoringRule]
    SCORING_RULE_TERRITORY: _ClassVar[ScoringRule]

class StopReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_REASON_UNSPECIFIED: _ClassVar[StopReason]
    STOP_REASON_VISITS: _ClassVar[StopReason]
    STOP_REASON_TIME: _ClassVar[StopReason]
    STOP_REASON_DEADLINE: _ClassVar[StopReason]
    STOP_REASON_DECIDED: _ClassVar[StopReason]
    STOP_REASON_ONLY_MOVE: _ClassVar[StopReason]
    STOP_REASON_SERVER_DRAIN: _ClassVar[StopReason]
COLOR_UNSPECIFIED: Color
COLOR_BLACK: Color
COLOR_WHITE: Color
KO_RULE_UNSPECIFIED: KoRule
KO_RULE_SIMPLE: KoRule
KO_RULE_POSITIONAL_SUPERKO: KoRule
KO_RULE_SITUATIONAL_SUPERKO: KoRule
SCORING_RULE_UNSPECIFIED: ScoringRule
SCORING_RULE_AREA: ScoringRule
SCORING_RULE_TERRITORY: ScoringRule
STOP_REASON_UNSPECIFIED: StopReason
STOP_REASON_VISITS: StopReason
STOP_REASON_TIME: StopReason
STOP_REASON_DEADLINE: StopReason
STOP_REASON_DECIDED: StopReason
STOP_REASON_ONLY_MOVE: StopReason
STOP_REASON_SERVER_DRAIN: StopReason

class Rules(_message.Message):
    __slots__ = ("ko_rule", "scoring_rule", "suicide_allowed")
    KO_RULE_FIELD_NUMBER: _ClassVar[int]
    SCORING_RULE_FIELD_NUMBER: _ClassVar[int]
    SUICIDE_ALLOWED_FIELD_NUMBER: _ClassVar[int]
    ko_rule: KoRule
    scoring_rule: ScoringRule
    suicide_allowed: bool
    def __init__(self, ko_rule: _Optional[_Union[KoRule, str]] = ..., scoring_rule: _Optional[_Union[ScoringRule, str]] = ..., suicide_allowed: _Optional[bool] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("column", "row")
    COLUMN_FIELD_NUMBER: _ClassVar[int]
    ROW_FIELD_NUMBER: _ClassVar[int]
    column: int
    row: int
    def __init__(self, column: _Optional[int] = ..., row: _Optional[int] = ...) -> None: ...

class Action(_message.Message):
    __slots__ = ("point", "pass_turn", "vertex", "gtp_vertex")
    POINT_FIELD_NUMBER: _ClassVar[int]
    PASS_TURN_FIELD_NUMBER: _ClassVar[int]
    VERTEX_FIELD_NUMBER: _ClassVar[int]
    GTP_VERTEX_FIELD_NUMBER: _ClassVar[int]
    point: Point
    pass_turn: bool
    vertex: str
    gtp_vertex: str
    def __init__(self, point: _Optional[_Union[Point, _Mapping]] = ..., pass_turn: _Optional[bool] = ..., vertex: _Optional[str] = ..., gtp_vertex: _Optional[str] = ...) -> None: ...

class Move(_message.Message):
    __slots__ = ("color", "action")
    COLOR_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    color: Color
    action: Action
    def __init__(self, color: _Optional[_Union[Color, str]] = ..., action: _Optional[_Union[Action, _Mapping]] = ...) -> None: ...

class SetupStone(_message.Message):
    __slots__ = ("color", "point")
    COLOR_FIELD_NUMBER: _ClassVar[int]
    POINT_FIELD_NUMBER: _ClassVar[int]
    color: Color
    point: Point
    def __init__(self, color: _Optional[_Union[Color, str]] = ..., point: _Optional[_Union[Point, _Mapping]] = ...) -> None: ...

class MoveList(_message.Message):
    __slots__ = ("board_size", "setup_stones", "moves", "initial_player", "rules", "komi")
    BOARD_SIZE_FIELD_NUMBER: _ClassVar[int]
    SETUP_STONES_FIELD_NUMBER: _ClassVar[int]
    MOVES_FIELD_NUMBER: _ClassVar[int]
    INITIAL_PLAYER_FIELD_NUMBER: _ClassVar[int]
    RULES_FIELD_NUMBER: _ClassVar[int]
    KOMI_FIELD_NUMBER: _ClassVar[int]
    board_size: int
    setup_stones: _containers.RepeatedCompositeFieldContainer[SetupStone]
    moves: _containers.RepeatedCompositeFieldContainer[Move]
    initial_player: Color
    rules: Rules
    komi: float
    def __init__(self, board_size: _Optional[int] = ..., setup_stones: _Optional[_Iterable[_Union[SetupStone, _Mapping]]] = ..., moves: _Optional[_Iterable[_Union[Move, _Mapping]]] = ..., initial_player: _Optional[_Union[Color, str]] = ..., rules: _Optional[_Union[Rules, _Mapping]] = ..., komi: _Optional[float] = ...) -> None: ...

class SgfPosition(_message.Message):
    __slots__ = ("sgf", "move_number")
    SGF_FIELD_NUMBER: _ClassVar[int]
    MOVE_NUMBER_FIELD_NUMBER: _ClassVar[int]
    sgf: bytes
    move_number: int
    def __init__(self, sgf: _Optional[bytes] = ..., move_number: _Optional[int] = ...) -> None: ...

class Position(_message.Message):
    __slots__ = ("moves", "sgf")
    MOVES_FIELD_NUMBER: _ClassVar[int]
    SGF_FIELD_NUMBER: _ClassVar[int]
    moves: MoveList
    sgf: SgfPosition
    def __init__(self, moves: _Optional[_Union[MoveList, _Mapping]] = ..., sgf: _Optional[_Union[SgfPosition, _Mapping]] = ...) -> None: ...

class SearchLimits(_message.Message):
    __slots__ = ("max_time", "max_visits", "early_stop")
    MAX_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_VISITS_FIELD_NUMBER: _ClassVar[int]
    EARLY_STOP_FIELD_NUMBER: _ClassVar[int]
    max_time: _duration_pb2.Duration
    max_visits: int
    early_stop: bool
    def __init__(self, max_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_visits: _Optional[int] = ..., early_stop: _Optional[bool] = ...) -> None: ...

class SearchOptions(_message.Message):
    __slots__ = ("model", "seed", "max_candidates", "max_pv_length", "include_policy", "include_ownership")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    MAX_CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    MAX_PV_LENGTH_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_POLICY_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_OWNERSHIP_FIELD_NUMBER: _ClassVar[int]
    model: str
    seed: int
    max_candidates: int
    max_pv_length: int
    include_policy: bool
    include_ownership: bool
    def __init__(self, model: _Optional[str] = ..., seed: _Optional[int] = ..., max_candidates: _Optional[int] = ..., max_pv_length: _Optional[int] = ..., include_policy: _Optional[bool] = ..., include_ownership: _Optional[bool] = ...) -> None: ...

class Candidate(_message.Message):
    __slots__ = ("action", "order", "visits", "win_rate", "prior", "principal_variation")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ORDER_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    WIN_RATE_FIELD_NUMBER: _ClassVar[int]
    PRIOR_FIELD_NUMBER: _ClassVar[int]
    PRINCIPAL_VARIATION_FIELD_NUMBER: _ClassVar[int]
    action: Action
    order: int
    visits: int
    win_rate: float
    prior: float
    principal_variation: _containers.RepeatedCompositeFieldContainer[Action]
    def __init__(self, action: _Optional[_Union[Action, _Mapping]] = ..., order: _Optional[int] = ..., visits: _Optional[int] = ..., win_rate: _Optional[float] = ..., prior: _Optional[float] = ..., principal_variation: _Optional[_Iterable[_Union[Action, _Mapping]]] = ...) -> None: ...

class Analysis(_message.Message):
    __slots__ = ("side_to_move", "candidates", "root_win_rate", "root_score_lead", "visits", "network_evaluations", "search_time", "queue_time", "stop_reason", "model", "policy", "ownership", "seed", "board_size")
    SIDE_TO_MOVE_FIELD_NUMBER: _ClassVar[int]
    CANDIDATES_FIELD_NUMBER: _ClassVar[int]
    ROOT_WIN_RATE_FIELD_NUMBER: _ClassVar[int]
    ROOT_SCORE_LEAD_FIELD_NUMBER: _ClassVar[int]
    VISITS_FIELD_NUMBER: _ClassVar[int]
    NETWORK_EVALUATIONS_FIELD_NUMBER: _ClassVar[int]
    SEARCH_TIME_FIELD_NUMBER: _ClassVar[int]
    QUEUE_TIME_FIELD_NUMBER: _ClassVar[int]
    STOP_REASON_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    OWNERSHIP_FIELD_NUMBER: _ClassVar[int]
    SEED_FIELD_NUMBER: _ClassVar[int]
    BOARD_SIZE_FIELD_NUMBER: _ClassVar[int]
    side_to_move: Color
    candidates: _containers.RepeatedCompositeFieldContainer[Candidate]
    root_win_rate: float
    root_score_lead: float
    visits: int
    network_evaluations: int
    search_time: _duration_pb2.Duration
    queue_time: _duration_pb2.Duration
    stop_reason: StopReason
    model: str
    policy: _containers.RepeatedScalarFieldContainer[float]
    ownership: _containers.RepeatedScalarFieldContainer[float]
    seed: int
    board_size: int
    def __init__(self, side_to_move: _Optional[_Union[Color, str]] = ..., candidates: _Optional[_Iterable[_Union[Candidate, _Mapping]]] = ..., root_win_rate: _Optional[float] = ..., root_score_lead: _Optional[float] = ..., visits: _Optional[int] = ..., network_evaluations: _Optional[int] = ..., search_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., queue_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., stop_reason: _Optional[_Union[StopReason, str]] = ..., model: _Optional[str] = ..., policy: _Optional[_Iterable[float]] = ..., ownership: _Optional[_Iterable[float]] = ..., seed: _Optional[int] = ..., board_size: _Optional[int] = ...) -> None: ...

class SuggestMoveRequest(_message.Message):
    __slots__ = ("position", "limits", "options", "request_id")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    position: Position
    limits: SearchLimits
    options: SearchOptions
    request_id: str
    def __init__(self, position: _Optional[_Union[Position, _Mapping]] = ..., limits: _Optional[_Union[SearchLimits, _Mapping]] = ..., options: _Optional[_Union[SearchOptions, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class SuggestMoveResponse(_message.Message):
    __slots__ = ("action", "analysis", "request_id")
    ACTION_FIELD_NUMBER: _ClassVar[int]
    ANALYSIS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    action: Action
    analysis: Analysis
    request_id: str
    def __init__(self, action: _Optional[_Union[Action, _Mapping]] = ..., analysis: _Optional[_Union[Analysis, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("name", "digest", "board_sizes", "min_komi", "max_komi", "properties", "trained_board_sizes")
    class PropertiesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    BOARD_SIZES_FIELD_NUMBER: _ClassVar[int]
    MIN_KOMI_FIELD_NUMBER: _ClassVar[int]
    MAX_KOMI_FIELD_NUMBER: _ClassVar[int]
    PROPERTIES_FIELD_NUMBER: _ClassVar[int]
    TRAINED_BOARD_SIZES_FIELD_NUMBER: _ClassVar[int]
    name: str
    digest: str
    board_sizes: _containers.RepeatedScalarFieldContainer[int]
    min_komi: float
    max_komi: float
    properties: _containers.ScalarMap[str, str]
    trained_board_sizes: _containers.RepeatedScalarFieldContainer[int]
    def __init__(self, name: _Optional[str] = ..., digest: _Optional[str] = ..., board_sizes: _Optional[_Iterable[int]] = ..., min_komi: _Optional[float] = ..., max_komi: _Optional[float] = ..., properties: _Optional[_Mapping[str, str]] = ..., trained_board_sizes: _Optional[_Iterable[int]] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "max_concurrent_searches", "max_queue_length", "max_visits", "max_message_bytes", "default_time", "max_time", "deadline_slack")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MAX_CONCURRENT_SEARCHES_FIELD_NUMBER: _ClassVar[int]
    MAX_QUEUE_LENGTH_FIELD_NUMBER: _ClassVar[int]
    MAX_VISITS_FIELD_NUMBER: _ClassVar[int]
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_TIME_FIELD_NUMBER: _ClassVar[int]
    MAX_TIME_FIELD_NUMBER: _ClassVar[int]
    DEADLINE_SLACK_FIELD_NUMBER: _ClassVar[int]
    version: str
    max_concurrent_searches: int
    max_queue_length: int
    max_visits: int
    max_message_bytes: int
    default_time: _duration_pb2.Duration
    max_time: _duration_pb2.Duration
    deadline_slack: _duration_pb2.Duration
    def __init__(self, version: _Optional[str] = ..., max_concurrent_searches: _Optional[int] = ..., max_queue_length: _Optional[int] = ..., max_visits: _Optional[int] = ..., max_message_bytes: _Optional[int] = ..., default_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., deadline_slack: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
