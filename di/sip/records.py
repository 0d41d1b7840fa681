# SPDX-License-Identifier: GPL-2.0-or-later
"""Everything that hub and SIP process say to each other.

A call is named by an int: odd numbers are chosen by the SIP process (incoming), even ones by the hub (outgoing); none is reused within
a SIP process's life. The SIP process decides nothing: it asks for no policy, knows no application, holds no media.

Incoming: CallOffered → (OpenLeg in the media process) → Answer → CallIdentified, MediaNegotiated, CallConfirmed → … → CallEnded.
Outgoing: Dial → CallIdentified → CallProgressed… → MediaNegotiated, CallConfirmed or CallEnded. CallEnded comes exactly once a call.
What belongs to no call, subscriptions and requests outside dialogs, stands in `di.sip.outside_records`.

Header lines of commands are `Name: value`. Those that the SIP stack writes itself (Via, Route, Record-Route, From, To, Call-ID, CSeq,
Max-Forwards, Contact, Content-Length), and lines that are no header, are left out, and the log names them; Contact may stand in
redirections (3xx), in REGISTER and in ReplyOutside. Texts that came from outside may hold bytes that are no UTF-8, as surrogates (PEP 383):
they go out again as they were.
"""

from __future__ import annotations

from dataclasses import field
from typing import TypeAlias, TypeGuard, get_args

from di.sip.outside_records import OutsideCommand, OutsideEvent
from media.control.quick_records import record
from media.control.records import AudioFormat, ReceivedFormat, Srtp


@record(frozen=True, slots=True)
class Limits:
    """How much one address may ask for; 0: no limit.

    `requests_a_second`: outside dialogs, INVITE among them; `pending_calls`: calls that have not been acknowledged; `trusted_…`: the same for
    an address of `trusted` (networks). Who is in `denied`, or in none of `allowed` where that is not empty, may ask for nothing.
    `connections_an_address` of one that is not, and `connections` of all together: by TCP and TLS.
    """

    requests_a_second: int = 0
    pending_calls: int = 0
    connections_an_address: int = 0
    connections: int = 0
    trusted: tuple[str, ...] = ()
    trusted_requests_a_second: int = 0
    trusted_pending_calls: int = 0
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()


@record(frozen=True, slots=True)
class SessionTimer:
    """A session interval of our own for a call (RFC 4028): asked for, and the least that a peer may ask for (at least 90).

    `maximum_s`: a peer whose 422 wants more than that is not called again; 0: whatever it wants. `method`: of our refreshes, UPDATE, INVITE, or
    UPDATE_FALLBACK_INVITE for what the peer allows. `accept_501`: a refresh that is answered with 501 counts (spec core.md §10.1).
    """

    expires_s: int
    minimum_s: int
    maximum_s: int = 900
    method: str = "UPDATE_FALLBACK_INVITE"
    accept_501: bool = True


@record(frozen=True, slots=True)
class Appearance:
    """How a call of ours looks to its peer, where that is not what the SIP stack makes of it (spec applications.md §22.3).

    `contact`: complete value of Contact; empty: the stack's. `lines`: further attribute lines (`a=…`) of the audio stream in our descriptions,
    without line ends. `anonymous`: origin user and session name say nothing.
    `to_source`: requests inside the dialog go to where the peer's messages come from, where no proxy stands in its route. `hop`: they go to
    this URI instead, with `hop_always` also where one does.
    """

    contact: str = ""
    lines: tuple[str, ...] = ()
    anonymous: bool = False
    to_source: bool = False
    hop: str = ""
    hop_always: bool = False


@record(frozen=True, slots=True)
class SrtpPolicy:
    """Which calls have SRTP, each `off`, `optional` or `mandatory`: those that come in, those that we dial, and both at some addresses of ours.

    `interfaces`: (ip, mode) · `suites`: most wanted first · `without_tls`: keys may stand in signalling that is no TLS.
    """

    incoming: str = "off"
    dialled: str = "off"
    interfaces: tuple[tuple[str, str], ...] = ()
    suites: tuple[str, ...] = ()
    without_tls: bool = False


