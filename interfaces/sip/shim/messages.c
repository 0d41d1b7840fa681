/* SPDX-License-Identifier: GPL-2.0-or-later
 * Messages as they came, answers without a transaction, and requests of ours inside and outside of dialogs. */
#include "shim.h"
#include <stdio.h>
#include <string.h>

enum { NO_TIMEOUT = -1, POOL = 4000 };

static char why[256];

const char *shim_why(void) { return why; }

static void *failed(const char *what, const char *text) {
    snprintf(why, sizeof why, what, text);
    return NULL;
}

pj_str_t shim_copy(pj_pool_t *pool, const char *text) {
    pj_str_t copy;
    pj_strdup2_with_null(pool, &copy, text);
    return copy;
}

/* ------------------------------------------------------------------------------------------------------------ what came */
void shim_look(void *received, shim_message *into) {
    const pjsip_rx_data *rdata = received;
    into->text = rdata->msg_info.msg_buf;
    into->length = rdata->msg_info.len;
    into->source = rdata->pkt_info.src_name;
    into->port = rdata->pkt_info.src_port;
    into->reliable = (rdata->tp_info.transport->flag & PJSIP_TRANSPORT_RELIABLE) != 0;
    into->arrival = shim_arrivals;
}

static pj_bool_t is_visible(char c) { return c > ' ' && c < 0x7F; }

/* The end of a line, whose first and last characters can be seen; NULL when it is another one, or does not end with CR LF. */
static const char *plain_line(const char *at, const char *end) {
    const char *stop = at;
    while (stop < end && *stop != '\r' && *stop != '\n' && *stop != '\0') ++stop;
    return stop > at && stop + 1 < end && stop[0] == '\r' && stop[1] == '\n' && is_visible(*at) && is_visible(stop[-1]) ? stop : NULL;
}

/* What `parse` of message.py makes of a message's head, where that is simple: no fold, no compact name, one blank behind each colon. */
int shim_lines(const char *text, int length, char *into, int size, int *head) {
    const char *end = text + length, *at = text, *stop;
    char *out = into;
    if (length >= size) return -1;
    for (; end - at >= 2 && !(at[0] == '\r' && at[1] == '\n'); at = stop + 2) {
        const char *value = at;
        if ((stop = plain_line(at, end)) == NULL) return -1;
        if (at != text) {
            const char *name = at;
            while (is_visible(*at) && *at != ':') ++at;
            if (at - name < 2 || at[0] != ':' || at[1] != ' ' || !is_visible(at[2])) return -1;
            memcpy(out, name, (size_t)(at - name));
            out += at - name;
            *out++ = '\0';
            value = at + 2;
        }
        memcpy(out, value, (size_t)(stop - value));
        out += stop - value;
        *out++ = '\0';
    }
    if (end - at < 2 || at == text) return -1;
    *head = (int)(at + 2 - text);
    return (int)(out - into);
}

int shim_arrived_by(void *received) {
    const unsigned flag = ((pjsip_rx_data *)received)->tp_info.transport->flag;
    return flag & PJSIP_TRANSPORT_DATAGRAM ? 0 : flag & PJSIP_TRANSPORT_SECURE ? 2 : 1;
}

int shim_arrived_at(void *received, char *ip, int size) {
    const pjsip_transport *tp = ((pjsip_rx_data *)received)->tp_info.transport;
    pj_sockaddr_print(&tp->local_addr, ip, size, 0);
    return pj_sockaddr_get_port(&tp->local_addr);
}

int shim_contact_for(void *received, int account, char *text, int size) {
    pjsip_rx_data *rdata = received;
    pj_str_t contact;
    if (pjsua_acc_create_uas_contact(rdata->tp_info.pool, &contact, account, rdata) != PJ_SUCCESS || contact.slen >= size) return -1;
    memcpy(text, contact.ptr, (size_t)contact.slen);
    return (int)contact.slen;
}

void shim_hide(void *received, const char *name) {
    pjsip_msg *msg = ((pjsip_rx_data *)received)->msg_info.msg;
    pj_str_t wanted = pj_str((char *)name);
    void *found;
    while ((found = pjsip_msg_find_hdr_by_name(msg, &wanted, NULL)) != NULL) pj_list_erase(found);
}

