"""What one statement does, as its parse tree says."""

from __future__ import annotations

from msgspec import Struct

from faberdb.statements import Hazard


class Facts(Struct, frozen=True, kw_only=True):
    """One statement's, for `faberdb.statements.Statement`."""

    verb: str
    objects: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    locks: tuple[tuple[str, str], ...] = ()  # relation and mode; "" is a relation that it does not name
    transactional: bool = True
    transaction_control: bool = False
    opaque: bool = False
    adds_only: bool = False
    creates: tuple[str, ...] = ()  # relations it makes
    copies: str = ""  # "FROM STDIN" or "TO STDOUT": its data goes over the connection
