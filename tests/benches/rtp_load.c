/* SPDX-License-Identifier: GPL-2.0-or-later
 * rtp_load: the phones of many calls. usage: rtp_load PLAN FIRST_PORT CALLS
 *
 * Phone i has the socket 127.0.0.1:FIRST_PORT + 2 * i. PLAN is a file that grows: each line "i port" starts phone i, which from then on
 * sends a 20 ms PCMU packet of noise to that port of 127.0.0.1 every 20 ms and takes what comes. The phones are spread over the 20 ms.
 * Prints a line of rates every second and ends when it is told to by a signal.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 16384, SLICES = 20, SLICE_NS = 1000000, BYTES = 172 };

struct phone {
    int socket;
    uint16_t sequence;
    uint32_t timestamp;
    unsigned heard;
    struct sockaddr_in server;
};
static struct phone phones[MOST];
static int started[MOST], count;

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

int main(int argc, char **argv) {
    if (argc != 4 || atoi(argv[3]) > MOST) {
        fprintf(stderr, "usage: rtp_load PLAN FIRST_PORT CALLS (at most %d)\n", MOST);
        return 2;
    }
    FILE *plan = fopen(argv[1], "r");
    int first = atoi(argv[2]), calls = atoi(argv[3]), slice = 0, slices = 0;
    if (!plan) { perror(argv[1]); return 1; }
    for (int i = 0; i < calls; i++) {
        struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(first + 2 * i), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        phones[i].socket = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (phones[i].socket < 0 || bind(phones[i].socket, (void *)&own, sizeof own)) { perror("rtp_load: bind"); return 1; }
    }
    unsigned char packet[BYTES], buffer[2048];
    for (int i = 0; i < BYTES; i++) packet[i] = rand();
    unsigned long sent = 0, received = 0;
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        read_plan(plan, calls);
        for (int k = slice; k < count; k += SLICES) {
            struct phone *phone = &phones[started[k]];
            sent += send_packet(phone, packet, started[k] + 1);
            for (int n; (n = recv(phone->socket, buffer, sizeof buffer, 0)) > 0;) { received++; phone->heard++; }
        }
        slice = (slice + 1) % SLICES;
        if (++slices % 1000 == 0) {
            int silent = 0;
            for (int k = 0; k < count; k++) { silent += !phones[started[k]].heard; phones[started[k]].heard = 0; }
            printf("calls=%d sent=%lu received=%lu silent=%d a second\n", count, sent, received, silent);
            fflush(stdout);
            sent = received = 0;
        }
        if ((next.tv_nsec += SLICE_NS) >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
