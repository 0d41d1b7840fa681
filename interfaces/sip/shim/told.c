/* SPDX-License-Identifier: GPL-2.0-or-later
 * What a call tells Python. pjsua2 would copy every message and description into objects of its own and make Python ones of those, a dozen a step
 * of a call, most of which nobody looks at. Here Python gets the few values that it needs. A call is named by the address of pjsua2's object,
 * which pjsua keeps with it. What is seldom (offers of the peer, replies to requests of ours) still comes by pjsua2. */
#include "shim.h"
#include <string.h>

static void (*transaction_before)(pjsua_call_id, pjsip_transaction *, pjsip_event *);
static char room[SHIM_ROOM];
static int said_length; /* of what Python has put into `room`; -1: nothing */

static intptr_t object_of(pjsua_call_id call) { return (intptr_t)pjsua_var.calls[call].user_data; }

/* The message that an event is about, if one has come. */
static void *came_with(const pjsip_event *event) {
    if (event != NULL && event->type == PJSIP_EVENT_RX_MSG) return event->body.rx_msg.rdata;
    if (event != NULL && event->type == PJSIP_EVENT_TSX_STATE && event->body.tsx_state.type == PJSIP_EVENT_RX_MSG)
        return event->body.tsx_state.src.rdata;
    return NULL;
}

/* Python looks at the end of a call, at its ACK, and at the 2xx to an INVITE of ours (SipCall.state_changed). */
static void on_state(pjsua_call_id call, pjsip_event *event) {
    const pjsip_inv_session *inv = pjsua_var.calls[call].inv;
    const char *reason = NULL;
    int state, code = 0, length = 0;
    if (object_of(call) == 0) return;
    if (inv != NULL && inv->state < PJSIP_INV_STATE_CONFIRMED &&
        (inv->role == PJSIP_ROLE_UAS || inv->state < PJSIP_INV_STATE_CONNECTING))
        return;
    state = shim_call_state(call, &code, &reason, &length);
    shim_call_call_state(object_of(call), state, code, reason, length, came_with(event));
}

/* Of what the peer asks, Python looks at how offers are answered (SipCall.replied), and at a CANCEL (SipCall.onCallTsxState). */
static void on_transaction(pjsua_call_id call, pjsip_transaction *tsx, pjsip_event *event) {
    static const pj_str_t update = {"UPDATE", 6};
    const pjsip_method *method = &tsx->method;
    pj_bool_t leaves = event->body.tsx_state.type == PJSIP_EVENT_TX_MSG;
    if (tsx->role != PJSIP_ROLE_UAS || (method->id == PJSIP_CANCEL_METHOD && event->body.tsx_state.type == PJSIP_EVENT_RX_MSG)) {
        transaction_before(call, tsx, event);
    } else if ((method->id == PJSIP_INVITE_METHOD || pj_strcmp(&method->name, &update) == 0) && tsx->status_code > 100 && object_of(call)) {
        const pjsip_tx_data *reply = leaves ? event->body.tsx_state.src.tdata : NULL;
        shim_call_replied(object_of(call), tsx->status_code, reply ? reply->buf.start : NULL,
                          reply && reply->buf.start ? (int)(reply->buf.cur - reply->buf.start) : 0);
    }
}

static void on_media(pjsua_call_id call) {
    shim_stream stream;
    int none;
    if (object_of(call) == 0) return;
    none = shim_stream_of(call, &stream);
    shim_leave_bridge(call);
    shim_call_media(object_of(call), none ? NULL : &stream);
}

void shim_say(const char *text, int length) {
    said_length = -1;
    if (length >= (int)sizeof room) return;
    memcpy(room, text, (size_t)length);
    said_length = length;
}

/* What pjsip has written must not go out: it names an address of no socket of ours. */
static void on_description(pjsua_call_id call, pjmedia_sdp_session *ours, pj_pool_t *pool, const pjmedia_sdp_session *theirs) {
    pjmedia_sdp_session *said;
    char *text;
    int length;
    pj_status_t status;
    PJ_UNUSED_ARG(theirs);
    if (object_of(call) == 0) return;
    length = pjmedia_sdp_print(ours, room, sizeof room);
    said_length = -1;
    shim_call_description(object_of(call), room, PJ_MAX(length, 0));
    if (said_length < 0) return;
    text = pj_pool_alloc(pool, (pj_size_t)said_length + 1);
    memcpy(text, room, (pj_size_t)said_length);
    text[said_length] = '\0';
    status = pjmedia_sdp_parse(pool, text, (pj_size_t)said_length, &said);
    if (status == PJ_SUCCESS) *ours = *said;
    else PJ_PERROR(1, ("told.c", status, "a description of ours cannot be read"));
}

/* An INVITE gets its object in Python, or its end. */
static void show_invite(pjsua_call_id number, pjsip_rx_data *invite) {
    pjsua_call *call = &pjsua_var.calls[number];
    shim_call_invite(number, invite);
    pjsip_rx_data_free_cloned(call->incoming_data);
    call->incoming_data = NULL;
    if (call->user_data == NULL && call->inv != NULL && call->inv->state != PJSIP_INV_STATE_DISCONNECTED)
        pjsua_call_hangup(number, PJSIP_SC_INTERNAL_SERVER_ERROR, NULL, NULL);
}

static void on_invite(pjsua_acc_id account, pjsua_call_id number, pjsip_rx_data *invite) {
    PJ_UNUSED_ARG(account);
    if (pjsua_var.calls[number].incoming_data != NULL) show_invite(number, invite);
}

/* With an offer in it, the object must be there before our answer is made; what happens to the call from then on is told, too. */
static pjmedia_transport *on_media_transport(pjsua_call_id number, unsigned stream, pjmedia_transport *made, unsigned flags) {
    pjsua_call *call = &pjsua_var.calls[number];
    PJ_UNUSED_ARG(stream);
    PJ_UNUSED_ARG(flags);
    if (call->user_data != NULL || call->incoming_data == NULL) return made;
    show_invite(number, call->incoming_data);
    if (call->user_data != NULL && call->inv != NULL && call->inv->dlg->mod_data[pjsua_var.mod.id] == NULL) {
        call->inv->dlg->mod_data[pjsua_var.mod.id] = call->inv->mod_data[pjsua_var.mod.id] = call;
        ++pjsua_var.call_cnt;
    }
    return made;
}

void shim_take_callbacks(void) {
    pjsua_callback *cb = &pjsua_var.ua_cfg.cb;
    cb->on_call_media_transport_state = NULL;
    cb->on_stream_precreate = NULL;
    cb->on_stream_created2 = NULL;
    cb->on_stream_destroyed = NULL;
    cb->on_conf_op_completed = NULL;
    cb->on_media_event = NULL;
    cb->on_call_media_event = NULL;
    cb->on_rejected_incoming_call = NULL;
    cb->on_acc_send_request = NULL;
    cb->on_call_state = on_state;
    transaction_before = cb->on_call_tsx_state;
    cb->on_call_tsx_state = on_transaction;
    cb->on_call_media_state = on_media;
    cb->on_call_sdp_created = on_description;
    cb->on_incoming_call = on_invite;
    cb->on_create_media_transport = on_media_transport;
}
