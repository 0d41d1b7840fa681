/* SPDX-License-Identifier: GPL-2.0-or-later
 * rtp_load: the phones of many calls. usage: rtp_load PLAN FIRST_PORT CALLS [IP]
 *
 * Phone i has the socket IP:FIRST_PORT + 2 * i (127.0.0.1 by default). PLAN is a file that grows: each line "i port" starts phone i, which from
 * then on sends a 20 ms PCMU packet of noise to that port of 127.0.0.1 every 20 ms and takes what comes. The phones are spread over the 20 ms.
 * Prints a line of rates every second and ends when it is told to by a signal.
 *
 * SIGUSR1: every phone takes what has come, then a line "total" is printed: what all of them have counted so far, and when (CLOCK_MONOTONIC).
 * missing: sequence numbers that were left out and have not come later; gaps: how often some were. late: how often a turn began over 2 ms
 * after its time, most_late_us: the worst of them since the last such line; a generator that is late itself measures itself.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, SLICES = 20, SLICE_NS = 1000000, BYTES = 172, HEADER = 12, LATE_NS = 2000000 };

struct phone {
    int socket;
    uint16_t sequence;
    uint32_t timestamp;
    unsigned heard;
    int hears;               /* a stream, whose last packet is: */
    uint16_t last;
    uint32_t source;
    struct sockaddr_in server;
};
static struct phone phones[MOST];
static int started[MOST], count;
static unsigned long sent, received, gaps, late;
static long missing, most_late_ns;
static volatile sig_atomic_t asked;

static void ask(int number) { asked = number; }

static void read_plan(FILE *plan, int calls) {
    int index, port;
    clearerr(plan);
    for (long at = ftell(plan); fscanf(plan, "%d %d\n", &index, &port) == 2; at = ftell(plan)) {
        (void)at;
        if (index < 0 || index >= calls || phones[index].server.sin_port) continue;
        phones[index].server = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        started[count++] = index;
    }
}

static int send_packet(struct phone *phone, unsigned char *packet, uint32_t ssrc) {
    uint32_t timestamp = htonl(phone->timestamp), source = htonl(ssrc);
    uint16_t sequence = htons(phone->sequence++);
    phone->timestamp += 160;
    packet[0] = 0x80;
    packet[1] = 0;
    memcpy(packet + 2, &sequence, 2);
    memcpy(packet + 4, &timestamp, 4);
    memcpy(packet + 8, &source, 4);
    return sendto(phone->socket, packet, BYTES, 0, (void *)&phone->server, sizeof phone->server) == BYTES;
}

/* RFC 3550 A.1 in short: what is ahead by less than half the numbers came in order, everything between is missing until it comes. */
static void follow(struct phone *phone, const unsigned char *packet) {
    uint16_t sequence;
    uint32_t source;
    memcpy(&sequence, packet + 2, 2);
    memcpy(&source, packet + 8, 4);
    sequence = ntohs(sequence);
    uint16_t ahead = sequence - phone->last;
    if (!phone->hears || source != phone->source) {
        phone->hears = 1;
        phone->source = source;
    } else if (ahead == 0) return;
    else if (ahead >= 0x8000) { missing--; return; }
    else if (ahead > 1) { missing += ahead - 1; gaps++; }
    phone->last = sequence;
}

static void take(struct phone *phone) {
    unsigned char buffer[2048];
    for (ssize_t n; (n = recv(phone->socket, buffer, sizeof buffer, 0)) > 0;) {
        received++;
        phone->heard++;
        if (n >= HEADER) follow(phone, buffer);
    }
}

static void tell_total(void) {
    struct timespec now;
    for (int k = 0; k < count; k++) take(&phones[started[k]]);
    clock_gettime(CLOCK_MONOTONIC, &now);
    printf("total ns=%lld calls=%d sent=%lu received=%lu missing=%ld gaps=%lu late=%lu most_late_us=%ld\n",
           now.tv_sec * 1000000000LL + now.tv_nsec, count, sent, received, missing, gaps, late, most_late_ns / 1000);
    fflush(stdout);
    most_late_ns = 0;
}

int main(int argc, char **argv) {
    if (argc < 4 || argc > 5 || atoi(argv[3]) > MOST) {
        fprintf(stderr, "usage: rtp_load PLAN FIRST_PORT CALLS [IP] (at most %d)\n", MOST);
        return 2;
    }
    const char *ip = argc > 4 ? argv[4] : "127.0.0.1";
    FILE *plan = fopen(argv[1], "r");
    int first = atoi(argv[2]), calls = atoi(argv[3]), slice = 0, slices = 0;
    if (!plan) { perror(argv[1]); return 1; }
    for (int i = 0; i < calls; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(first + 2 * i), .sin_addr.s_addr = inet_addr(ip)};
        phones[i].socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (phones[i].socket < 0 || bind(phones[i].socket, (void *)&own, sizeof own)) { perror("rtp_load: bind"); return 1; }
    }
    signal(SIGUSR1, ask);
    unsigned char packet[BYTES];
    for (int i = 0; i < BYTES; i++) packet[i] = rand();
    unsigned long sent_before = 0, received_before = 0;
    struct timespec next, now;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        read_plan(plan, calls);
        for (int k = slice; k < count; k += SLICES) {
            struct phone *phone = &phones[started[k]];
            sent += send_packet(phone, packet, started[k] + 1);
            take(phone);
        }
        slice = (slice + 1) % SLICES;
        if (++slices % 1000 == 0) {
            int silent = 0;
            for (int k = 0; k < count; k++) { silent += !phones[started[k]].heard; phones[started[k]].heard = 0; }
            printf("calls=%d sent=%lu received=%lu silent=%d a second\n", count, sent - sent_before, received - received_before, silent);
            fflush(stdout);
            sent_before = sent;
            received_before = received;
        }
        if (asked) { asked = 0; tell_total(); }
        if ((next.tv_nsec += SLICE_NS) >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL)) continue;
        clock_gettime(CLOCK_MONOTONIC, &now);
        long late_ns = (now.tv_sec - next.tv_sec) * 1000000000L + now.tv_nsec - next.tv_nsec;
        late += late_ns > LATE_NS;
        if (late_ns > most_late_ns) most_late_ns = late_ns;
    }
}
