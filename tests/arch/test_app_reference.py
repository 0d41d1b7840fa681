# SPDX-License-Identifier: GPL-2.0-or-later
"""docs/app-reference.md is what the docstrings say now, and they say something of everything that an application may import."""

from __future__ import annotations

import inspect

import clients.app
import clients.app.testing
from tests.support.app_reference import PAGE, PARTS, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m tests.support.app_reference writes it anew"


def test_nothing_is_left_out() -> None:
    shown = {one.__name__ for _, _, classes in PARTS for one in classes}
    for module in (clients.app, clients.app.testing):
        classes = {name for name in module.__all__ if inspect.isclass(getattr(module, name))}
        assert not classes - shown - {"Simulator", "Stuck", "VirtualLoop"}
