/* SPDX-License-Identifier: GPL-2.0-or-later
 * The media process's codecs made known to pjmedia, so that pjsua negotiates them; pjmedia itself never codes a frame here.
 *
 * pjmedia's own codecs are taken out first: what they would allocate for every call (an Opus encoder and decoder, say) is never used. One
 * empty codec serves all streams: it keeps nothing. What pjmedia is given lives as long as the process. */
#include "shim.h"
#include <string.h>

enum { MOST = 64, FIRST_DYNAMIC = 96, FRAME_MS = 10, FRAMES = 2 };
/* Frames a packet are counted in 10 ms, so that a peer's ptime comes through; 20 ms without one. */

static pjmedia_codec_info infos[MOST];
static pjmedia_codec_param params[MOST];
static unsigned known;

/* Which of pjmedia's own codecs there are depends on the build. */
#define OWN(name) extern pj_status_t pjmedia_codec_##name##_deinit(void) __attribute__((weak));
OWN(g711) OWN(g722) OWN(gsm) OWN(speex) OWN(opus) OWN(l16) OWN(ilbc) OWN(g7221) OWN(bcg729) OWN(silk) OWN(passthrough)
#undef OWN
#define OWN(name) if (pjmedia_codec_##name##_deinit) pjmedia_codec_##name##_deinit();

static pj_status_t yes_codec(pjmedia_codec *codec, pj_pool_t *pool) { return PJ_SUCCESS; }
static pj_status_t yes_open(pjmedia_codec *codec, pjmedia_codec_param *param) { return PJ_SUCCESS; }
static pj_status_t yes_close(pjmedia_codec *codec) { return PJ_SUCCESS; }
static pj_status_t yes_modify(pjmedia_codec *codec, const pjmedia_codec_param *param) { return PJ_SUCCESS; }
static pj_status_t no_parse(pjmedia_codec *codec, void *packet, pj_size_t size, const pj_timestamp *at, unsigned *count,
                            pjmedia_frame frames[]) { return PJMEDIA_CODEC_EUNSUP; }
static pj_status_t no_code(pjmedia_codec *codec, const struct pjmedia_frame *in, unsigned size, struct pjmedia_frame *out) {
    return PJMEDIA_CODEC_EUNSUP;
}
static pj_status_t no_recover(pjmedia_codec *codec, unsigned size, struct pjmedia_frame *out) { return PJMEDIA_CODEC_EUNSUP; }

static pjmedia_codec_op codec_operations = {yes_codec, yes_open, yes_close, yes_modify, no_parse, no_code, no_code, no_recover};
static pjmedia_codec codec = {.op = &codec_operations};

/* By name only: pjmedia asks for Opus at the clock of the peer's maxplaybackrate. */
static pj_status_t test(pjmedia_codec_factory *factory, const pjmedia_codec_info *info) {
    for (unsigned i = 0; i < known; ++i)
        if (pj_stricmp(&infos[i].encoding_name, &info->encoding_name) == 0) return PJ_SUCCESS;
    return PJMEDIA_CODEC_EUNSUP;
}

static pj_status_t defaults(pjmedia_codec_factory *factory, const pjmedia_codec_info *info, pjmedia_codec_param *param) {
    for (unsigned i = 0; i < known; ++i)
        if (pj_stricmp(&infos[i].encoding_name, &info->encoding_name) == 0 && infos[i].clock_rate == info->clock_rate &&
            infos[i].channel_cnt == info->channel_cnt) {
            *param = params[i];
            return PJ_SUCCESS;
        }
    return PJMEDIA_CODEC_EUNSUP;
}

static pj_status_t list(pjmedia_codec_factory *factory, unsigned *count, pjmedia_codec_info *room) {
    *count = PJ_MIN(*count, known);
    memcpy(room, infos, *count * sizeof *room);
    return PJ_SUCCESS;
}

static pj_status_t allocate(pjmedia_codec_factory *factory, const pjmedia_codec_info *info, pjmedia_codec **made) {
    *made = &codec;
    return PJ_SUCCESS;
}

static pj_status_t give_back(pjmedia_codec_factory *factory, pjmedia_codec *used) { return PJ_SUCCESS; }
static pj_status_t destroy(void) { return PJ_SUCCESS; }

static pjmedia_codec_factory_op operations = {test, defaults, list, allocate, give_back, destroy};
static pjmedia_codec_factory factory = {.op = &operations};

/* `name=value;flag;…`: what we say of our decoder. */
static void read_fmtp(pj_pool_t *pool, const char *text, pjmedia_codec_fmtp *fmtp) {
    while (*text && fmtp->cnt < PJMEDIA_CODEC_MAX_FMTP_CNT) {
        const char *end = strchr(text, ';'), *equals;
        pj_str_t part, rest;
        if (end == NULL) end = text + strlen(text);
        part.ptr = (char *)text;
        part.slen = end - text;
        pj_strtrim(&part);
        if (part.slen) {
            equals = memchr(part.ptr, '=', (size_t)part.slen);
            rest.ptr = equals ? (char *)equals + 1 : part.ptr;
            rest.slen = part.ptr + part.slen - rest.ptr;
            part.slen = equals ? equals - part.ptr : 0;
            pj_strdup(pool, &fmtp->param[fmtp->cnt].name, &part);
            pj_strdup(pool, &fmtp->param[fmtp->cnt++].val, &rest);
        }
        text = *end ? end + 1 : end;
    }
}