void shim_set_description(void *received, const char *text, int length) {
    pjsip_rx_data *rdata = received;
    const pj_str_t type = {"application", 11}, subtype = {"sdp", 3}, bytes = {(char *)text, length + 1}; /* its parser wants the NUL */
    pjsip_msg_body *body = pjsip_msg_body_create(rdata->tp_info.pool, &type, &subtype, &bytes);
    body->len = (unsigned)length;
    rdata->msg_info.msg->body = body;
    if (rdata->msg_info.ctype == NULL) return;
    rdata->msg_info.ctype->media.type = body->content_type.type;
    rdata->msg_info.ctype->media.subtype = body->content_type.subtype;
}

int shim_description(void *session, char *text, int size) { return pjmedia_sdp_print(session, text, (pj_size_t)size); }

/* -------------------------------------------------------------------------------------------------------------- answers */
struct shim_reply {
    pjsip_tx_data *tdata;
    pjsip_response_addr to;
    pj_bool_t kept;
};

static void add_text(pjsip_tx_data *tdata, const char *name, const char *value) {
    pj_str_t n = pj_str((char *)name), v = pj_str((char *)value);
    pjsip_msg_add_hdr(tdata->msg, (pjsip_hdr *)pjsip_generic_string_hdr_create(tdata->pool, &n, &v));
}

static void add_body(pjsip_tx_data *tdata, const char *type, const char *subtype, const char *body, int length) {
    pj_str_t t = pj_str((char *)type), s = pj_str((char *)subtype), b = {(char *)body, length};
    tdata->msg->body = pjsip_msg_body_create(tdata->pool, &t, &s, &b);
}

shim_reply *shim_reply_to(void *received, int keep) {
    shim_reply *reply;
    pjsip_tx_data *tdata;
    /* the code comes when it is sent; any above 100 makes pjsip add a tag */
    if (pjsip_endpt_create_response(pjsua_var.endpt, received, 500, NULL, &tdata) != PJ_SUCCESS) return NULL;
    reply = pj_pool_zalloc(tdata->pool, sizeof *reply);
    reply->tdata = tdata;
    if (pjsip_get_response_addr(tdata->pool, received, &reply->to) != PJ_SUCCESS) {
        pjsip_tx_data_dec_ref(tdata);
        return NULL;
    }
    reply->kept = keep && reply->to.transport != NULL;
    if (reply->kept) pjsip_transport_add_ref(reply->to.transport);
    return reply;
}

void shim_reply_tag(shim_reply *reply, const char *tag) {
    pjsip_to_hdr *to = pjsip_msg_find_hdr(reply->tdata->msg, PJSIP_H_TO, NULL);
    if (to != NULL) to->tag = shim_copy(reply->tdata->pool, tag);
}

void shim_reply_header(shim_reply *reply, const char *name, const char *value) { add_text(reply->tdata, name, value); }

void shim_reply_body(shim_reply *reply, const char *type, const char *subtype, const char *body, int length) {
    add_body(reply->tdata, type, subtype, body, length);
}

/* Of a reply that did not leave, be it too long: what pjsip itself has put into it, as 500. */
static pj_status_t send_in_short(shim_reply *reply) {
    pjsip_tx_data *tdata = reply->tdata;
    pjsip_hdr *header = tdata->msg->hdr.next;
    while (header != &tdata->msg->hdr) {
        pjsip_hdr *following = header->next;
        if (header->type == PJSIP_H_OTHER) pj_list_erase(header);
        header = following;
    }
    tdata->msg->body = NULL;
    tdata->msg->line.status.code = 500;
    tdata->msg->line.status.reason = *pjsip_get_status_text(500);
    pjsip_tx_data_invalidate_msg(tdata);
    return pjsip_endpt_send_response(pjsua_var.endpt, &reply->to, tdata, NULL, NULL);
}

static pj_status_t gone_wrong;

/* pjsip lets go of the message when this returns. */
static void on_reply_gone(pjsip_send_state *state, pj_ssize_t sent, pj_bool_t *cont) {
    shim_reply *reply = state->token;
    if (sent > 0) return;
    gone_wrong = sent < 0 ? (pj_status_t)-sent : PJ_EUNKNOWN;
    pjsip_tx_data_add_ref(reply->tdata);
    if (send_in_short(reply) != PJ_SUCCESS) pjsip_tx_data_dec_ref(reply->tdata);
}

