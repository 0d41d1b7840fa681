# SPDX-License-Identifier: GPL-2.0-or-later
"""What pjsua2 does not show of pjsip, compiled against pjproject's own headers at set-up (`build.py`; `api.h` says what there is).

    pjsua2.py ─► _pjsua2 (pjsip itself) ◄─ linked to ─ _cordboard_pjsip ◄─ native, told, received, exchange, codec_factory

Whatever pjproject it is, structures have the layout that its compiler gave them. `lib` has the functions, `ffi` makes what they take.
"""

from __future__ import annotations

from typing import Any

try:
    import pjsua2  # noqa: F401  # loads pjsip, which the shim is linked to
    from _cordboard_pjsip import ffi as _ffi
    from _cordboard_pjsip import lib as _lib
except ImportError as error:
    raise ImportError(f"what set-up compiles for it is missing ({error}): run make setup") from error

lib: Any = _lib  # Any at this border only: cffi's functions are untyped
ffi: Any = _ffi