static void take(pj_pool_t *pool, const shim_format *format) {
    pjmedia_codec_info *info = &infos[known];
    pjmedia_codec_param *param = &params[known++];
    int payload_type = format->payload_type >= 0 ? format->payload_type : FIRST_DYNAMIC;
    info->type = PJMEDIA_TYPE_AUDIO;
    info->pt = (unsigned)payload_type;
    info->encoding_name = shim_copy(pool, format->name);
    info->clock_rate = param->info.clock_rate = (unsigned)format->clock_hz;
    info->channel_cnt = param->info.channel_cnt = (unsigned)format->channels;
    param->info.avg_bps = param->info.max_bps = (pj_uint32_t)format->bit_rate;
    param->info.max_rx_frame_size = (unsigned)PJ_MAX(format->bit_rate * FRAME_MS / 8000, 1);
    param->info.frm_ptime = FRAME_MS;
    param->info.pcm_bits_per_sample = 16;
    param->info.pt = (pj_uint8_t)payload_type;
    param->info.fmt_id = PJMEDIA_FORMAT_L16;
    param->setting.frm_per_pkt = FRAMES;
    read_fmtp(pool, format->fmtp, &param->setting.dec_fmtp);
}

int shim_codecs(const shim_format *formats, int count) {
    pjmedia_codec_mgr *manager = pjmedia_endpt_get_codec_mgr(pjsua_get_pjmedia_endpt());
    if (count > MOST) return -1;
    OWN(g711) OWN(g722) OWN(gsm) OWN(speex) OWN(opus) OWN(l16) OWN(ilbc) OWN(g7221) OWN(bcg729) OWN(silk) OWN(passthrough)
    codec.factory = &factory;
    for (int i = 0; i < count; ++i) take(pjsua_var.pool, &formats[i]);
    if (pjmedia_codec_mgr_register_factory(manager, &factory) != PJ_SUCCESS) return -1;
    for (unsigned i = 0; i < known; ++i) /* kept by the manager: it asks us no more */
        pjmedia_codec_mgr_set_default_param(manager, &infos[i], &params[i]);
    return 0;
}

/* ------------------------------------------------------------------------------------------- as few as an offer needs
 * pjsua writes all codecs twice into a description for each INVITE, and compares them with the offer's twice, though what is not in the offer is in
 * no answer. While an INVITE that begins a call is worked on there seem to be only those whose name, or payload type, stands in it. */
static struct pjmedia_codec_desc all[PJMEDIA_CODEC_MGR_MAX_CODECS];
static unsigned all_count;

static pj_bool_t is_offered(const pjmedia_codec_info *info, const pjmedia_sdp_session *offer) {
    for (unsigned i = 0; i < offer->media_count; ++i) {
        const pjmedia_sdp_media *media = offer->media[i];
        for (unsigned j = 0; j < media->desc.fmt_count; ++j)
            if (info->pt < FIRST_DYNAMIC && pj_strtoul(&media->desc.fmt[j]) == info->pt) return PJ_TRUE;
        for (unsigned j = 0; j < media->attr_count; ++j) {
            const pj_str_t *value = &media->attr[j]->value, *name = &info->encoding_name;
            const char *at;
            if (pj_strcmp2(&media->attr[j]->name, "rtpmap") != 0) continue;
            at = pj_strchr(value, ' ');
            while (at && at < value->ptr + value->slen && (*at == ' ' || *at == '\t')) ++at;
            if (at && value->ptr + value->slen - at > name->slen && at[name->slen] == '/' &&
                pj_ansi_strnicmp(at, name->ptr, (pj_size_t)name->slen) == 0)
                return PJ_TRUE;
        }
    }
    return PJ_FALSE;
}

void shim_codecs_of(pjsip_rx_data *invite) {
    pjmedia_codec_mgr *manager = pjmedia_endpt_get_codec_mgr(pjsua_get_pjmedia_endpt());
    const pjsip_rdata_sdp_info *offer = NULL;
    unsigned kept = 0;
    if (all_count) {
        memcpy(manager->codec_desc, all, all_count * sizeof *all);
        manager->codec_cnt = all_count;
        all_count = 0;
    }
    if (invite == NULL || invite->msg_info.to->tag.slen || invite->msg_info.msg->body == NULL) return;
    offer = pjsip_rdata_get_sdp_info(invite);
    if (offer->sdp == NULL) return;
    memcpy(all, manager->codec_desc, manager->codec_cnt * sizeof *all);
    for (unsigned i = 0; i < manager->codec_cnt; ++i)
        if (all[i].prio != PJMEDIA_CODEC_PRIO_DISABLED && is_offered(&all[i].info, offer->sdp)) manager->codec_desc[kept++] = all[i];
    if (kept == 0) {
        memcpy(manager->codec_desc, all, manager->codec_cnt * sizeof *all);
        return;
    }
    all_count = manager->codec_cnt;
    manager->codec_cnt = kept;
}
