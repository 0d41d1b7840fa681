/* SPDX-License-Identifier: GPL-2.0-or-later
 * Host names in URIs. pjsip would ask the system and wait, and with it every call: a stranger's Contact, or a name server that is silent for ten
 * seconds, would be enough. Addresses are told at once, names are looked up by Python, which answers later. */
#include "shim.h"
#include <stdlib.h>
#include <string.h>

typedef struct waiting {
    struct waiting *next;
    pjsip_resolver_callback *told;
    void *token;
    int number, type, port;
} waiting;

static waiting *first;
static int last_number;

static void tell(const pj_sockaddr *found, unsigned count, const pj_str_t *host, int type, int port, void *token, pjsip_resolver_callback *told) {
    pjsip_server_addresses all;
    pj_bzero(&all, sizeof all);
    for (all.count = 0; all.count < count; ++all.count) {
        int of_family = found[all.count].addr.sa_family == pj_AF_INET6() ? type | PJSIP_TRANSPORT_IPV6 : type & ~PJSIP_TRANSPORT_IPV6;
        int at = port ? port : pjsip_transport_get_default_port_for_type((pjsip_transport_type_e)of_family);
        all.entry[all.count].name = *host;
        all.entry[all.count].type = (pjsip_transport_type_e)of_family;
        pj_sockaddr_cp(&all.entry[all.count].addr, &found[all.count]);
        pj_sockaddr_set_port(&all.entry[all.count].addr, (pj_uint16_t)at);
        all.entry[all.count].addr_len = pj_sockaddr_get_len(&found[all.count]);
    }
    if (count) told(PJ_SUCCESS, token, &all);
    else told(PJ_ERESOLVE, token, NULL); /* pjsip makes a 502 of it */
}

static pj_bool_t is_address(const pj_str_t *host, pj_sockaddr *into) {
    pj_bzero(into, sizeof *into);
    if (pj_inet_pton(pj_AF_INET(), host, &into->ipv4.sin_addr) == PJ_SUCCESS) into->addr.sa_family = (pj_uint16_t)pj_AF_INET();
    else if (pj_inet_pton(pj_AF_INET6(), host, &into->ipv6.sin6_addr) == PJ_SUCCESS) into->addr.sa_family = (pj_uint16_t)pj_AF_INET6();
    else return PJ_FALSE;
    return PJ_TRUE;
}

static void resolve(pjsip_resolver_t *resolver, pj_pool_t *pool, const pjsip_host_info *target, void *token, pjsip_resolver_callback *told) {
    int type = target->type;
    pj_sockaddr address;
    char name[256];
    waiting *one;
    PJ_UNUSED_ARG(resolver);
    PJ_UNUSED_ARG(pool);
    if (type == PJSIP_TRANSPORT_UNSPECIFIED)
        type = target->flag & PJSIP_TRANSPORT_SECURE ? PJSIP_TRANSPORT_TLS
             : target->flag & PJSIP_TRANSPORT_RELIABLE ? PJSIP_TRANSPORT_TCP : PJSIP_TRANSPORT_UDP;
    if (is_address(&target->addr.host, &address)) {
        tell(&address, 1, &target->addr.host, type, target->addr.port, token, told);
        return;
    }
    one = target->addr.host.slen > 0 && target->addr.host.slen < (pj_ssize_t)sizeof name ? malloc(sizeof *one) : NULL;
    if (one == NULL) {
        told(PJ_ERESOLVE, token, NULL);
        return;
    }
    memcpy(name, target->addr.host.ptr, (size_t)target->addr.host.slen);
    name[target->addr.host.slen] = '\0';
    last_number = last_number % 0x7FFFFFFF + 1;
    *one = (waiting){first, told, token, last_number, type, target->addr.port};
    first = one;
    shim_call_name(one->number, name);
}

void shim_named(int number, const char *name, const char *const *ips, int count) {
    pj_sockaddr found[PJSIP_MAX_RESOLVED_ADDRESSES];
    unsigned used = 0;
    waiting **at = &first, *one;
    pj_str_t host = pj_str((char *)name);
    while (*at && (*at)->number != number) at = &(*at)->next;
    if ((one = *at) == NULL) return;
    *at = one->next;
    for (int i = 0; i < count && used < PJ_ARRAY_SIZE(found); ++i) {
        pj_str_t text = pj_str((char *)ips[i]);
        if (is_address(&text, &found[used])) ++used;
    }
    tell(found, used, &host, one->type, one->port, one->token, one->told);
    free(one);
}

int shim_names(void) {
    static pjsip_ext_resolver ours = {resolve};
    return pjsip_endpt_set_ext_resolver(pjsua_var.endpt, &ours);
}