int shim_reply_send(shim_reply *reply, int code, const char *reason) {
    pjsip_transport *transport = reply->kept ? reply->to.transport : NULL;
    pjsip_tx_data *tdata = reply->tdata;
    pj_status_t status;
    tdata->msg->line.status.code = code;
    tdata->msg->line.status.reason = *reason ? shim_copy(tdata->pool, reason) : *pjsip_get_status_text(code);
    gone_wrong = PJ_SUCCESS;
    status = pjsip_endpt_send_response(pjsua_var.endpt, &reply->to, tdata, reply, on_reply_gone);
    if (status != PJ_SUCCESS && send_in_short(reply) != PJ_SUCCESS) pjsip_tx_data_dec_ref(tdata);
    if (transport) pjsip_transport_dec_ref(transport);
    return status != PJ_SUCCESS ? status : gone_wrong;
}

void shim_reply_drop(shim_reply *reply) {
    pjsip_transport *transport = reply->kept ? reply->to.transport : NULL;
    pjsip_tx_data_dec_ref(reply->tdata);
    if (transport) pjsip_transport_dec_ref(transport);
}

/* ------------------------------------------------------------------------------------------------------------- requests */
static void *header_of(pj_pool_t *pool, const char *name, const char *value) {
    pj_str_t n = pj_str((char *)name), v = shim_copy(pool, value);
    return pjsip_parse_hdr(pool, &n, v.ptr, (pj_size_t)v.slen, NULL);
}

static pjsip_tx_data *request_in(pj_pool_t *pool, int account, const char *method, const char *target, const char *from, const char *to,
                                 const char *call_id, int cseq, const char *way) {
    pj_str_t name = pj_str((char *)method), uri_text = shim_copy(pool, target), contact, contact_text, contact_name = {"Contact", 7};
    pjsip_uri *uri = pjsip_parse_uri(pool, uri_text.ptr, (pj_size_t)uri_text.slen, 0);
    pjsip_hdr *from_hdr, *to_hdr, *id_hdr, *contact_hdr = NULL;
    pjsip_method kind;
    pjsip_tx_data *tdata;
    if (uri == NULL) return failed("%.200s is no URI", target);
    if (way) {
        pj_str_t towards = pj_str((char *)way);
        if (pjsua_acc_create_uac_contact(pool, &contact, account, &towards) != PJ_SUCCESS)
            return failed("%.150s leads nowhere from here: no transport of that kind is open", way);
        pj_strdup_with_null(pool, &contact_text, &contact);
        contact_hdr = pjsip_parse_hdr(pool, &contact_name, contact_text.ptr, (pj_size_t)contact.slen, NULL);
    }
    if ((from_hdr = header_of(pool, "From", from)) == NULL) return failed("From: %.200s is no such header", from);
    if ((to_hdr = header_of(pool, "To", to)) == NULL) return failed("To: %.200s is no such header", to);
    if ((id_hdr = header_of(pool, "Call-ID", call_id)) == NULL) return failed("Call-ID: %.200s is no such header", call_id);
    pjsip_method_init(&kind, pool, &name);
    if (pjsip_endpt_create_request_from_hdr(pjsua_var.endpt, &kind, uri, (pjsip_from_hdr *)from_hdr, (pjsip_to_hdr *)to_hdr,
                                            (pjsip_contact_hdr *)contact_hdr, (pjsip_cid_hdr *)id_hdr, cseq, NULL, &tdata) != PJ_SUCCESS)
        return failed("pjsip makes no %.200s", method);
    return tdata;
}

void *shim_request(int account, const char *method, const char *target, const char *from, const char *to, const char *call_id, int cseq,
                   const char *way) {
    pj_pool_t *pool = pjsua_pool_create("cordboard", POOL, POOL);
    pjsip_tx_data *tdata;
    pjsip_tpselector selector;
    if (pool == NULL) return failed("%s", "no memory");
    tdata = request_in(pool, account, method, target, from, to, call_id, cseq, way);
    pj_pool_release(pool);
    if (tdata) {
        pjsua_init_tpselector(account, &selector);
        pjsip_tx_data_set_transport(tdata, &selector);
    }
    return tdata;
}

