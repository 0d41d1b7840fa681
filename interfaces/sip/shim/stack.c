/* SPDX-License-Identifier: GPL-2.0-or-later
 * Our two modules in pjsip's stack, and what is asked of pjsip as a whole.
 *
 *   transports ─► door ─► transactions ─► requests ─► dialogs, pjsua
 *
 * `door` sees each message first: one whose body is shorter than its Content-Length goes no further (RFC 3261 §18.3), and Python reads its
 * description, which pjsip then reads as it was meant. It is also the last to see what leaves, and prints it into as much memory as it needs:
 * pjsip alone takes PJSIP_MAX_PKT_LEN for each. `requests` shows each request that no transaction took to Python before a dialog does. */
#include "shim.h"
#include <malloc.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

enum { DOOR = PJSIP_MOD_PRIORITY_TRANSPORT_LAYER + 2, REQUESTS = PJSIP_MOD_PRIORITY_TSX_LAYER + 4 };
enum { SLACK = 256, MMAP_FROM = 66000, HEAP_KEPT = 16 << 20, HEAP_STEP = 1 << 20, TIMERS_AT_ONCE = 20 };
/* A mark of ours, far above pjsip's, in a connection that has brought a message. */
enum { HAS_SPOKEN = 1 << 30 };

int shim_wants_leaving, shim_wants_connections, shim_wants_bodies, shim_wants_messages, shim_wants_profiles, shim_accept_forked = 1;
int shim_arrivals;
static char room[SHIM_ROOM];
static pj_bool_t told_body;
static pjsip_tp_state_callback told_before;

/* Where the line behind `at` begins, NULL when there is none before `end`. */
static const char *next_line(const char *at, const char *end) {
    at = memchr(at, '\n', (size_t)(end - at));
    return at ? at + 1 : NULL;
}

/* How many bytes of body came, in a datagram. */
static pj_ssize_t body_bytes(const pjsip_rx_data *rdata) {
    const char *at = rdata->msg_info.msg_buf, *end = at + rdata->msg_info.len;
    while ((at = next_line(at, end)) != NULL) {
        if (at < end && *at == '\n') return end - at - 1;
        if (at + 1 < end && at[0] == '\r' && at[1] == '\n') return end - at - 2;
    }
    return 0;
}

static pj_bool_t cut(const pjsip_rx_data *rdata) {
    const pjsip_clen_hdr *said = rdata->msg_info.clen;
    return said && said->len > 0 && (rdata->tp_info.transport->flag & PJSIP_TRANSPORT_DATAGRAM) && said->len > body_bytes(rdata);
}

/* Its description is read before pjsip does. A message without a body need not be told, unless one with a body came before it in this turn, or
 * an offer of ours will answer it. */
static void show_body(pjsip_rx_data *rdata) {
    const pjsip_msg *msg = rdata->msg_info.msg;
    const pjsip_msg_body *body = msg->body;
    int kind = 0;
    if (!shim_wants_bodies) return;
    if (body == NULL) {
        if (!told_body && (msg->type != PJSIP_REQUEST_MSG || msg->line.req.method.id != PJSIP_INVITE_METHOD)) return;
    } else if (pj_stricmp2(&body->content_type.type, "multipart") == 0)
        kind = 2;
    else if (pj_stricmp2(&body->content_type.type, "application") == 0 && pj_stricmp2(&body->content_type.subtype, "sdp") == 0)
        kind = 1;
    told_body = kind != 0;
    shim_call_body(rdata, kind, kind == 1 ? body->data : NULL, kind == 1 ? (int)body->len : 0);
}

/* A reply goes to where its request came from, not to whom its Via names (maddr): that would be a flood for him, by way of us. */
static void forget_third_party(pjsip_rx_data *rdata) {
    pj_str_t *named = &rdata->msg_info.via->maddr_param;
    if (named->slen && pj_strcmp2(named, rdata->pkt_info.src_name) != 0) named->slen = 0;
}

