# SPDX-License-Identifier: GPL-2.0-or-later
"""What one plug-in offers another, by a typed key; nobody imports the module behind it.

MAIL: Offer[MailSender] = Offer("mail")       beside the Protocol, in a module that both may import
undo = services.offers.make(MAIL, sender)     where the giver starts; it calls undo() when it closes
mail = services.offers.find(MAIL)             in the taker: None while nobody offers it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Offer(Generic[T]):
    """A key: what stands under it is a `T`. Two keys of one name are two keys."""

    name: str


class Offers:
    """What stands under each key now."""

    def __init__(self) -> None:
        self._given: dict[object, object] = {}

    def make(self, key: Offer[T], thing: T) -> Callable[[], None]:
        """Offer something; the answer takes it back. Raises ValueError when another stands under that key."""
        if key in self._given:
            raise ValueError(f"{key.name} is offered already")
        self._given[key] = thing

        def take_back() -> None:
            if self._given.get(key) is thing:
                del self._given[key]

        return take_back

    def find(self, key: Offer[T]) -> T | None:
        """What is offered under a key, or None."""
        return self._given.get(key)  # type: ignore[return-value]  # what stands under a key of T is a T

    def need(self, key: Offer[T], who: str) -> T:
        """The same; raises LookupError that names key and taker when nobody offers it."""
        found = self.find(key)
        if found is None:
            raise LookupError(f"{who} needs {key.name}, which no loaded plug-in offers")
        return found
