/* SPDX-License-Identifier: GPL-2.0-or-later
 * What Python sees of the shim: read by cffi and by the C compiler. Texts are bytes that end with a NUL where no length stands beside them.
 * A `received` is a pjsip_rx_data and valid only while the callback runs that brought it; a `sending` is a pjsip_tx_data. */

typedef struct { const char *text; int length; const char *source; int port, reliable, arrival; } shim_message; /* arrival: its number */
typedef struct { const char *source; int port, reliable, replaceable; } shim_dropped;
typedef struct { const char *name, *fmtp; int payload_type, clock_hz, channels, bit_rate; } shim_format;
typedef struct { const char *text; int length, reliable, source_port, target_port; char source[80], target[80]; } shim_packet;
typedef struct shim_reply shim_reply;

/* start */
int shim_start(void);                        /* 0, or the status with which pjsip refused our modules */
const char *shim_version(void);              /* of the pjproject that runs */
const char *shim_compiled_for(void);         /* of the headers that this was compiled with */
int shim_limit(const char *name);            /* a compile-time limit by its name; -1: not known here */
void shim_quiet(void);                       /* keep pjlib from writing to standard output before its log has a writer */
void shim_say_abilities(int kind, const char *const *words, int count); /* kind: 0 Allow, 1 Supported */
int shim_most_calls(void);
int shim_peer_port(void *connection);        /* of the peer of a pjsip_transport */
int shim_calls(void);
int shim_transactions(void);
int shim_dialogs(void);                      /* those of one fork count once */
int shim_turn(void);                         /* handle some of what is due or has come, without waiting: how much; 0: there was nothing */
int shim_next_timer_ms(void);                /* until the first of pjsip's timers is due; a day when there is none */
void shim_give_back_memory(void);

/* what came */
void shim_look(void *received, shim_message *into);
int shim_lines(const char *text, int length, char *into, int room, int *head); /* of a message: start line, name, value, name, …, each with a
        NUL behind it; their length, and in `head` that up to the body; -1: not each line is written as nearly all are, Python takes it apart */
int shim_arrived_at(void *received, char *ip, int room); /* our port; of a connection that we have made, one that nobody listens on */
int shim_arrived_by(void *received);                     /* 0 UDP, 1 TCP, 2 TLS */
int shim_contact_for(void *received, int account, char *text, int room);  /* its length, -1: none */
void shim_hide(void *received, const char *name);
int shim_takes(const char *name, const char *value, int length); /* whether pjsip's parser takes such a header; name "": such a URI */
void shim_set_description(void *received, const char *text, int length); /* what pjsip reads instead of its body */
int shim_description(void *session, char *text, int room); /* of a pjmedia_sdp_session; its length, -1: too long */

/* a message that the parser did not take, while shim_on_unreadable runs */
void shim_look_dropped(shim_dropped *into); /* replaceable: pjsip goes on behind what shim_on_unreadable says */
int shim_answer_dropped(const char *reply, int length, int port); /* 0, or a status */

/* answers without a transaction */
shim_reply *shim_reply_to(void *received, int keep); /* keep: it will be sent later. NULL: no memory */
void shim_reply_tag(shim_reply *reply, const char *tag); /* of its To */
void shim_reply_header(shim_reply *reply, const char *name, const char *value);
void shim_reply_body(shim_reply *reply, const char *type, const char *subtype, const char *body, int length);
int shim_reply_send(shim_reply *reply, int code, const char *reason); /* 0, or a status. The reply is gone afterwards */
void shim_reply_drop(shim_reply *reply);

/* requests of ours. NULL or not 0: shim_why says why */
const char *shim_why(void);
void *shim_request(int account, const char *method, const char *target, const char *from, const char *to, const char *call_id, int cseq,
                   const char *way); /* way: the URI towards which our Contact leads, NULL for none */
void *shim_update(const char *call_id, const char *local_tag, const char *remote_tag); /* an UPDATE without an offer */
int shim_header(void *sending, const char *name, const char *value, int parsed);
int shim_body(void *sending, const char *type, const char *subtype, const char *body, int length);
int shim_send(void *sending, int token);       /* the end is told by shim_on_answer, once, maybe before this has returned */
int shim_send_update(void *sending, const char *call_id, const char *local_tag, const char *remote_tag);
void shim_throw_away(void *sending);
int shim_put_back(void *sending, const char *header, const char *placeholder, const char *data, int length); /* header "": the body */
int shim_stop_session_timer(const char *call_id, const char *local_tag, const char *remote_tag); /* 0, or -1: no such dialog */

/* host names: each number that shim_on_name brings is answered once. No addresses: there are none */
int shim_names(void); /* from now on names are asked of Python; 0, or a status */
void shim_named(int number, const char *name, const char *const *ips, int count);

/* codecs: what pjmedia negotiates. -1: it has no place for them */
int shim_codecs(const shim_format *formats, int count);

/* whether an INVITE that a fork brings by another way is a call of its own; 0: pjsua answers it with 482 */
extern int shim_accept_forked;

/* calls, by pjsua's number */
typedef struct {
    char codec[64], remote[80], fmtp[1024];
    int index, clock_hz, channels, send, receive, event_send, event_receive, direction, frame_ms, frames;
} shim_stream;
void shim_take_callbacks(void); /* pjsua tells us, no longer pjsua2, what happens to calls */
void shim_say(const char *text, int length); /* our description, while shim_on_description runs */
int shim_answer(int call, int code, const char *reason, const char *description, int length, const char *const *headers,
                int count); /* to its INVITE. headers: name, value, name, …; 0, or a status */
void shim_take_headers_back(int call, const char *const *headers, int count); /* what the last answer was given is not in the next */
void shim_let_go(int call, intptr_t object); /* pjsua2's object of a call is deleted: nothing of the call reaches it any more */
void shim_forget_stale(int call); /* nonces that its account was told are too old count no longer */
void shim_any_listener(int call); /* later requests of its dialog may leave by other transports than its account's */
int shim_call_state(int call, int *code, const char **reason, int *length); /* a pjsip_inv_state, -1: there is none */
int shim_set_contact(int call, const char *contact); /* what our messages in its dialog name; 0, or -1: no dialog, or no such header */
int shim_send_to(int call, const char *route, int always); /* where requests in its dialog go, if no proxy is in their way; 0, or -1 */

/* whether streams of ours may leave with another profile than pjmedia has negotiated, which an attribute names */
extern int shim_wants_profiles;

/* which of the callbacks are wanted */
extern int shim_wants_leaving, shim_wants_connections, shim_wants_bodies, shim_wants_messages;
