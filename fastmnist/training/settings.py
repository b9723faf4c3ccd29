"""How a setting of a dataclass is declared: its meaning and its range once, for checks and for the command line."""

import math
from dataclasses import MISSING, dataclass, field, fields
from numbers import Integral, Real
from typing import Any

from fastmnist.errors import TrainingError


@dataclass(frozen=True)
class Setting:
    """What a setting means and which values it may have: numbers within the range, or one of the `words`."""

    help: str
    low: float | None = None  # inclusive minimum
    above: float | None = None  # exclusive minimum
    high: float | None = None  # inclusive maximum
    below: float | None = None  # exclusive maximum
    words: tuple[str, ...] = ()
    metavar: str | None = None

    def fault(self, name: str, value: Any) -> str | None:
        """Return what is wrong with a value, and what was expected; None if nothing is. A tuple is checked by items."""
        values = value if isinstance(value, tuple) else (value,)
        if all(self._allows(item) for item in values):
            return None
        shown = ",".join(f"{item:g}" if isinstance(item, float) else str(item) for item in values)
        return f"{name.replace('_', ' ')} {shown}: expected {self._expected()}"

    def _allows(self, value: Any) -> bool:
        if isinstance(value, str):
            return value in self.words
        return (
            _is_finite(value)
            and (self.low is None or value >= self.low)
            and (self.above is None or value > self.above)
            and (self.high is None or value <= self.high)
            and (self.below is None or value < self.below)
        )

    def _expected(self) -> str:
        choices = ", ".join(self.words)
        begin = f"above {self.above:g}" if self.low is None and self.above is not None else f"from {self.low}"
        if self.low is None and self.above is None:
            return f"one of {choices}"
        if self.high is None and self.below is None:
            numbers = begin if self.low is None else f"of at least {self.low}"
        else:
            numbers = f"{begin} to {self.high if self.below is None else f'below {self.below}'}"
        return f"a number {numbers}" + (f", or {choices}" if choices else "")


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float holds
        return False


def setting(help: str, default: Any = MISSING, **range_and_words: Any) -> Any:  # noqa: A002 (click's name for it)
    """Declare a field that is a setting; see Setting for its range."""
    return field(default=default, metadata={"setting": Setting(help, **range_and_words)})


def settings_of(declared: Any) -> dict[str, Setting]:
    """Return the settings of a dataclass, or of one of its objects, by their names."""
    return {field.name: field.metadata["setting"] for field in fields(declared) if "setting" in field.metadata}


# What a field's annotation allows, and how a message says so.
_TYPES: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((Integral,), "a whole number"),
    float: ((Real,), "a number"),
    str: ((str,), "a word"),
    float | str: ((Real, str), "a number or a word"),
    tuple[int, ...]: ((Integral,), "a tuple of whole numbers"),
}


def check_settings(declared: Any) -> None:
    """Raise TrainingError for the first setting of an object that is of another type or out of its range."""
    for item in fields(declared):
        if "setting" not in item.metadata:
            continue
        value = getattr(declared, item.name)
        types, expected = _TYPES[item.type]
        several = value if isinstance(value, tuple) and item.type == tuple[int, ...] else (value,)
        is_alone = item.type == tuple[int, ...] and not isinstance(value, tuple)
        is_bool = any(isinstance(one, bool) for one in several) and item.type is not bool
        if is_bool or is_alone or not all(isinstance(one, types) for one in several):
            raise TrainingError(f"{item.name.replace('_', ' ')} {value!r}: expected {expected}")
        if fault := item.metadata["setting"].fault(item.name, value):
            raise TrainingError(fault)