static void show_packet(const char *text, int length, const pjsip_transport *tp, const pj_sockaddr *peer, pj_bool_t leaves) {
    shim_packet packet;
    char *ours = leaves ? packet.source : packet.target, *theirs = leaves ? packet.target : packet.source;
    int port = pj_sockaddr_get_port(peer), own_port = pj_sockaddr_get_port(&tp->local_addr);
    packet.text = text;
    packet.length = length;
    packet.reliable = (tp->flag & PJSIP_TRANSPORT_RELIABLE) != 0;
    pj_sockaddr_print(&tp->local_addr, ours, sizeof packet.source, 0);
    pj_sockaddr_print(peer, theirs, sizeof packet.target, 0);
    packet.source_port = leaves ? own_port : port;
    packet.target_port = leaves ? port : own_port;
    shim_call_message(&packet);
}

static void show_arrived(pjsip_rx_data *rdata) {
    if (shim_wants_messages)
        show_packet(rdata->msg_info.msg_buf, rdata->msg_info.len, rdata->tp_info.transport, &rdata->pkt_info.src_addr, PJ_FALSE);
}

static void work_on(pjsip_rx_data *invite) {
    shim_trying_of(invite);
    shim_spare_addresses(invite);
    shim_codecs_of(invite);
}

static pj_bool_t on_arrived(pjsip_rx_data *rdata) {
    shim_arrivals = (shim_arrivals + 1) & 0x7FFFFFFF;
    work_on(NULL);
    if (!(rdata->tp_info.transport->flag & HAS_SPOKEN)) shim_trying_by(rdata->tp_info.transport);
    rdata->tp_info.transport->flag |= HAS_SPOKEN;
    show_arrived(rdata);
    forget_third_party(rdata);
    if (!cut(rdata)) {
        show_body(rdata);
        return PJ_FALSE;
    }
    if (rdata->msg_info.msg->line.req.method.id != PJSIP_ACK_METHOD) {
        const pj_str_t why = {"Body Shorter Than Content-Length", 32};
        pjsip_endpt_respond_stateless(pjsua_var.endpt, rdata, 400, &why, NULL, NULL);
    }
    return PJ_TRUE;
}

static pj_bool_t on_reply_arrived(pjsip_rx_data *rdata) {
    shim_arrivals = (shim_arrivals + 1) & 0x7FFFFFFF;
    work_on(NULL);
    show_arrived(rdata);
    if (cut(rdata)) return PJ_TRUE;
    show_body(rdata);
    if (shim_wants_bodies && rdata->msg_info.msg->line.status.code == PJSIP_SC_SESSION_TIMER_TOO_SMALL) shim_call_body(rdata, 3, NULL, 0);
    return PJ_FALSE;
}

/* A request that goes on for another one has a hop less (RFC 3261 §16.6): the hub says how many in a header that stays here. */
static void take_hops(pjsip_msg *msg) {
    static const pj_str_t name = {"X-Cordboard-Hops", 16};
    pjsip_generic_string_hdr *said;
    pjsip_max_fwd_hdr *hops;
    if (msg->type != PJSIP_REQUEST_MSG) return;
    said = pjsip_msg_find_hdr_by_name(msg, &name, NULL);
    if (said == NULL || said->type != PJSIP_H_OTHER) return;
    hops = pjsip_msg_find_hdr(msg, PJSIP_H_MAX_FORWARDS, NULL);
    if (hops) hops->ivalue = (int)pj_strtoul(&said->hvalue);
    pj_list_erase(said);
}

/* A stream with SRTP: pjmedia, which has nothing to do with that, has negotiated RTP/AVP, and an attribute says what it is. */
static void put_profiles(pjsip_tx_data *tdata) {
    pjsip_msg_body *body = tdata->msg->body;
    pjmedia_sdp_session *session;
    pj_bool_t changed = PJ_FALSE;
    if (body == NULL || body->print_body == &pjsip_print_text_body || pj_stricmp2(&body->content_type.type, "application") != 0 ||
        pj_stricmp2(&body->content_type.subtype, "sdp") != 0)
        return;
    session = pjmedia_sdp_session_clone(tdata->pool, body->data);
    for (unsigned i = 0; i < session->media_count; ++i) {
        pjmedia_sdp_media *media = session->media[i];
        pjmedia_sdp_attr *said = pjmedia_sdp_media_find_attr2(media, "x-cordboard-profile", NULL);
        if (said == NULL) continue;
        media->desc.transport = said->value;
        pjmedia_sdp_media_remove_attr(media, said);
        changed = PJ_TRUE;
    }
    if (changed && pjsip_create_sdp_body(tdata->pool, session, &body) == PJ_SUCCESS) tdata->msg->body = body;
}

