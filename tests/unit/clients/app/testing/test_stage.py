# SPDX-License-Identifier: GPL-2.0-or-later
"""What has been asked is taken in the order of its method; what an application is called."""

from __future__ import annotations

from pathlib import Path

from clients.app.app import App
from clients.app.dialog import Dialog
from clients.app.testing.stage import Requests, app_of, has_come, name_of, take_oldest


def test_the_oldest_of_a_method_is_taken_and_the_others_stay() -> None:
    asked: Requests = [("INFO", {"n": "1"}), ("MESSAGE", {"n": "2"}), ("INFO", {"n": "3"})]
    assert has_come(asked, "INFO") and not has_come(asked, "REFER") and not has_come([], "INFO")
    assert [take_oldest(asked, "INFO"), take_oldest(asked, "INFO")] == [{"n": "1"}, {"n": "3"}]
    assert not has_come(asked, "INFO") and asked == [("MESSAGE", {"n": "2"})]


class Welcome(Dialog):
    """A class of 2009."""


def test_what_a_worker_runs_and_its_name() -> None:
    path, app = Path("/srv/apps/card.py"), App()
    made = app_of(Welcome)
    assert app_of(path) is path and app_of(app) is app and isinstance(made, App) and made.dialog is Welcome
    assert (name_of(path), name_of(Welcome), name_of(made), name_of(app)) == ("card", "test_stage", "test_stage", "app")
