# SPDX-License-Identifier: GPL-2.0-or-later
"""Keys for registrations that leave through a NAT, in the files of those who order them: an Options class has them by inheriting from this one."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option


@dataclass(frozen=True)
class RegisterNatOptions:
    """How the way back is kept open, and what is registered (`RegisterPolicy`)."""

    keepalive: int = option(
        0,
        help="So often an OPTIONS keeps the way to a registrar open, for NATs; who gets no answer is registered anew. 0: none.",
        unit="s",
        maximum=3600,
    )
    learn_contact: bool = option(
        False, help="yes: where a registrar sees us at another address than our Contact names (NAT), that one is registered."
    )
