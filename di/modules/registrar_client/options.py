# SPDX-License-Identifier: GPL-2.0-or-later
"""registrar_client.conf. SEMS has no such file: every key is cordboard's own and may be left out."""

from __future__ import annotations

from dataclasses import dataclass

from di.kernel.options import option
from di.sip.registration.account import RegisterPolicy
from di.sip.registration.nat_keys import RegisterNatOptions
from di.sip.registration.pacing import NS


@dataclass(frozen=True)
class Options(RegisterNatOptions):
    """How registrations are kept, those of reg_agent too."""

    expires: int = option(3600, help="For how long to register.", unit="s", minimum=30, maximum=604800)
    requests_per_second: float = option(
        20.0, help="REGISTER requests a second, of all registrations together; 0: no limit.", minimum=0, maximum=10000
    )
    keep_trying: bool = option(
        False,
        help="Try again for ever what createRegistration has begun and the registrar refuses or does not answer; `no`: forget it, as "
        "SEMS does. Accounts of reg_agent are always kept.",
    )
    retry_interval: int = option(
        10, help="First pause after no answer or a server's failure; doubled each time.", unit="s", minimum=1, maximum=3600
    )
    retry_interval_max: int = option(300, help="Longest such pause.", unit="s", minimum=1, maximum=86400)
    refused_interval: int = option(
        60, help="First pause after a refusal, such as a wrong password; doubled each time.", unit="s", minimum=5, maximum=86400
    )
    refused_interval_max: int = option(3600, help="Longest such pause.", unit="s", minimum=5, maximum=86400)

    def policy(self, keep: bool) -> RegisterPolicy:
        """These values as the book takes them; `keep`: nothing is given up."""
        return RegisterPolicy(
            expires_s=self.expires,
            give_up=not keep,
            retry_s=self.retry_interval,
            retry_most_s=max(self.retry_interval_max, self.retry_interval),
            refused_s=self.refused_interval,
            refused_most_s=max(self.refused_interval_max, self.refused_interval),
            keepalive_s=self.keepalive,
            learn_contact=self.learn_contact,
        )

    @property
    def every_ns(self) -> int:
        """Between two requests."""
        return int(NS / self.requests_per_second) if self.requests_per_second else 0