static pj_status_t printed(pjsip_tx_data *tdata) {
    pj_ssize_t length;
    take_hops(tdata->msg);
    if (shim_wants_leaving) shim_call_leaving(tdata);
    if (pjsip_tx_data_is_valid(tdata)) return PJ_SUCCESS;
    if (shim_wants_profiles) put_profiles(tdata);
    length = pjsip_msg_print(tdata->msg, room, sizeof room);
    if (length < 0) return PJSIP_EMSGTOOLONG;
    if (tdata->buf.start == NULL || length >= tdata->buf.end - tdata->buf.start) {
        tdata->buf.start = pj_pool_alloc(tdata->pool, (pj_size_t)length + SLACK);
        tdata->buf.end = tdata->buf.start + length + SLACK;
    }
    memcpy(tdata->buf.start, room, (size_t)length);
    tdata->buf.cur = tdata->buf.start + length;
    *tdata->buf.cur = '\0';
    return PJ_SUCCESS;
}

static pj_status_t on_leaving(pjsip_tx_data *tdata) {
    pj_bool_t may_wait = !pjsip_tx_data_is_valid(tdata);
    pj_status_t status = printed(tdata);
    if (shim_trying_waits(tdata, status == PJ_SUCCESS && may_wait)) return status;
    if (status == PJ_SUCCESS && shim_wants_messages && tdata->tp_info.transport)
        show_packet(tdata->buf.start, (int)(tdata->buf.cur - tdata->buf.start), tdata->tp_info.transport, &tdata->tp_info.dst_addr, PJ_TRUE);
    return status;
}

/* pjsua itself answers an INVITE that a fork has brought before with 482: it gets it without being asked. */
static pj_bool_t taken_though_forked(pjsip_rx_data *rdata) {
    pj_bool_t taken;
    if (!shim_accept_forked || rdata->msg_info.msg->line.req.method.id != PJSIP_INVITE_METHOD) return PJ_FALSE;
    if (pjsip_tsx_detect_merged_requests(rdata) == NULL) return PJ_FALSE;
    PJSUA_LOCK();
    taken = pjsua_call_on_incoming(rdata);
    PJSUA_UNLOCK();
    return taken;
}

static pj_bool_t on_request(pjsip_rx_data *rdata) {
    const pjsip_method_e method = rdata->msg_info.msg->line.req.method.id;
    if (method == PJSIP_ACK_METHOD) return PJ_FALSE; /* never answered, whoever sends it */
    if (shim_call_request(rdata)) return PJ_TRUE;
    work_on(method == PJSIP_INVITE_METHOD ? rdata : NULL);
    return taken_though_forked(rdata);
}

int shim_takes(const char *name, const char *value, int length) {
    pj_pool_t *pool = pjsua_pool_create("takes", 1000, 1000);
    pj_str_t known = pj_str((char *)name);
    char *text = pj_pool_alloc(pool, (pj_size_t)length + 1);
    int used = 0;
    void *found;
    memcpy(text, value, (size_t)length);
    text[length] = '\0';
    found = *name ? pjsip_parse_hdr(pool, &known, text, (pj_size_t)length, &used) : (void *)pjsip_parse_uri(pool, text, (pj_size_t)length, 0);
    pj_pool_release(pool);
    return found != NULL;
}

static void on_connection(pjsip_transport *tp, pjsip_transport_state state, const pjsip_transport_state_info *info) {
    pj_bool_t up = state == PJSIP_TP_STATE_CONNECTED;
    if (told_before) told_before(tp, state, info);
    if (!shim_wants_connections || tp->dir != PJSIP_TP_DIR_INCOMING || !(tp->flag & PJSIP_TRANSPORT_RELIABLE)) return;
    if (up || state == PJSIP_TP_STATE_DESTROY)
        if (shim_call_connection(tp, up, pj_strbuf(&tp->remote_name.host))) pjsip_transport_shutdown2(tp, PJ_TRUE);
}

