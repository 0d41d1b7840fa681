# SPDX-License-Identifier: GPL-2.0-or-later
"""The SIP process: pjsua2 for signalling, nothing else.

    network ⇄ pjsip ⇄ calls/endpoint (pjsua2 objects, one thread) ⇄ server (records of di.sip.records) ⇄ hub

Pure parts: `message` (text of a SIP message → values), `sdp` (text → text), `descriptions` (what we say in a call's offers and answers),
`offers` (when a re-INVITE goes out), `mapping` (values → records), `subscription` with `notify` and `digest` (a subscription outside calls),
`session_timer`, `placeholders`. Everything that decides is in the hub; media is in the media process.

Requests that arrive pass `requests` first: inside a call it looks at tags and CSeq, then pjsip answers or the hub does; outside, `outside`
takes what the hub wants to see. `reinvites` and `sent_requests` send the hub's requests of a call, and answer each token once.

`native`, `received` and `exchange` reach the few functions of pjsip that pjsua2 does not show, through what stands in C in the folder shim.
`abilities` is what pjsip's messages say that we can do, `source_limits` how much one address may ask for, `housekeeping` what happens every few
seconds.
"""
