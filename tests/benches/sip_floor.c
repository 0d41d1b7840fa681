/* SPDX-License-Identifier: GPL-2.0-or-later
 * The floor of a call that is set up: pjsip's transactions and dialogs alone answer each INVITE at once with a text that is always the same, and
 * until the BYE a packet goes to the caller each 20 ms. No pjsua, no Python, no application, one process.
 *
 * A library, for pjsip is in pjsua2's module, which only an interpreter can load: `short_calls.Floor` calls `floor_serve` in one that then sleeps. */
#include <pjlib.h>
#include <pjlib-util.h>
#include <pjmedia.h>
#include <pjsip.h>
#include <pjsip_ua.h>
#include <string.h>

enum { MOST = 4096, PAYLOAD = 160, HEADER = 12, TICK_MS = 20, TEXT = 256 };

static pjsip_endpoint *endpoint;
static pj_sockaddr_in peers[MOST];
static int is_up[MOST], free_places[MOST], free_count;
static char answer[TEXT];

static void on_state(pjsip_inv_session *inv, pjsip_event *event);
static void on_new(pjsip_inv_session *inv, pjsip_event *event) { (void)inv, (void)event; }
static pj_bool_t on_request(pjsip_rx_data *rdata);

static pjsip_module application = {
    .name = {"floor", 5}, .id = -1, .priority = PJSIP_MOD_PRIORITY_APPLICATION, .on_rx_request = on_request};

static void on_state(pjsip_inv_session *inv, pjsip_event *event) {
    (void)event;
    if (inv->state == PJSIP_INV_STATE_DISCONNECTED && inv->mod_data[application.id]) {
        int place = (int)(pj_ssize_t)inv->mod_data[application.id] - 1;
        inv->mod_data[application.id] = NULL;
        is_up[place] = 0;
        free_places[free_count++] = place;
    }
}

/* Where the caller wants his packets; its description is read as a server must. */
static int place_of(pjsip_rx_data *rdata) {
    pjsip_rdata_sdp_info *offer = pjsip_rdata_get_sdp_info(rdata);
    const pjmedia_sdp_session *sdp = offer ? offer->sdp : NULL;
    if (!free_count || !sdp || !sdp->conn || !sdp->media_count) return -1;
    int place = free_places[--free_count];
    pj_sockaddr_in_init(&peers[place], &sdp->conn->addr, sdp->media[0]->desc.port);
    is_up[place] = 1;
    return place;
}

static pj_bool_t on_request(pjsip_rx_data *rdata) {
    pjsip_dialog *dialog;
    pjsip_inv_session *inv;
    pjsip_tx_data *tdata;
    pjmedia_sdp_session *sdp;
    unsigned options = 0;
    if (rdata->msg_info.msg->line.req.method.id != PJSIP_INVITE_METHOD) return PJ_FALSE;
    if (pjsip_inv_verify_request(rdata, &options, NULL, NULL, endpoint, NULL) != PJ_SUCCESS) return PJ_TRUE;
    if (pjsip_dlg_create_uas_and_inc_lock(pjsip_ua_instance(), rdata, NULL, &dialog) != PJ_SUCCESS) return PJ_TRUE;
    char *text = pj_pool_alloc(dialog->pool, TEXT);
    memcpy(text, answer, TEXT);
    pjmedia_sdp_parse(dialog->pool, text, strlen(text), &sdp);
    pj_status_t made = pjsip_inv_create_uas(dialog, rdata, sdp, 0, &inv);
    pjsip_dlg_dec_lock(dialog);
    if (made != PJ_SUCCESS) return PJ_TRUE;
    inv->mod_data[application.id] = (void *)(pj_ssize_t)(place_of(rdata) + 1);
    if (pjsip_inv_initial_answer(inv, rdata, 200, NULL, NULL, &tdata) == PJ_SUCCESS) pjsip_inv_send_msg(inv, tdata);
    return PJ_TRUE;
}

static void tick(pj_sock_t socket) {
    static char packet[HEADER + PAYLOAD];
    for (int place = 0; place < MOST; place++)
        if (is_up[place]) {
            pj_ssize_t size = sizeof(packet);
            pj_sock_sendto(socket, packet, &size, 0, &peers[place], sizeof(peers[place]));
        }
}

static pj_status_t start(pj_caching_pool *memory, const char *ip, int port, pj_sock_t *socket) {
    pj_str_t address = pj_str((char *)ip);
    pj_sockaddr_in bound;
    pjsip_inv_callback callbacks = {.on_state_changed = on_state, .on_new_session = on_new};
    pj_log_set_level(1);
    pj_status_t status = pj_init();
    if (status == PJ_SUCCESS) status = pjlib_util_init();
    pj_caching_pool_init(memory, &pj_pool_factory_default_policy, 4 << 20);
    if (status == PJ_SUCCESS) status = pjsip_endpt_create(&memory->factory, "floor", &endpoint);
    pj_sockaddr_in_init(&bound, &address, (pj_uint16_t)port);
    if (status == PJ_SUCCESS) status = pjsip_udp_transport_start(endpoint, &bound, NULL, 1, NULL);
    if (status == PJ_SUCCESS) status = pjsip_tsx_layer_init_module(endpoint);
    if (status == PJ_SUCCESS) status = pjsip_ua_init_module(endpoint, NULL);
    if (status == PJ_SUCCESS) status = pjsip_inv_usage_init(endpoint, &callbacks);
    if (status == PJ_SUCCESS) status = pjsip_100rel_init_module(endpoint);
    if (status == PJ_SUCCESS) status = pjsip_endpt_register_module(endpoint, &application);
    pj_sockaddr_in_init(&bound, &address, 0);
    if (status == PJ_SUCCESS) status = pj_sock_socket(pj_AF_INET(), pj_SOCK_DGRAM(), 0, socket);
    if (status == PJ_SUCCESS) status = pj_sock_bind(*socket, &bound, sizeof(bound));
    return status;
}

/* Serves SIP at this address until the process is ended; returns pjlib's error if it can't. */
int floor_serve(const char *ip, int port) {
    static pj_caching_pool memory;
    pj_sock_t socket;
    pj_time_val now;
    long next_ms, left_ms;
    pj_status_t status = start(&memory, ip, port, &socket);
    if (status != PJ_SUCCESS) return status;
    for (free_count = 0; free_count < MOST; free_count++) free_places[free_count] = free_count;
    pj_ansi_snprintf(answer, TEXT, "v=0\r\no=- 1 1 IN IP4 %s\r\ns=-\r\nc=IN IP4 %s\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n", ip, ip);
    pj_gettickcount(&now);
    for (next_ms = PJ_TIME_VAL_MSEC(now);;) {
        pj_gettickcount(&now);
        for (left_ms = next_ms - PJ_TIME_VAL_MSEC(now); left_ms <= 0; left_ms += TICK_MS, next_ms += TICK_MS) tick(socket);
        pj_time_val wait = {left_ms / 1000, left_ms % 1000};
        pjsip_endpt_handle_events(endpoint, &wait);
    }
}