/* The header lines that a reply repeats (§8.2.6.2), of the beginning of a message. Returns how many bytes they have. */
static size_t repeated(const char *at, const char *end, char *into, size_t size) {
    static const char *const names[] = {"via", "v", "from", "f", "to", "t", "call-id", "i", "cseq"};
    size_t used = 0;
    const char *line, *following;
    for (line = next_line(at, end); line && line < end && *line != '\r' && *line != '\n'; line = following) {
        const char *colon = memchr(line, ':', (size_t)(end - line));
        following = next_line(line, end);
        while (following && following < end && (*following == ' ' || *following == '\t')) following = next_line(following, end);
        if (colon == NULL || following == NULL) break;
        for (unsigned i = 0; i < PJ_ARRAY_SIZE(names); ++i) {
            size_t length = strlen(names[i]);
            if (strncasecmp(line, names[i], length) != 0 || line + length + strspn(line + length, " \t") != colon) continue;
            if (used + (size_t)(following - line) < size) {
                memcpy(into + used, line, (size_t)(following - line));
                used += (size_t)(following - line);
            }
            break;
        }
    }
    return used;
}

/* The message that is being dropped, and the datagram that it came in. pjsip does not say where that came from; but its bytes stand in a
 * pjsip_rx_data, at the beginning unless something was dropped of the same datagram just before: then behind that. */
static struct { pjsip_tp_dropped_data *data; const pjsip_rx_data *rdata; char *first, *following; } now;

static const pjsip_rx_data *datagram_of(const pjsip_tp_dropped_data *dropped) {
    char *at = dropped->data;
    const pjsip_rx_data *rdata;
    if (now.following == NULL || at != now.following) now.first = at;
    now.following = at + dropped->len;
    rdata = (const pjsip_rx_data *)(now.first - offsetof(pjsip_rx_data, pkt_info.packet));
    return rdata->tp_info.transport == dropped->tp ? rdata : NULL;
}

void shim_look_dropped(shim_dropped *into) {
    pjsip_transport *tp = now.data->tp;
    into->reliable = (tp->flag & PJSIP_TRANSPORT_RELIABLE) != 0;
    into->replaceable = now.data->status == PJSIP_EINVALIDMSG;
    into->source = now.rdata ? now.rdata->pkt_info.src_name : pj_strbuf(&tp->remote_name.host);
    into->port = now.rdata ? now.rdata->pkt_info.src_port : tp->remote_name.port;
}

int shim_answer_dropped(const char *reply, int length, int port) {
    pjsip_transport *tp = now.data->tp;
    pjsip_tpselector by = {.type = PJSIP_TPSELECTOR_TRANSPORT, .u.transport = tp};
    pj_sockaddr to = now.rdata ? now.rdata->pkt_info.src_addr : tp->key.rem_addr;
    if (now.rdata) pj_sockaddr_set_port(&to, (pj_uint16_t)port);
    else if (tp->flag & PJSIP_TRANSPORT_DATAGRAM) return -1;
    return pjsip_tpmgr_send_raw(tp->tpmgr, tp->key.type, &by, NULL, reply, (pj_size_t)length, &to, pj_sockaddr_get_len(&to), NULL, NULL);
}

/* Python sees what the parser does not take. It answers it, or writes it anew at the end of its own place: pjsip goes on behind what it is
 * told to have consumed, when it is the parser that refuses it. */
static void on_unreadable(pjsip_tp_dropped_data *dropped) {
    int skipped;
    now.data = dropped;
    skipped = shim_call_unreadable(dropped->data, (int)dropped->len);
    now.data = NULL;
    if (skipped < 0) pjsip_transport_shutdown2(dropped->tp, PJ_TRUE);
    if (dropped->status != PJSIP_EINVALIDMSG || skipped <= 0 || skipped >= (int)dropped->len) return;
    dropped->len = (pj_size_t)skipped;
    now.following = (char *)dropped->data + skipped;
}

/* RFC 5626 §3.5.1. A connection that has brought no message yet is closed soon; an answer would put that off by ten minutes. */
static int asks_for_line_end(const pjsip_tp_dropped_data *dropped) {
    if (dropped->data == NULL || dropped->len < 4 || memcmp(dropped->data, "\r\n\r\n", 4) != 0) return 0;
    return dropped->tp->flag & PJSIP_TRANSPORT_RELIABLE && dropped->tp->flag & HAS_SPOKEN;
}

