# SPDX-License-Identifier: GPL-2.0-or-later
"""What one plug-in provides for others, by a typed key; nobody imports the module behind it.

MAIL: Capability[MailSender] = Capability("mail")      beside the Protocol, in a module that both may import
undo = services.capabilities.provide(MAIL, sender)     where the provider starts; it calls undo() when it closes
mail = services.capabilities.find(MAIL)                where it is used: None while nobody provides it
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Capability(Generic[T]):
    """A key: what is provided under it is a `T`. Two keys of one name are two keys."""

    name: str


class CapabilityRegistry:
    """What is provided under each key now."""

    def __init__(self) -> None:
        self._provided: dict[object, object] = {}

    def provide(self, key: Capability[T], thing: T) -> Callable[[], None]:
        """Provide something; the answer withdraws it. Raises ValueError when another stands under that key."""
        if key in self._provided:
            raise ValueError(f"{key.name} is provided already")
        self._provided[key] = thing

        def withdraw() -> None:
            if self._provided.get(key) is thing:
                del self._provided[key]

        return withdraw

    def find(self, key: Capability[T]) -> T | None:
        """What is provided under a key, or None."""
        return self._provided.get(key)  # type: ignore[return-value]  # what stands under a key of T is a T

    def need(self, key: Capability[T], who: str) -> T:
        """The same; raises LookupError that names key and user when nobody provides it."""
        thing = self.find(key)
        if thing is None:
            raise LookupError(f"{who} needs {key.name}, which no loaded plug-in provides")
        return thing
