/* SPDX-License-Identifier: GPL-2.0-or-later
 * 100 Trying. An INVITE must be answered with it only when no other answer leaves within 200 ms (RFC 3261 §17.2.1), and the hub mostly has the
 * other one within three; pjsua says it each time. By UDP it stays here until its time has come, or until the INVITE is repeated, whichever is
 * first: that saves a message of four in a short call. pjsip takes it for sent. By TCP and TLS it leaves at once. */
#include "shim.h"
#include <stdlib.h>

enum { TRYING_MS = 200 };

typedef struct trying {
    struct trying *next;
    pjsip_transaction *tsx;
    pj_time_val due;
} trying;

static trying *first, **last = &first;
static pjsip_rx_data *invite; /* that pjsip works on now */
static const pjsip_tx_data *kept; /* that is on its way to a transport, and is not to leave */
static pj_status_t (*send_datagram)(pjsip_transport *, pjsip_tx_data *, const pj_sockaddr_t *, int, void *, pjsip_transport_callback);

static pj_status_t send_unless_kept(pjsip_transport *tp, pjsip_tx_data *tdata, const pj_sockaddr_t *to, int length, void *token,
                                    pjsip_transport_callback told) {
    if (tdata != kept) return send_datagram(tp, tdata, to, length, token, told);
    kept = NULL;
    return PJ_SUCCESS;
}

void shim_trying_by(pjsip_transport *tp) {
    if (!(tp->flag & PJSIP_TRANSPORT_DATAGRAM) || (send_datagram && tp->send_msg != send_datagram)) return;
    send_datagram = tp->send_msg;
    tp->send_msg = send_unless_kept;
}

void shim_trying_of(pjsip_rx_data *rdata) { invite = rdata; }

static pj_bool_t keep(pjsip_transaction *tsx) {
    trying *one = malloc(sizeof *one);
    if (one == NULL) return PJ_FALSE;
    pj_grp_lock_add_ref(tsx->grp_lock);
    one->next = NULL;
    one->tsx = tsx;
    pj_gettickcount(&one->due);
    one->due.msec += TRYING_MS;
    pj_time_val_normalize(&one->due);
    *last = one;
    last = &one->next;
    return PJ_TRUE;
}

pj_bool_t shim_trying_waits(const pjsip_tx_data *tdata, pj_bool_t may_wait) {
    const pjsip_transport *tp = tdata->tp_info.transport;
    pjsip_transaction *tsx;
    kept = NULL;
    if (!may_wait || invite == NULL || tp == NULL || tp != invite->tp_info.transport || tp->send_msg != send_unless_kept) return PJ_FALSE;
    if (tdata->msg->type != PJSIP_RESPONSE_MSG || tdata->msg->line.status.code != PJSIP_SC_TRYING) return PJ_FALSE;
    tsx = pjsip_rdata_get_tsx(invite);
    if (tsx == NULL || !keep(tsx)) return PJ_FALSE;
    invite = NULL;
    kept = tdata;
    return PJ_TRUE;
}

static pj_bool_t is_unanswered(const pjsip_transaction *tsx) {
    return tsx->state == PJSIP_TSX_STATE_PROCEEDING && tsx->status_code == PJSIP_SC_TRYING;
}

static void let_go_of_first(void) {
    trying *one = first;
    first = one->next;
    if (first == NULL) last = &first;
    pj_grp_lock_dec_ref(one->tsx->grp_lock);
    free(one);
}

int shim_trying_due(void) {
    pj_time_val now;
    int sent = 0;
    if (first == NULL) return 0;
    pj_gettickcount(&now);
    for (; first && PJ_TIME_VAL_LTE(first->due, now); let_go_of_first())
        if (is_unanswered(first->tsx) && pjsip_tsx_retransmit_no_state(first->tsx, NULL) == PJ_SUCCESS) ++sent;
    return sent;
}

/* Nobody is woken for an INVITE that has its answer. */
void shim_trying_next(pj_time_val *due) {
    while (first && !is_unanswered(first->tsx)) let_go_of_first();
    if (first && PJ_TIME_VAL_LT(first->due, *due)) *due = first->due;
}