int shim_header(void *sending, const char *name, const char *value, int parsed) {
    pjsip_tx_data *tdata = sending;
    void *header;
    if (!parsed) {
        add_text(tdata, name, value);
        return 0;
    }
    if ((header = header_of(tdata->pool, name, value)) == NULL) {
        failed("no such header: %.200s", value);
        return -1;
    }
    pjsip_msg_add_hdr(tdata->msg, header);
    return 0;
}

int shim_body(void *sending, const char *type, const char *subtype, const char *body, int length) {
    add_body(sending, type, subtype, body, length);
    return 0;
}

static void on_answer(void *token, pjsip_event *event) {
    pjsip_event_id_e cause = event && event->type == PJSIP_EVENT_TSX_STATE ? event->body.tsx_state.type : PJSIP_EVENT_TIMER;
    int how = cause == PJSIP_EVENT_RX_MSG ? 1 : cause == PJSIP_EVENT_TIMER ? 0 : 2;
    shim_call_answer((int)(pj_ssize_t)token, how, how == 1 ? event->body.tsx_state.src.rdata : NULL);
}

int shim_send(void *sending, int token) {
    return pjsip_endpt_send_request(pjsua_var.endpt, sending, NO_TIMEOUT, (void *)(pj_ssize_t)token, on_answer);
}

void shim_throw_away(void *sending) { pjsip_tx_data_dec_ref(sending); }

/* The bytes that a text stood for. Headers that pjsip has parsed are none of ours. */
int shim_put_back(void *sending, const char *header, const char *placeholder, const char *data, int length) {
    pjsip_tx_data *tdata = sending;
    pj_str_t name = pj_str((char *)header), wanted = pj_str((char *)placeholder), bytes = {(char *)data, length};
    pjsip_msg_body *body = tdata->msg->body;
    if (*header) {
        pjsip_generic_string_hdr *found = NULL;
        void *from = NULL;
        while ((found = pjsip_msg_find_hdr_by_name(tdata->msg, &name, from)) != NULL) {
            if (found->type == PJSIP_H_OTHER && pj_strcmp(&found->hvalue, &wanted) == 0) pj_strdup(tdata->pool, &found->hvalue, &bytes);
            from = found->next;
            if (from == &tdata->msg->hdr) break;
        }
    } else if (body && body->data && body->len == (unsigned)wanted.slen && memcmp(body->data, wanted.ptr, body->len) == 0) {
        pj_str_t copy;
        pj_strdup(tdata->pool, &copy, &bytes);
        body->data = copy.ptr;
        body->len = (unsigned)copy.slen;
    }
    return 0;
}

/* -------------------------------------------------------------------------------------------------------------- dialogs */
static pjsip_inv_session *call_of(const char *call_id, const char *local_tag, const char *remote_tag) {
    pj_str_t id = pj_str((char *)call_id), ours = pj_str((char *)local_tag), theirs = pj_str((char *)remote_tag);
    pjsip_dialog *dialog = pjsip_ua_find_dialog(&id, &ours, &theirs, PJ_FALSE);
    return dialog ? pjsip_dlg_get_inv_session(dialog) : NULL;
}

int shim_stop_session_timer(const char *call_id, const char *local_tag, const char *remote_tag) {
    pjsip_inv_session *call = call_of(call_id, local_tag, remote_tag);
    return call && pjsip_timer_end_session(call) == PJ_SUCCESS ? 0 : -1;
}

void *shim_update(const char *call_id, const char *local_tag, const char *remote_tag) {
    pjsip_inv_session *call = call_of(call_id, local_tag, remote_tag);
    pjsip_tx_data *tdata;
    if (call == NULL) return failed("%s", "there is no such dialog");
    if (pjsip_inv_update(call, NULL, NULL, &tdata) != PJ_SUCCESS) return failed("%s", "pjsip makes no UPDATE");
    return tdata;
}

int shim_send_update(void *sending, const char *call_id, const char *local_tag, const char *remote_tag) {
    pjsip_inv_session *call = call_of(call_id, local_tag, remote_tag);
    if (call == NULL || pjsip_inv_send_msg(call, sending) != PJ_SUCCESS) {
        failed("%s", "the UPDATE could not be sent");
        return -1;
    }
    return 0;
}
