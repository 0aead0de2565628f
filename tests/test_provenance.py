import getpass
import re

from mlops_lab.provenance import user_name, utc_now


def test_the_time_is_iso_8601_in_utc():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", utc_now())


def test_a_user_without_a_name_is_unknown(monkeypatch):
    monkeypatch.setattr(getpass, "getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert user_name() == "unknown"
