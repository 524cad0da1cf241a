"""What parameters may be. Each range stands beside the signature that it belongs to."""

import math
from collections.abc import Collection, Hashable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Protocol

import numpy as np


class Range(Protocol):
    """The values that a parameter may have."""

    def accepts(self, value: Any) -> bool:
        """Whether the parameter may have this value."""

    def wanted(self, value: Any) -> str:
        """Say what the parameter must be instead of a value that is refused."""


@dataclass(frozen=True)
class _Number:
    """A finite number of an interval, written as messages show it: "[0, 1)"."""

    interval: str
    or_bool: bool = False
    _kind: ClassVar[Any]
    _noun: ClassVar[str]

    def accepts(self, value: Any) -> bool:
        if not isinstance(value, self._kind):
            return False
        if isinstance(value, bool) and not self.or_bool:
            return False
        try:
            number = float(value)
        except OverflowError:
            return False
        low, high = map(float, self.interval[1:-1].split(", "))
        is_above = number >= low if self.interval[0] == "[" else number > low
        is_below = number <= high if self.interval[-1] == "]" else number < high
        return math.isfinite(number) and is_above and is_below

    def wanted(self, value: Any) -> str:
        return f"{self._noun} in the range {self.interval}"


class Float(_Number):
    """A finite number of an interval, an int too."""

    _kind = Real
    _noun = "a float"


class Int(_Number):
    """A whole number of an interval."""

    _kind = Integral
    _noun = "an int"


@dataclass(frozen=True)
class TupleOf:
    """A tuple, list or vector of any length, each element of a range."""

    each: Range

    def accepts(self, value: Any) -> bool:
        is_vector = isinstance(value, np.ndarray) and value.ndim == 1
        if not isinstance(value, (tuple, list)) and not is_vector:
            return False
        return all(self.each.accepts(element) for element in value)

    def wanted(self, value: Any) -> str:
        return f"a tuple, each element {self.each.wanted(value)}"


@dataclass(frozen=True)
class OrPair:
    """A value of a range, or two in ascending order."""

    each: Range

    def accepts(self, value: Any) -> bool:
        pair = value if isinstance(value, (tuple, list)) else (value, value)
        if len(pair) != 2 or not all(self.each.accepts(end) for end in pair):
            return False
        return pair[0] <= pair[1]

    def wanted(self, value: Any) -> str:
        return f"{self.each.wanted(value)} or a pair (low, high) of them"


@dataclass(frozen=True)
class OrAuto:
    """A value of a range, or "auto"."""

    other: Range

    def accepts(self, value: Any) -> bool:
        return value == "auto" if isinstance(value, str) else self.other.accepts(value)

    def wanted(self, value: Any) -> str:
        # Who passes a number does not mean "auto".
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        also = "" if is_number else "'auto' or "
        return also + self.other.wanted(value)


@dataclass(frozen=True)
class OrNone:
    """A value of a range, or None, of which messages say nothing."""

    other: Range

    def accepts(self, value: Any) -> bool:
        return value is None or self.other.accepts(value)

    def wanted(self, value: Any) -> str:
        return self.other.wanted(value)


@dataclass(frozen=True)
class OneOf:
    """One of some names; a callable must be hashable, as a part of cache keys."""

    names: Collection[str]
    or_callable: bool = False
    or_none: bool = False

    def accepts(self, value: Any) -> bool:
        if value is None:
            return self.or_none
        if self.or_callable and callable(value):
            return isinstance(value, Hashable)
        return isinstance(value, str) and value in self.names

    def wanted(self, value: Any) -> str:
        if self.or_callable and callable(value):
            return "hashable, as functions and classes are"
        names = ", ".join(map(repr, sorted(self.names)))
        also = " or a callable" if self.or_callable else ""
        also += " or None" if self.or_none else ""
        return f"one of {names}{also}"


@dataclass(frozen=True)
class Registered:
    """One of the names in a registry, which is known only where values are checked."""

    or_callable: bool = False
    or_none: bool = False

    def among(self, names: Collection[str]) -> OneOf:
        """Return the range with its names."""
        return OneOf(names, self.or_callable, self.or_none)


@dataclass(frozen=True)
class Flag:
    """True or False, of Python or NumPy."""

    def accepts(self, value: Any) -> bool:
        return isinstance(value, (bool, np.bool_))

    def wanted(self, value: Any) -> str:
        return "a bool"


@dataclass(frozen=True)
class StrOrNone:
    """Any str, or None."""

    def accepts(self, value: Any) -> bool:
        return value is None or isinstance(value, str)

    def wanted(self, value: Any) -> str:
        return "None or a str"


@dataclass(frozen=True)
class Anything:
    """Whatever it is: something else checks it, or nothing has to."""

    def accepts(self, value: Any) -> bool:
        return True

    def wanted(self, value: Any) -> str:
        return "anything"


# Parameters of one signature.
Ranges = Mapping[str, Range | Registered]
