# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything a module of one's own needs, in one import (docs/dsm-modules.md)."""

from __future__ import annotations

from di.dsm.language.errors import DsmError, DsmException
from di.dsm.language.library import Lit, NameRes, Prepared, Raw, Res, Tpl, Var, action, condition, hook
from di.dsm.language.model import Outcome
from di.dsm.run.engine import Run

__all__ = [
    "DsmError",
    "DsmException",
    "Lit",
    "NameRes",
    "Outcome",
    "Prepared",
    "Raw",
    "Res",
    "Run",
    "Tpl",
    "Var",
    "action",
    "condition",
    "hook",
]
