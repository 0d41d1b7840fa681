/* SPDX-License-Identifier: GPL-2.0-or-later
 * What calls cost in pjsua and pjsua2 beyond what we need of them. */
#include "shim.h"
#include <string.h>

/* For each call pjsua asks the system twice, by a socket, from which address its peer would be reached, though it comes in at a UDP transport that is
 * bound to one. It does not where a STUN server is said to be known: while such an INVITE is looked at there seems to be one. */
void shim_spare_addresses(const pjsip_rx_data *invite) {
    const pjsip_transport *tp = invite ? invite->tp_info.transport : NULL;
    pjsua_var.ua_cfg.stun_srv_cnt = tp && tp->flag & PJSIP_TRANSPORT_DATAGRAM && pj_sockaddr_has_addr(&tp->local_addr);
}

/* pjsua2 forgets a call when it is over; a re-INVITE of ours that is answered after that still finds the object in pjsua's slot. */
void shim_let_go(int call, intptr_t object) {
    if (call < 0 || call >= PJSUA_MAX_CALLS) return;
    if ((intptr_t)pjsua_var.calls[call].user_data == object) pjsua_var.calls[call].user_data = NULL;
}

/* Its streams' places in the bridge, which never runs: each has tables of PJSUA_MAX_CONF_PORTS entries, 33 kB. */
void shim_leave_bridge(int call) {
    pjsua_call *found;
    if (call < 0 || call >= PJSUA_MAX_CALLS) return;
    found = &pjsua_var.calls[call];
    for (unsigned i = 0; i < found->med_cnt; ++i) {
        pjsua_call_media *media = &found->media[i];
        if (media->type != PJMEDIA_TYPE_AUDIO || media->strm.a.conf_slot == PJSUA_INVALID_ID) continue;
        pjsua_conf_remove_port(media->strm.a.conf_slot);
        media->strm.a.conf_slot = PJSUA_INVALID_ID;
    }
}

/* pjsip gives a realm two stale nonces in an account's whole life, which all calls out share; how many a request may have is decided in
 * Python. */
void shim_forget_stale(int call) {
    pjsip_cached_auth *first, *auth;
    if (call < 0 || call >= PJSUA_MAX_CALLS || !pjsua_acc_is_valid(pjsua_var.calls[call].acc_id)) return;
    first = &pjsua_var.acc[pjsua_var.calls[call].acc_id].shared_auth_sess.cached_auth;
    for (auth = first->next; auth != NULL && auth != first; auth = auth->next) auth->stale_cnt = 0;
}

/* An account of a TCP or TLS listener gives a call our address; but its dialog would hold on to that listener, and to send to a peer whose
 * Contact leads elsewhere, by UDP, would fail. */
void shim_any_listener(int call) {
    static const pjsip_tpselector any = {PJSIP_TPSELECTOR_NONE};
    pjsip_inv_session *inv = call >= 0 && call < PJSUA_MAX_CALLS ? pjsua_var.calls[call].inv : NULL;
    if (inv != NULL && inv->dlg->tp_sel.type == PJSIP_TPSELECTOR_LISTENER) pjsip_dlg_set_transport(inv->dlg, &any);
}

int shim_call_state(int number, int *code, const char **reason, int *length) {
    const pjsua_call *call = number >= 0 && number < PJSUA_MAX_CALLS ? &pjsua_var.calls[number] : NULL;
    const pj_str_t *text;
    pj_bool_t over;
    if (call == NULL || call->inv == NULL) return -1;
    over = call->inv->state == PJSIP_INV_STATE_DISCONNECTED;
    text = over ? &call->inv->cause_text : &call->last_text;
    *code = over ? (int)call->inv->cause : (int)call->last_code;
    *reason = text->ptr;
    *length = (int)text->slen;
    return call->inv->state;
}

static int said(char *text, int size, const pj_str_t *name, const pj_str_t *value, int used) {
    const char *format = used ? (name->slen ? ";%.*s=%.*s" : ";%.*s%.*s") : (name->slen ? "%.*s=%.*s" : "%.*s%.*s");
    int length = pj_ansi_snprintf(text + used, (pj_size_t)(size - used), format, (int)name->slen, name->ptr, (int)value->slen, value->ptr);
    return length > 0 && length < size - used ? used + length : used;
}

int shim_stream_of(int call, shim_stream *into) {
    if (call < 0 || call >= PJSUA_MAX_CALLS) return -1;
    for (unsigned i = 0; i < pjsua_var.calls[call].med_cnt; ++i) {
        pjsua_stream_info info;
        const pjmedia_stream_info *audio = &info.info.aud;
        int used = 0;
        const pjsua_call_media *media = &pjsua_var.calls[call].media[i];
        if (media->type != PJMEDIA_TYPE_AUDIO || media->state == PJSUA_CALL_MEDIA_NONE) continue;
        if (pjsua_call_get_stream_info(call, i, &info) != PJ_SUCCESS) return -1;
        memset(into, 0, sizeof *into);
        pj_ansi_snprintf(into->codec, sizeof into->codec, "%.*s", (int)audio->fmt.encoding_name.slen, audio->fmt.encoding_name.ptr);
        pj_sockaddr_print(&audio->rem_addr, into->remote, sizeof into->remote, 3);
        into->index = (int)i;
        into->clock_hz = (int)audio->fmt.clock_rate;
        into->send = (int)audio->tx_pt;
        into->receive = (int)audio->rx_pt;
        into->event_send = audio->tx_event_pt;
        into->event_receive = audio->rx_event_pt;
        into->direction = audio->dir;
        if (audio->param) {
            const pjmedia_codec_fmtp *fmtp = &audio->param->setting.enc_fmtp;
            into->channels = (int)audio->param->info.channel_cnt;
            into->frame_ms = audio->param->info.frm_ptime;
            into->frames = audio->param->setting.frm_per_pkt;
            for (int at = 0; at < fmtp->cnt; ++at) used = said(into->fmtp, sizeof into->fmtp, &fmtp->param[at].name, &fmtp->param[at].val, used);
        }
        return 0;
    }
    return -1;
}