# ---------------------------------------------------------------------------------------------------------------- commands
@record(frozen=True, slots=True)
class Listen:
    """First command: bind transports. Answered by Listening, or ListenFailed and the process's end.

    `codecs`: rtpmap names with clock, most wanted first (`PCMU/8000`); only these are accepted. `formats`: what they are; empty: the
    SIP stack's own ones. `offered`: those of them that our own offers name, empty for all. `also`: further addresses as
    (ip, port, public ip), for UDP and TCP, and with `tls_port` for TLS. `tls_authorities`: file with the certificates that vouch for others;
    `tls_clients`: off, ask (for a certificate, which must be good if there is one) or require; `tls_verify_servers`: of connections of ours.
    `accept_forked`: an INVITE that a proxy's fork brings a second time is a second call.
    `timers`: applications whose calls have an interval of our own; which one takes an INVITE is known by `selection` and `mapping`
    (`di.calls.selection`: the setting, and lines of app_mapping.conf). `nat_handling`: each call as with Appearance `to_source`.
    """

    ip: str
    port: int
    public_ip: str = ""
    codecs: tuple[str, ...] = ("PCMU/8000", "PCMA/8000")
    user_agent: str = ""
    tls_port: int = 0
    tls_certificate: str = ""
    tls_key: str = ""
    tls_authorities: str = ""
    tls_clients: str = "off"
    tls_verify_servers: bool = False
    max_calls: int = 4096
    reliable_provisional: str = "supported"
    options_code: int = 200
    options_reason: str = "OK"
    formats: tuple[AudioFormat, ...] = ()
    offered: tuple[str, ...] = ()
    also: tuple[tuple[str, int, str], ...] = ()
    limits: Limits = Limits()
    accept_forked: bool = True
    timers: tuple[tuple[str, SessionTimer], ...] = ()
    selection: str = ""
    mapping: str = ""
    srtp: SrtpPolicy = SrtpPolicy()
    nat_handling: bool = False


@record(frozen=True, slots=True)
class SetSelection:
    """Applications are chosen like this from now on; as in Listen."""

    selection: str
    mapping: str = ""


@record(frozen=True, slots=True)
class SetOptionsReply:
    """What OPTIONS outside a dialog is answered with from now on (limits, shutdown mode: spec core.md §6.5)."""

    code: int
    reason: str


@record(frozen=True, slots=True)
class Answer:
    """Reply to an incoming INVITE. With `media_port` the reply carries SDP for that address (183 or 2xx), else none.

    `headers`: complete header lines without line end. `payloads`: codecs as NAME/clock in upper case; the SDP names no others, and a
    call that speaks none of them is refused. Empty: all. `later`: the same for offers that come later; None: as `payloads`.
    """

    call: int
    code: int
    reason: str = ""
    headers: tuple[str, ...] = ()
    media_ip: str = ""
    media_port: int = 0
    payloads: tuple[str, ...] = ()
    later: tuple[str, ...] | None = None


@record(frozen=True, slots=True)
class Hangup:
    """End a call in whatever state: final reply `code` if not yet answered, CANCEL if dialled and ringing, BYE if connected."""

    call: int
    code: int = 603
    reason: str = ""
    headers: tuple[str, ...] = ()


@record(frozen=True, slots=True)
class Dial:
    """Place a call. `from_uri`/`to_uri` are complete header values (`<sip:a@b>`), `request_uri` a bare URI.

    `next_hop`: outbound proxy URI or empty. Credentials answer a challenge for `realm` (empty: any realm of that host).
    `prefer`: codecs that stand first in the offer, as NAME/clock, where we offer them at all. `way`: a URI of address, port and transport
    where it is sent, whatever the URIs say; it stands nowhere in the request. `timer`: None for the interval that the peer wants.
    `codecs`: the only ones of the call as NAME/clock, most wanted first in the offer; empty: those of every offer.
    `log_messages`: as LogMessages says, from the INVITE on. `call_id`: empty for a new one.
    `later`: the only codecs of offers that come after the first, either way, empty: all; None: as `codecs`.
    `place`: number of the address of ours that it leaves from, 0 the first of Listen, then those of `also`; -1: the SIP process chooses.
    """

    call: int
    from_uri: str
    to_uri: str
    request_uri: str
    headers: tuple[str, ...] = ()
    media_ip: str = ""
    media_port: int = 0
    next_hop: str = ""
    realm: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    prefer: tuple[str, ...] = ()
    way: str = ""
    timer: SessionTimer | None = None
    codecs: tuple[str, ...] = ()
    appearance: Appearance | None = None
    log_messages: bool = False
    call_id: str = ""
    place: int = -1
    later: tuple[str, ...] | None = None


@record(frozen=True, slots=True)
class Present:
    """How a call looks from now on; of one that comes in best before its first Answer. An impossible Contact is left out, the log says so."""

    call: int
    appearance: Appearance


