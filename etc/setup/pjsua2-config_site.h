/* SPDX-License-Identifier: GPL-2.0-or-later
 * The SIP stack's compile-time limits: its defaults are those of a phone. interfaces/sip reads what was really built at start. */
#define PJSUA_MAX_CALLS 4096
#define PJSUA_MAX_CONF_PORTS 4100
#define PJ_IOQUEUE_MAX_HANDLES 16384
#define PJSIP_MAX_TSX_COUNT (64 * 1024 - 1)
#define PJSIP_MAX_DIALOG_COUNT (64 * 1024 - 1)
#define PJMEDIA_HAS_VIDEO 0
#define PJ_LOG_MAX_LEVEL 4
#define PJ_HAS_IPV6 1