/* A message that does not fit is refused, and its connection closed: where the next one begins cannot be told. */
static void on_dropped(pjsip_tp_dropped_data *dropped) {
    static const char head[] = "SIP/2.0 513 Message Too Large\r\n", tail[] = "Content-Length: 0\r\n\r\n";
    char reply[4096];
    size_t length = sizeof head - 1;
    pjsip_transport *tp = dropped->tp;
    pjsip_tpselector by = {.type = PJSIP_TPSELECTOR_TRANSPORT, .u.transport = tp};
    now.rdata = tp->flag & PJSIP_TRANSPORT_DATAGRAM ? datagram_of(dropped) : NULL;
    switch (dropped->status) {
    case PJSIP_EINVALIDMSG: case PJSIP_EMISSINGHDR: case PJSIP_EINVALIDHDR: case PJSIP_EINVALIDSTATUS:
        on_unreadable(dropped);
        return;
    case PJSIP_ERXOVERFLOW:
        break;
    default: /* line ends that keep a connection open, or the end of one that has brought nothing: there is no message */
        if (asks_for_line_end(dropped))
            pjsip_tpmgr_send_raw(tp->tpmgr, tp->key.type, &by, NULL, "\r\n", 2, &tp->key.rem_addr, tp->addr_len, NULL, NULL);
        return;
    }
    memcpy(reply, head, length);
    if (strncmp(dropped->data, "SIP/", 4) != 0) {
        length += repeated(dropped->data, (char *)dropped->data + dropped->len, reply + length, sizeof reply - length - sizeof tail);
        memcpy(reply + length, tail, sizeof tail - 1);
        length += sizeof tail - 1;
        pjsip_tpmgr_send_raw(tp->tpmgr, tp->key.type, &by, NULL, reply, length, &tp->key.rem_addr, tp->addr_len, NULL, NULL);
    }
    shim_call_too_long(pj_strbuf(&tp->remote_name.host), tp->remote_name.port);
    pjsip_transport_shutdown2(tp, PJ_TRUE);
}

static pjsip_module door = {
    .name = {"mod-cordboard-door", 18}, .id = -1, .priority = DOOR, .on_rx_request = on_arrived, .on_rx_response = on_reply_arrived,
    .on_tx_request = on_leaving, .on_tx_response = on_leaving,
};
static pjsip_module requests = {.name = {"mod-cordboard", 13}, .id = -1, .priority = REQUESTS, .on_rx_request = on_request};

int shim_start(void) {
    pjsip_tpmgr *manager = pjsip_endpt_get_tpmgr(pjsua_var.endpt);
    pj_status_t status = pjsip_endpt_register_module(pjsua_var.endpt, &door);
    if (status == PJ_SUCCESS) status = pjsip_endpt_register_module(pjsua_var.endpt, &requests);
    if (status != PJ_SUCCESS) return status;
    told_before = pjsip_tpmgr_get_state_cb(manager);
    pjsip_tpmgr_set_state_cb(manager, on_connection);
    pjsip_tpmgr_set_drop_data_cb(manager, on_dropped);
    /* Buffers for a longest message are mapped, not cut from the heap: what of them is never touched costs nothing, and all of it is the
     * system's again when it is freed. */
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
    /* Otherwise the end of the heap goes to and fro between us and the system, page by page, with each call. `shim_give_back_memory` gives
     * back what a peak has left. */
    mallopt(M_TRIM_THRESHOLD, HEAP_KEPT);
    mallopt(M_TOP_PAD, HEAP_STEP);
    pj_timer_heap_set_max_timed_out_per_poll(pjsip_endpt_get_timer_heap(pjsua_var.endpt), TIMERS_AT_ONCE);
    return 0;
}

int shim_peer_port(void *connection) { return ((const pjsip_transport *)connection)->remote_name.port; }

void shim_give_back_memory(void) { malloc_trim(0); }

