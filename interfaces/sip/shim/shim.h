/* SPDX-License-Identifier: GPL-2.0-or-later
 * Between the shim's C files. */
#ifndef CORDBOARD_SHIM_H
#define CORDBOARD_SHIM_H
#ifndef PJ_AUTOCONF
#error "compile with the flags that pjproject was built with (.venv/include/pjproject/cflags, or pkg-config --cflags libpjproject)"
#endif
#include <pjsua-lib/pjsua.h>
#include <pjsua-lib/pjsua_internal.h>
#include "api.h"

/* The room for any message that leaves, and for texts on their way to Python: pjsip runs in one thread. */
#define SHIM_ROOM (PJSIP_MAX_PKT_LEN)

extern int (*shim_call_request)(void *received); /* between transactions and dialogs; not 0: it is dealt with */
extern int (*shim_call_leaving)(void *sending);
extern int (*shim_call_connection)(void *connection, int up, const char *ip); /* a peer's; not 0: it is closed */
extern void (*shim_call_too_long)(const char *ip, int port);
/* bytes to skip: what pjsip is to parse instead stands behind them; 0: none; -1: its connection is closed */
extern int (*shim_call_unreadable)(char *data, int length);
extern void (*shim_call_name)(int number, const char *name); /* a host name is to be looked up; shim_named answers */
extern void (*shim_call_answer)(int token, int how, void *received); /* how: 0 no answer came, 1 `received`, 2 it could not be sent */
extern void (*shim_call_body)(void *received, int kind, const char *body, int length); /* kind: 0 none or another, 1 a description, 2 parts */

extern void (*shim_call_message)(void *packet); /* a shim_packet: each message as it comes or leaves */

/* told.c: of a call, by its object */
extern void (*shim_call_invite)(int call, void *received);
extern void (*shim_call_call_state)(intptr_t object, int state, int code, const char *reason, int length, void *received);
extern void (*shim_call_replied)(intptr_t object, int code, const char *text, int length); /* to an offer; text NULL: none leaves now */
extern void (*shim_call_media)(intptr_t object, const shim_stream *stream); /* NULL: there is none */
extern void (*shim_call_description)(intptr_t object, const char *text, int length); /* shim_say says what is said instead */

extern int shim_arrivals; /* how many messages have come */

void shim_leave_bridge(int call);
int shim_stream_of(int call, shim_stream *into); /* 0, or -1: no audio */
void shim_codecs_of(pjsip_rx_data *invite); /* as for shim_spare_addresses */
void shim_spare_addresses(const pjsip_rx_data *invite); /* the INVITE that pjsip works on from now on; NULL: none */

/* trying.c */
void shim_trying_by(pjsip_transport *tp);      /* a transport that has brought its first message */
void shim_trying_of(pjsip_rx_data *rdata);     /* as for shim_spare_addresses */
pj_bool_t shim_trying_waits(const pjsip_tx_data *tdata, pj_bool_t may_wait); /* whether a message that is about to leave stays here */
int shim_trying_due(void);                     /* send what has waited long enough: how many */
void shim_trying_next(pj_time_val *due);       /* when that is, if it is earlier */

pj_str_t shim_copy(pj_pool_t *pool, const char *text);
#endif