@record(frozen=True, slots=True)
class LogIn:
    """Credentials with which challenges of the peer in a call that came in are answered; `realm` empty: any of its host."""

    call: int
    realm: str
    username: str
    password: str = field(repr=False)


@record(frozen=True, slots=True)
class LogMessages:
    """Tell of each message of the call from now on, and of the INVITE that began it (MessageSeen); until a while after its end."""

    call: int


@record(frozen=True, slots=True)
class Reinvite:
    """Offer again in a confirmed dialog (RFC 3261 §14.1), e.g. to hold, resume, move the media or change the codec.

    `direction`: what we offer: sendrecv, sendonly (hold), recvonly or inactive; empty: what is so when it leaves, `nowhere` too.
    `offer` False: without a body, so that the peer offers. `payloads`: the codecs to offer as NAME/clock, most wanted first; empty: those
    in use and those of every offer of ours.
    `nowhere`: the offer names the address 0.0.0.0, a hold as RFC 2543 had it.
    The final reply comes as ReplyReceived with `token` unless that is 0; a 491 is tried again by the SIP process (§14.1) before.
    """

    call: int
    direction: str = "sendrecv"
    media_ip: str = ""
    media_port: int = 0
    token: int = 0
    headers: tuple[str, ...] = ()
    payloads: tuple[str, ...] = ()
    offer: bool = True
    nowhere: bool = False


@record(frozen=True, slots=True)
class SendRequest:
    """Send a request inside the dialog, e.g. INFO, MESSAGE, NOTIFY, REFER; the reply comes as ReplyReceived with `token`.

    INVITE, ACK, CANCEL, BYE, PRACK and UPDATE with a body are the stack's own: ReplyReceived 500.
    """

    call: int
    method: str
    token: int = 0
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""


@record(frozen=True, slots=True)
class SendReply:
    """Answer a request that came as RequestReceived with `reply_wanted`, with a final reply.

    A 2xx to OPTIONS and a 405 get Allow (beside one of `headers`), and Accept and Supported where `headers` has none; a 2xx to REFER,
    SUBSCRIBE and NOTIFY gets Contact. Unanswered for 30 s: 500.
    """

    call: int
    token: int
    code: int
    reason: str = ""
    headers: tuple[str, ...] = ()
    content_type: str = ""
    body: bytes = b""


@record(frozen=True, slots=True)
class Stop:
    """Say BYE to every call, close transports, exit. `grace_ms` bounds the wait for the peers' answers."""

    grace_ms: int = 2000


# ------------------------------------------------------------------------------------------------------------------ events
@record(frozen=True, slots=True)
class Listening:
    """Transports are bound: (protocol, ip, port) each, and the compile-time limits that were read."""

    transports: tuple[tuple[str, str, int], ...]
    max_calls: int
    version: str


@record(frozen=True, slots=True)
class ListenFailed:
    """A transport could not be bound; the reason names address, port and what to change, `key` the key of sems.conf that says it."""

    reason: str
    key: str = "sip_port"


@record(frozen=True, slots=True)
class CallOffered:
    """An INVITE outside a dialog. Header values are complete, as received; `headers` holds every (name, value) in order."""

    call: int
    request_uri: str
    from_header: str
    to_header: str
    call_id: str
    remote_tag: str
    contact_uri: str
    source_ip: str
    source_port: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    has_offer: bool
    remote_media_ip: str = ""
    remote_media_port: int = 0
    connected: bool = False
    """It came by TCP or TLS: whose address is the source has been shown."""
    codecs: tuple[str, ...] = ()
    """What its offer has that we can speak, as NAME/clock, in order."""
    lines: tuple[str, ...] = ()
    """Attribute lines of its audio stream that nobody but another phone makes use of, without line ends."""
    place: int = 0
    """Number of the address of ours that it came to: 0 the first of Listen, then those of `also`."""


@record(frozen=True, slots=True)
class CallIdentified:
    """The dialog's identifiers became known (pjsua2 shows the local tag only with the first reply)."""

    call: int
    call_id: str
    local_tag: str
    remote_tag: str


@record(frozen=True, slots=True)
class CallTried:
    """Our INVITE was answered with 100: whoever got it goes on from there."""

    call: int


@record(frozen=True, slots=True)
class CallProgressed:
    """A provisional reply to our INVITE."""

    call: int
    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    has_body: bool = False


