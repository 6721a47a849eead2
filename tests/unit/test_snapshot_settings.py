from __future__ import annotations

import pytest

from faberdb.database_properties import Setting, split_list
from faberdb.databases import fitting_name, require_fitting
from faberdb.errors import Refused


@pytest.mark.parametrize(
    ("stored", "items"),
    [
        ("public", ["public"]),
        ('"$user", public', ["$user", "public"]),
        ('"a, b", "say ""hi""",c', ["a, b", 'say "hi"', "c"]),
        ('""', [""]),
    ],
)
def test_a_stored_list_is_taken_apart_as_postgresql_quotes_it(stored: str, items: list[str]) -> None:
    assert split_list(stored) == items


def test_a_settings_value_is_not_shown() -> None:
    assert "hunter2" not in repr(Setting(role="", name="app.secret", value="hunter2"))


def test_a_made_up_name_fits_whatever_script_it_is_in() -> None:
    name = fitting_name("Ü" * 60, "_restored_1")
    assert len(name.encode()) <= 63
    assert name.endswith("Ü_restored_1")
    assert fitting_name("shop", "_restored_1") == "shop_restored_1"


@pytest.mark.parametrize("name", ["", "x" * 64, "Ü" * 32, "a\0b"])
def test_a_name_that_the_server_would_cut_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="cannot be a database's name"):
        require_fitting(name)
