# SPDX-License-Identifier: GPL-2.0-or-later
"""mail.conf."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from di.kernel.errors import ConfigError
from di.kernel.options import option, where
from di.stores.mailing import is_address

SECURITY = ("auto", "starttls", "tls", "none")


def address(text: str) -> str:
    """Read one mail address. Raises ValueError."""
    if not is_address(text):
        raise ValueError("right is one address, as voicemail@example.org")
    return text


@dataclass(frozen=True)
class Options:
    """How mails leave."""

    queue_dir: str = option("/var/spool/cordboard/mail", help="Folder of the queue, on a disk that is kept.")
    smtp_server: str = option("", help="Server that takes our mails; empty: the one of voicemail.conf, else localhost.")
    smtp_port: int = option(0, help="Its port; 0: 587, with smtp_security=tls 465, at localhost 25.", maximum=65535)
    smtp_security: str = option(
        "auto",
        help="starttls, tls (from the first byte), none; auto: starttls, and at this machine what the server offers.",
        choices=SECURITY,
    )
    smtp_ca_file: str = option("", help="Certificates to trust instead of the system's, for a server with one of its own.")
    smtp_user: str = option("", help="User to log in with; empty: no log-in.")
    smtp_password: str = option("", help="Password. CORDBOARD_MAIL_SMTP_PASSWORD keeps it out of the file.", secret=True)
    from_address: str = option(
        "voicemail@localhost", help="Sender of the envelope, and of mails that name none that can be used.", parse=address
    )
    hello_name: str = option("", help="Our name in EHLO; empty: this machine's.")
    connections: int = option(2, help="Connections to the server at once.", minimum=1, maximum=50)
    timeout: int = option(60, help="How long to wait for each of the server's answers.", unit="s", minimum=1)
    retry_first: float = option(30.0, help="Time before the second attempt; it doubles each time.", unit="s", minimum=0.1)
    retry_most: float = option(1800.0, help="Longest time between attempts.", unit="s", minimum=0.1)
    give_up_after: int = option(432_000, help="A mail is given up after so long, and kept for mail.retry.", unit="s", minimum=1)
    keep_accepted: int = option(604_800, help="So long it is remembered that a mail was accepted.", unit="s", minimum=3600)
    max_waiting: int = option(100_000, help="No more mails are taken while so many wait.", minimum=1)


def is_this_machine(host: str) -> bool:
    """Whether a server's name stands for this machine: nobody is between."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def check(options: Options) -> None:
    """Raise ConfigError for options that do not fit together."""
    if bool(options.smtp_user) != bool(options.smtp_password):
        missing, other = ("smtp_password", "smtp_user") if options.smtp_user else ("smtp_user", "smtp_password")
        raise ConfigError(*where(options, other), missing, f"is missing, while {other} is set: give both or none")
    host = options.smtp_server or "localhost"
    if options.smtp_user and options.smtp_security == "none" and not is_this_machine(host):
        hint = f"none would send the password to {host} for everybody to read: take starttls or tls"
        raise ConfigError(*where(options, "smtp_security"), "smtp_security", hint)
