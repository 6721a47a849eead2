from __future__ import annotations

import pickle
from io import StringIO

import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from faberdb.database_properties import Setting
from faberdb.dsn import Dsn
from faberdb.given import Given
from faberdb.redacted import Redacted
from faberdb.snapshot.place import S3Login, S3Place
from faberdb.source.git import GitLogin

SECRET = "hunter2"
HOLDERS = [
    Dsn(host="db.example", user="app", password=SECRET, database="shop"),
    S3Login(access_key_id=SECRET, secret_access_key=SECRET, session_token=SECRET),
    S3Place(bucket="b", login=S3Login(access_key_id=SECRET, secret_access_key=SECRET)),
    GitLogin(username="robot", token=SECRET),
    Setting(role="", name="app.key", value=SECRET),
    Given(dsn=Dsn(host="db.example", password=SECRET, database="shop")),
]


@pytest.mark.parametrize("value", HOLDERS, ids=lambda v: type(v).__name__)
def test_no_text_of_a_value_shows_its_secret(value: object) -> None:
    for text in (repr(value), str(value), f"{value}", repr([value]), pretty_repr(value, max_width=20)):
        assert SECRET not in text
        assert text


def test_a_traceback_that_shows_locals_shows_no_secret() -> None:
    def fail(given: object) -> None:
        raise RuntimeError(type(given).__name__)

    out = StringIO()
    try:
        fail(HOLDERS)
    except RuntimeError as error:
        seen = Traceback.from_exception(type(error), error, error.__traceback__, show_locals=True)
        Console(file=out, width=200).print(seen)
    assert "given = " in out.getvalue()
    assert SECRET not in out.getvalue()


@pytest.mark.parametrize("value", HOLDERS[:2], ids=lambda v: type(v).__name__)
def test_a_login_does_not_leave_the_process(value: object) -> None:
    with pytest.raises(TypeError, match="does not leave the process"):
        pickle.dumps(value)


def test_what_shows_nothing_still_says_what_it_is() -> None:
    assert repr(Redacted()) == "Redacted()"
    assert repr(HOLDERS[4]) == "Setting(role='', name='app.key')"
