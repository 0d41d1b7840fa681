# SPDX-License-Identifier: GPL-2.0-or-later
"""What a proxy tells an application: keys of P-App-Param, and the older headers in their place (spec core.md §5).

Those headers are of `trusted_peers` only: a stranger's are gone before an application sees the call.
"""

from __future__ import annotations

from collections.abc import Iterable

from di.apps.api import APP_PARAMS_HEADER, app_param, first_header


def parameter(headers: Iterable[tuple[str, str]], name: str, long_name: str = "") -> str | None:
    """A key of P-App-Param, or, only without that header, the deprecated header `P-<longest name>`; None when missing."""
    headers = tuple(headers)
    if first_header(headers, APP_PARAMS_HEADER) is not None:
        return app_param(headers, name, long_name) or None
    return first_header(headers, f"P-{long_name or name}")
