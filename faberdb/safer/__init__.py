"""The lock-safe form of a revision that is not applied yet: proposed, proven equal, written as new files."""

from faberdb.safer.offer import Offer, offers
from faberdb.safer.writing import write_offers

__all__ = ["Offer", "offers", "write_offers"]