int shim_turn(void) {
    /* As pjsip_endpt_handle_events, which in a flood comes back only after thousands of messages: meanwhile nobody could be answered. */
    pj_time_val at_once = {0, 0};
    int timers = (int)pj_timer_heap_poll(pjsip_endpt_get_timer_heap(pjsua_var.endpt), NULL);
    int messages = pj_ioqueue_poll(pjsip_endpt_get_ioqueue(pjsua_var.endpt), &at_once);
    work_on(NULL);
    timers += shim_trying_due();
    if (timers + messages <= 0) told_body = PJ_FALSE; /* the turn is over: Python forgets what came in it */
    return timers + (messages > 0 ? messages : 0);
}

int shim_next_timer_ms(void) {
    pj_timer_heap_t *timers = pjsip_endpt_get_timer_heap(pjsua_var.endpt);
    pj_time_val due = {86400, 0}, now, none = {0, 0};
    pj_gettickcount(&now);
    PJ_TIME_VAL_ADD(due, now);
    if (pj_timer_heap_count(timers) > 0) pj_timer_heap_earliest_time(timers, &due);
    shim_trying_next(&due);
    PJ_TIME_VAL_SUB(due, now);
    return PJ_TIME_VAL_LT(due, none) ? 0 : due.sec >= 86400 ? 86400 * 1000 : (int)PJ_TIME_VAL_MSEC(due);
}

void shim_quiet(void) { pj_log_set_level(1); }
const char *shim_version(void) { return pj_get_version(); }
int shim_most_calls(void) { return (int)pjsua_call_get_max_count(); }
int shim_calls(void) { return (int)pjsua_call_get_count(); }
int shim_transactions(void) { return (int)pjsip_tsx_layer_get_tsx_count(); }
int shim_dialogs(void) { return (int)pjsip_ua_get_dlg_set_count(); }

#define TEXT_OF(number) #number
#define VERSION_OF(major, minor) TEXT_OF(major) "." TEXT_OF(minor)
const char *shim_compiled_for(void) { return VERSION_OF(PJ_VERSION_NUM_MAJOR, PJ_VERSION_NUM_MINOR); }

static const struct { const char *name; long value; } limits[] = {
    {"PJSIP_MAX_PKT_LEN", PJSIP_MAX_PKT_LEN},
    {"PJSIP_MAX_URL_SIZE", PJSIP_MAX_URL_SIZE},
    {"PJSUA_MAX_CALLS", PJSUA_MAX_CALLS},
    {"PJSUA_MAX_ACC", PJSUA_MAX_ACC},
    {"PJSIP_MAX_TSX_COUNT", PJSIP_MAX_TSX_COUNT},
    {"PJSIP_MAX_DIALOG_COUNT", PJSIP_MAX_DIALOG_COUNT},
    {"PJ_IOQUEUE_MAX_HANDLES", PJ_IOQUEUE_MAX_HANDLES},
    {"PJMEDIA_MAX_SDP_FMT", PJMEDIA_MAX_SDP_FMT},
    {"PJMEDIA_MAX_SDP_ATTR", PJMEDIA_MAX_SDP_ATTR},
    {"PJSIP_TCP_TRANSPORT_BACKLOG", PJSIP_TCP_TRANSPORT_BACKLOG},
    {"PJSIP_TRANSPORT_SERVER_IDLE_TIME_FIRST", PJSIP_TRANSPORT_SERVER_IDLE_TIME_FIRST},
};

int shim_limit(const char *name) {
    for (unsigned i = 0; i < PJ_ARRAY_SIZE(limits); ++i)
        if (strcmp(limits[i].name, name) == 0) return (int)limits[i].value;
    return -1;
}

/* pjsip's modules have written what pjsua can do into these lists; they go into every INVITE and its answers. */
void shim_say_abilities(int kind, const char *const *words, int count) {
    pj_pool_t *pool = pjsua_var.pool;
    pjsip_generic_array_hdr *list = (pjsip_generic_array_hdr *)pjsip_endpt_get_capability(
        pjsua_var.endpt, kind ? PJSIP_H_SUPPORTED : PJSIP_H_ALLOW, NULL);
    if (list == NULL) return;
    list->count = (unsigned)PJ_MIN(count, (int)PJ_ARRAY_SIZE(list->values));
    for (unsigned i = 0; i < list->count; ++i) pj_strdup2(pool, &list->values[i], words[i]);
}