static pjsip_dialog *dialog_of(int call) {
    const pjsua_call *found = call >= 0 && call < PJSUA_MAX_CALLS ? &pjsua_var.calls[call] : NULL;
    if (found == NULL) return NULL;
    return found->inv ? found->inv->dlg : found->async_call.dlg;
}

int shim_set_contact(int call, const char *contact) {
    static const pj_str_t name = {"Contact", 7};
    pjsip_dialog *dialog = dialog_of(call);
    pj_str_t text;
    pjsip_hdr *header;
    if (dialog == NULL) return -1;
    text = shim_copy(dialog->pool, contact);
    header = pjsip_parse_hdr(dialog->pool, &name, text.ptr, (pj_size_t)text.slen, NULL);
    if (header == NULL || header->type != PJSIP_H_CONTACT || ((pjsip_contact_hdr *)header)->uri == NULL) return -1;
    dialog->local.contact = (pjsip_contact_hdr *)header;
    return 0;
}

/* By a route of one hop that is not written into the message (`hide`); one that we have set before gives way. */
int shim_send_to(int call, const char *route, int always) {
    static const pj_str_t name = {"Route", 5}, hide = {"hide", 4};
    pjsip_dialog *dialog = dialog_of(call);
    pjsip_route_hdr *first;
    pj_str_t text;
    void *header;
    if (dialog == NULL) return -1;
    first = dialog->route_set.next;
    if (first != &dialog->route_set) {
        pj_bool_t ours = pjsip_param_find(&first->other_param, &hide) != NULL;
        if (!always && (!ours || first->next != &dialog->route_set)) return 0;
        if (ours) pj_list_erase(first);
    }
    text = shim_copy(dialog->pool, route);
    header = pjsip_parse_hdr(dialog->pool, &name, text.ptr, (pj_size_t)text.slen, NULL);
    if (header == NULL) return -1;
    pj_list_push_front(&dialog->route_set, header);
    return 0;
}

/* A text among pjsip's own headers has another vptr: what it holds is not looked at. */
static void erase(pjsip_msg *message, const pjsip_generic_string_hdr *given) {
    pjsip_hdr *after, *header;
    for (header = message->hdr.next; header != &message->hdr; header = after) {
        after = header->next;
        if (header->vptr != given->vptr || pj_stricmp(&header->name, &given->name) != 0) continue;
        if (pj_strcmp(&((pjsip_generic_string_hdr *)header)->hvalue, &given->hvalue) == 0) pj_list_erase(header);
    }
}

void shim_take_headers_back(int number, const char *const *headers, int count) {
    pjsip_inv_session *inv = number >= 0 && number < PJSUA_MAX_CALLS ? pjsua_var.calls[number].inv : NULL;
    if (inv == NULL || inv->last_answer == NULL) return;
    for (int i = 0; i < count; ++i) {
        pj_str_t name = pj_str((char *)headers[2 * i]), value = pj_str((char *)headers[2 * i + 1]);
        erase(inv->last_answer->msg, pjsip_generic_string_hdr_create(inv->pool_prov, &name, &value));
    }
}

/* 0, or a status. Without a description pjsip's own stands as it is. */
int shim_answer(int number, int code, const char *reason, const char *description, int length, const char *const *headers, int count) {
    pjsua_call *call = number >= 0 && number < PJSUA_MAX_CALLS ? &pjsua_var.calls[number] : NULL;
    pjmedia_sdp_session *said = NULL;
    pjsua_call_setting setting;
    pjsua_msg_data data;
    pj_str_t text = pj_str((char *)reason);
    pj_pool_t *pool;
    pj_status_t status;
    if (call == NULL || call->inv == NULL) return PJSIP_ESESSIONTERMINATED;
    pool = call->inv->pool_prov;
    pjsua_call_setting_default(&setting);
    setting.aud_cnt = 1;
    setting.vid_cnt = setting.txt_cnt = 0;
    pjsua_msg_data_init(&data);
    for (int i = 0; i < count; ++i) {
        pj_str_t name = shim_copy(pool, headers[2 * i]), value = shim_copy(pool, headers[2 * i + 1]);
        pj_list_push_back(&data.hdr_list, pjsip_generic_string_hdr_create(pool, &name, &value));
    }
    if (length > 0) {
        pj_str_t copy = shim_copy(pool, description); /* its parser writes into it */
        status = pjmedia_sdp_parse(pool, copy.ptr, (pj_size_t)length, &said);
        if (status != PJ_SUCCESS) return status;
        return pjsua_call_answer_with_sdp(number, said, &setting, (unsigned)code, &text, &data);
    }
    return pjsua_call_answer2(number, &setting, (unsigned)code, &text, &data);
}