@record(frozen=True, slots=True)
class MediaNegotiated:
    """Offer/answer completed or changed, early or confirmed: what media.control's ConnectLeg needs. `lines` as in CallOffered.

    `remote_ip`, `rtcp_ip`: as the peer wrote them, an address or a host name. A peer that says that it is nowhere (hold) keeps the address
    that it had; without one it is 0.0.0.0.
    """

    call: int
    remote_ip: str
    remote_port: int
    codec: str
    clock_hz: int
    channels: int
    payload_type_send: int
    payload_type_receive: int
    ptime_ms: int
    dtmf_send: int
    dtmf_receive: int
    send: bool
    receive: bool
    fmtp: str = ""
    dtmf_send_clock_hz: int = 8000
    dtmf_receive_clock_hz: int = 8000
    also: tuple[ReceivedFormat, ...] = ()
    rtcp_ip: str = ""
    rtcp_port: int = 0
    lines: tuple[str, ...] = ()
    srtp: Srtp | None = None


@record(frozen=True, slots=True)
class MessageSeen:
    """A message of a call that LogMessages named, byte for byte as it came or left. `epoch_us`: wall clock; `connected`: by TCP or TLS."""

    call: int
    epoch_us: int
    source_ip: str
    source_port: int
    target_ip: str
    target_port: int
    connected: bool
    data: bytes


@record(frozen=True, slots=True)
class CallConfirmed:
    """The dialog is up: ACK received (incoming) or 2xx received (outgoing). `headers`: of that ACK or 2xx."""

    call: int
    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()


@record(frozen=True, slots=True)
class SessionTimedOut:
    """The peer was to refresh the call and has not (RFC 4028 §10). The call goes on until the hub ends it; once an interval."""

    call: int


@record(frozen=True, slots=True)
class CallEnded:
    """A call is over, once a call. `by`: local, remote, cancel, timeout or error; `code`/`reason`: final reply or cause.

    `headers`: of the BYE, CANCEL or final reply that ended it.
    """

    call: int
    code: int
    reason: str
    by: str
    headers: tuple[tuple[str, str], ...] = ()


@record(frozen=True, slots=True)
class RequestReceived:
    """A request inside a dialog. ACK is the stack's own; BYE and CANCEL are told by CallEnded.

    With `reply_wanted` it waits for SendReply with the same `token`: INFO, MESSAGE, OPTIONS, REFER, NOTIFY, SUBSCRIBE, PUBLISH and
    unknown methods. Otherwise it has been answered: re-INVITE, UPDATE and PRACK, by the SIP process (what changed in the audio
    follows as MediaNegotiated).
    """

    call: int
    token: int
    method: str
    headers: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes
    reply_wanted: bool


@record(frozen=True, slots=True)
class ReplyReceived:
    """The final reply to SendRequest or Reinvite, one a token and before CallEnded; 408, 481, 491, 500 and 503 are also made here.

    408: none came; 481: the call ended first; 491: another transaction was in the way for too long; 500, 503: it could not be sent.
    """

    call: int
    token: int
    code: int
    reason: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


@record(frozen=True, slots=True)
class SipHeld:
    """How many calls, dialogs and transactions the SIP process holds: told once a second while that changes.

    A transaction stands for 32 s after its end to answer what comes again (RFC 3261 §17.2.2, RFC 6026 §8.7), longer than its call, and pjsip's
    dialog as long as one of its transactions.
    """

    calls: int = 0
    dialogs: int = 0
    transactions: int = 0


CallCommand: TypeAlias = Answer | Hangup | Present | LogIn | LogMessages | Reinvite | SendRequest | SendReply
"""What is asked of a call that is there."""
Command: TypeAlias = Listen | SetSelection | SetOptionsReply | Dial | CallCommand | OutsideCommand | Stop
CallEvent: TypeAlias = (
    CallOffered | CallIdentified | CallTried | CallProgressed | MediaNegotiated | CallConfirmed | CallEnded | RequestReceived | ReplyReceived
    | SessionTimedOut
)  # fmt: skip
"""What happens in one call."""
Event: TypeAlias = CallEvent | MessageSeen | OutsideEvent | Listening | ListenFailed | SipHeld

CALL_COMMANDS = get_args(CallCommand)
CALL_EVENTS = get_args(CallEvent)
COMMANDS: tuple[type[Command], ...] = get_args(Command)
EVENTS: tuple[type[Event], ...] = get_args(Event)

_CALL_EVENTS = frozenset(CALL_EVENTS)


def is_of_call(record: object) -> TypeGuard[CallEvent]:
    """Whether it is one of CALL_EVENTS, by one look into a set."""
    return type(record) in _CALL_EVENTS
