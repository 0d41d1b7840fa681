# SPDX-License-Identifier: GPL-2.0-or-later
"""mod_dlg: the SIP dialog (spec dsm.md §5.2)."""

from __future__ import annotations

from di.dsm.actions.calls import header_lines
from di.dsm.language.errors import DsmException
from di.dsm.language.library import Lit, Res, Var, action, condition
from di.dsm.language.model import Outcome
from di.dsm.language.numbers import signed, unsigned
from di.dsm.run.engine import Run
from di.kernel.errors import CallFailed

LITERAL_CRLF = "\\r\\n"


def reply_headers(run: Run) -> tuple[str, ...]:
    """`$dlg.reply.hdrs`, a literal `\\r\\n` between its lines."""
    return header_lines(run.vars.get("dlg.reply.hdrs", ""))


def _code(run: Run, text: str) -> int | None:
    code = unsigned(text)
    if code is None or not 100 <= code <= 699:
        run.fail("arg", f"reply code {text!r} must be a number from 100 to 699")
        return None
    return code


@action("dlg.reply")
def reply(run: Run, code: Res, reason: Res = "") -> Outcome:
    """Reply to the initial INVITE; 183 and 2xx carry SDP."""
    number = _code(run, code)
    if number is None:
        return None
    try:
        outcome = run.session.dialog.reply(number, reason, reply_headers(run), sdp=number == 183 or 200 <= number < 300)
    except LookupError as error:
        run.fail("general", f"no reply was sent: {error}")
        return None
    run.ok()
    return outcome


@action("dlg.acceptInvite")
def accept_invite(run: Run, code: Res, reason: Res = "") -> Outcome:
    """Reply with SDP, 200 OK unless told otherwise."""
    number = _code(run, code) if code else 200
    if number is None:
        return None
    try:
        return run.session.dialog.reply(number, reason or ("OK" if not code else ""), reply_headers(run), sdp=True)
    except LookupError as error:
        run.fail("dlg", f"the INVITE cannot be accepted: {error}")
        run.session.stop(False)
        return None


@action("dlg.replyRequest")
def reply_request(run: Run, code: Res, reason: Res = "") -> None:
    """Reply to the request of the current event."""
    number = _code(run, code)
    if number is None:
        return
    try:
        run.session.dialog.reply_request(number, reason, reply_headers(run))
    except LookupError as error:
        raise DsmException("dlg", cause="no request") from error
    run.ok()


@action("dlg.bye")
def bye(run: Run, headers: Res) -> None:
    """End the dialog; the session goes on until `stop`."""
    if run.session.dialog.bye(header_lines(headers)):
        run.ok()
    else:
        run.fail("general", "the dialog could not be ended")


@action("dlg.connectCalleeRelayed")
def connect_callee_relayed(run: Run, party: Res, uri: Res) -> None:
    """B2B.connectCallee in relayed mode."""
    run.session.b2b.connect(party, uri, relayed=True)


_DIAL = (
    "caller",
    "callee",
    "domain",
    "app",
    "r_uri",
    "from",
    "from_uri",
    "to",
    "auth_user",
    "auth_pwd",
    "ltag",
    "hdrs",
    "outbound_interface",
)


@action("dlg.dialout")
def dialout(run: Run, name: Res) -> None:
    """A new call from `$name_caller`, `$name_callee`, `$name_domain`, `$name_app` …; its id goes to `$name_ltag`."""
    fields = {key: run.vars.get(f"{name}_{key}", "") for key in _DIAL}
    missing = [f"${name}_{key}" for key in _DIAL[:4] if not fields[key]]
    if missing:
        run.fail("arg", f"{', '.join(missing)} must be set")
        return
    caller, callee, domain = fields["caller"], fields["callee"], fields["domain"]
    fields["r_uri"] = fields["r_uri"] or f"sip:{callee}@{domain}"
    fields["from"] = fields["from"] or f"<sip:{caller}@{domain}>"
    fields["from_uri"] = fields["from_uri"] or f"sip:{caller}@{domain}"
    fields["to"] = fields["to"] or f"<sip:{callee}@{domain}>"
    prefix = f"{name}_var."
    variables = {key[len(prefix) :]: value for key, value in run.vars.items() if key.startswith(prefix)}
    try:
        ltag, cause = run.session.dialog.dial(fields, variables), "the call could not be made"
    except CallFailed as refused:
        ltag, cause = "", str(refused)
    run.vars[f"{name}_ltag"] = ltag
    if not ltag:
        run.fail("general", cause)


