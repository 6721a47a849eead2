"""Locks on a live database: who holds them, and how a step gets its own without making others wait."""

from faberdb.locking.blockers import Blocker
from faberdb.locking.contention import PASSING, contended
from faberdb.locking.patience import Patience
from faberdb.locking.watch import Watch

__all__ = ["PASSING", "Blocker", "Patience", "Watch", "contended"]
