"""What the core cannot do as it was told."""

from typing import Any


class Refusal(ValueError):
    """A value that a parameter cannot have; the shell says of what."""

    def __init__(self, name: str, wanted: str, value: Any) -> None:
        super().__init__(f"{name!r} must be {wanted}. Got {value!r} instead.")
        self.name, self.wanted, self.value = name, wanted, value
