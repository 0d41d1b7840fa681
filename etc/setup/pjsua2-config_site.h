/* SPDX-License-Identifier: GPL-2.0-or-later
 * The SIP stack's compile-time limits: its defaults are those of a phone. What a limit is not named here for was looked at and fits a
 * server, or has no effect on signalling. interfaces/sip asks at start what was really built, and says what is lower than here. */

/* -- how many: calls, transactions, connections. Tables are allocated once: some 20 MB together. */
#define PJSUA_MAX_CALLS 4096
#define PJSUA_MAX_CONF_PORTS 4100
#define PJSUA_MAX_ACC 64 /* one for each address that we listen on; 8 is a phone's number of providers */
#define PJSIP_MAX_TSX_COUNT (64 * 1024 - 1)
#define PJSIP_MAX_DIALOG_COUNT (64 * 1024 - 1)
#define PJ_IOQUEUE_MAX_HANDLES 16384 /* connections and ports */
#define PJSIP_TPMGR_HTABLE_SIZE 4095 /* connections are found in chains of 16384/31 otherwise; 2^n-1 */

/* -- how long: a datagram of UDP holds 65507 bytes, and a message by TCP may be as long. A longer one is refused, never cut.
 * Each received datagram is read into one buffer of this size; each connection keeps one, so their number is bounded
 * (interfaces/sip/connections.py). Messages of ours take what they need (interfaces/sip/pjsip_shim.c). */
#define PJSIP_MAX_PKT_LEN (64 * 1024 + 512)
#define PJSIP_POOL_RDATA_LEN (PJSIP_MAX_PKT_LEN + 12 * 1024) /* buffer and what is parsed: one block, kept from datagram to datagram */
#define PJSIP_MAX_URL_SIZE 2048                              /* tokens and parameters in URIs; 256 makes dialogs say "uri too long" */
#define PJMEDIA_MAX_SDP_FMT 64                               /* what is above is left out silently; browsers offer some 45 */
#define PJMEDIA_MAX_SDP_ATTR 160                             /* ICE candidates and feedback of browsers; per line, kept some ten times a call */
#define PJMEDIA_MAX_SDP_BANDW 8

/* -- how fast: events that one turn of the loop handles before Python runs again. */
#define PJSIP_MAX_NET_EVENTS 16
#define PJSIP_MAX_TIMED_OUT_ENTRIES 200 /* of 10: with thousands of transactions more timers than that end in one turn */

/* -- sockets: bursts wait in the kernel (which caps these), not in retransmissions. */
#define PJSIP_UDP_SO_RCVBUF_SIZE (4 * 1024 * 1024)
#define PJSIP_UDP_SO_SNDBUF_SIZE (1024 * 1024)
#define PJSIP_TCP_TRANSPORT_BACKLOG 1024 /* of 5: a proxy that starts again connects all at once */
#define PJSIP_TLS_TRANSPORT_BACKLOG 1024
#define PJ_SOMAXCONN 1024 /* what TLS really listens with; with 5 the sixth that comes at once waits a second for its next SYN */

/* -- connections of strangers: who sends no message in 10 s is closed, who has sent some may be silent for 10 minutes. After 50 failed
 * accepts in a row (no descriptors left) a phone stops listening for good. */
#define PJSIP_TRANSPORT_SERVER_IDLE_TIME_FIRST 10
#define PJSIP_TRANSPORT_SERVER_IDLE_TIME 600
#define PJ_ACTIVESOCK_MAX_CONSECUTIVE_ACCEPT_ERROR 1000000000

/* -- what is there at all */
#define PJMEDIA_HAS_VIDEO 0
#define PJ_LOG_MAX_LEVEL 4
#define PJ_HAS_IPV6 1
