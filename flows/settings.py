"""What every flow of faber-db is decorated with."""

from __future__ import annotations

from typing import Any, Final

FLOW: Final[dict[str, Any]] = {
    "persist_result": True,
    "result_serializer": "json",
    "validate_parameters": True,
}
"""Results outlive a suspension as JSON; nothing of ours needs a pickle."""
