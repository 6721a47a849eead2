"""What every value with a secret in it is made of, so that no text of it, or of what holds it, shows the secret."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import Struct


class Redacted(Struct, frozen=True, kw_only=True):
    """A value that is shown by the fields that it names, also where rich prints it or its holder."""

    SHOWN: ClassVar[tuple[str, ...]] = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.__rich_repr__())
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in self.SHOWN]
