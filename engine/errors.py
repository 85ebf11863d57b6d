"""Every error that Tengen raises on purpose.

TengenError
├── InvalidInput (also ValueError)     what the caller gave is wrong; the message quotes it
│   ├── InvalidVertex                  not a coordinate of this board
│   ├── InvalidRules                   unknown or contradictory rules, komi that is no finite number
│   ├── IllegalMove                    occupied point, suicide, ko or superko
│   ├── InvalidHandicap                a number or list of stones that the board does not admit
│   ├── UnsupportedBoardSize           no rules, or no model, for this size
│   ├── InvalidSgf                     not an SGF game of Go that we can replay
│   ├── InvalidDiagram                 an ASCII board that cannot be read
│   └── InvalidConfig                  a setting that does not exist or is out of range
├── CannotUndo                         there is no move to take back
├── BoardNotEmpty                      handicap stones need an empty board
├── ModelError                         a model that cannot be used
│   ├── ModelNotFound                  no model of this name, or for this board size
│   └── ModelInvalid                   damaged, truncated or not what its manifest promises
└── EvaluationError                    the network returned NaN or infinity
"""


class TengenError(Exception):
    """Base of every expected failure; its text is one line fit for a user."""


class InvalidInput(TengenError, ValueError):
    """The caller's value is wrong."""


class InvalidVertex(InvalidInput):
    """Not a coordinate of this board."""


class InvalidRules(InvalidInput):
    """Unknown or contradictory rules, or a komi that is no finite number."""


class IllegalMove(InvalidInput):
    """Occupied point, suicide, ko or superko."""


class InvalidHandicap(InvalidInput):
    """A number or list of handicap stones that the board does not admit."""


class UnsupportedBoardSize(InvalidInput):
    """No rules, or no model, for this board size."""


class InvalidSgf(InvalidInput):
    """Not an SGF game of Go that can be replayed."""


class InvalidDiagram(InvalidInput):
    """An ASCII board that cannot be read."""


class InvalidConfig(InvalidInput):
    """A setting that does not exist or is out of range."""


class CannotUndo(TengenError):
    """There is no move to take back."""


class BoardNotEmpty(TengenError):
    """Handicap stones need an empty board."""


class ModelError(TengenError):
    """A model that cannot be used."""


class ModelNotFound(ModelError):
    """No model of this name, or none for this board size."""


class ModelInvalid(ModelError):
    """A model that is damaged, truncated or not what its manifest promises."""


class EvaluationError(TengenError, RuntimeError):
    """The network returned NaN or infinity."""