def _message_body(run: Run, content_type: str, target: str, reply_message: bool) -> None:
    dialog = run.session.dialog
    try:
        body = dialog.reply_body(content_type) if reply_message else dialog.request_body(content_type)
    except LookupError as error:
        raise DsmException("dlg", cause="no reply" if reply_message else "no request") from error
    if body is None:
        run.vars.pop(target, None)
    else:
        run.vars[target] = body


@action("dlg.getRequestBody")
def get_request_body(run: Run, content_type: Res, target: Res) -> None:
    """A part of the current request's body."""
    _message_body(run, content_type, target, False)


@action("dlg.getReplyBody")
def get_reply_body(run: Run, content_type: Res, target: Res) -> None:
    """A part of the current reply's body."""
    _message_body(run, content_type, target, True)


@action("dlg.getOtherId")
def get_other_id(run: Run, target: Var) -> None:
    """Session id of the other B2B leg."""
    run.vars[target] = run.session.dialog.other_id()


@action("dlg.getRtpRelayMode")
def get_rtp_relay_mode(run: Run, target: Var) -> None:
    """How RTP goes between the legs: directly, as re-INVITEd SDP says."""
    run.vars[target] = "RTP_Direct"


@action("dlg.refer")
def refer(run: Run, uri: Res, expires: Res = "") -> None:
    """Send REFER."""
    seconds = signed(expires) if expires else None
    if expires and seconds is None:
        raise DsmException("param", cause=f"expires {expires!r}: a number is needed")
    if run.session.dialog.refer(uri, seconds):
        run.ok()
    else:
        run.fail("dlg", "REFER could not be sent")


@action("dlg.info")
def info(run: Run, content_type: Res, body: Res = "") -> None:
    """Send INFO."""
    if content_type and "/" not in content_type:
        raise DsmException("param", cause=f"content type {content_type!r}: type/subtype is needed")
    if run.session.dialog.info(content_type, body.replace(LITERAL_CRLF, "\r\n")):
        run.ok()
    else:
        run.fail("dlg", "INFO could not be sent")


@action("dlg.relayReply", "dlg.relayError")
def relay_reply(run: Run, code: Res, reason: Res) -> None:
    """Send this final reply to the request that the other leg relayed."""
    number = _code(run, code)
    if number is not None:
        run.session.dialog.relay_reply(number, reason)


@action("dlg.addReplyBodyPart")
def add_reply_body_part(run: Run, content_type: Res, text: Res) -> None:
    """Only in an SBC leg's reply, which this server has none of."""
    raise DsmException("dlg", cause="no reply")


@action("dlg.deleteReplyBodyPart")
def delete_reply_body_part(run: Run, content_type: Lit) -> None:
    """Only in an SBC leg's reply, which this server has none of."""
    raise DsmException("dlg", cause="no reply")


@condition("dlg.requestHasContentType")
def request_has_content_type(run: Run, content_type: Lit) -> bool:
    """The current request has a body of that type."""
    try:
        return run.session.dialog.request_body(content_type) is not None
    except LookupError:
        return False


@condition("dlg.replyHasContentType")
def reply_has_content_type(run: Run, content_type: Lit) -> bool:
    """The current reply has a body of that type."""
    try:
        return run.session.dialog.reply_body(content_type) is not None
    except LookupError:
        return False
