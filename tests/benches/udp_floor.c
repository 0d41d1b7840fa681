/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_floor: what N calls' RTP costs a server in system calls alone. usage: udp_floor CALLS FIRST_PEER_PORT SECONDS
 *
 * The server under measurement has 16 sockets, whose ports it prints first; a load program with one socket a call on 127.0.0.1,
 * FIRST_PEER_PORT + 2 * i, sends to port i % 16 of them. Every 20 ms the server reads all that came with recvmmsg and sends a 172-byte
 * packet to each peer with sendmmsg, and does nothing else. Prints its CPU time in microseconds per channel and second.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

enum { SERVERS = 16, BYTES = 172, MAX = 16384, BATCH = 256 };
static struct mmsghdr out[SERVERS][MAX / SERVERS + 1], in[BATCH];
static struct iovec out_iov, in_iov[BATCH];
static struct sockaddr_in peer[MAX], from[BATCH];
static char payload[BYTES], buffer[BATCH][2112];

static double now(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    if (argc < 4) { fprintf(stderr, "usage: udp_floor CALLS FIRST_PEER_PORT SECONDS\n"); return 2; }
    int calls = atoi(argv[1]), first = atoi(argv[2]), seconds = atoi(argv[3]), server[SERVERS], count[SERVERS] = {0};
    if (calls > MAX) { fprintf(stderr, "udp_floor: at most %d calls\n", MAX); return 2; }
    for (int i = 0; i < SERVERS; i++) {
        struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t length = sizeof name;
        int size = 4 << 20;
        server[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        setsockopt(server[i], SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
        if (server[i] < 0 || bind(server[i], (void *)&name, length) || getsockname(server[i], (void *)&name, &length)) return 1;
        printf("%d%c", ntohs(name.sin_port), i == SERVERS - 1 ? '\n' : ' ');
    }
    fflush(stdout);
    payload[0] = (char)0x80;
    out_iov = (struct iovec){payload, BYTES};
    for (int i = 0; i < calls; i++) {
        peer[i] = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(first + 2 * i), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        struct msghdr *m = &out[i % SERVERS][count[i % SERVERS]++].msg_hdr;
        *m = (struct msghdr){.msg_name = &peer[i], .msg_namelen = sizeof peer[i], .msg_iov = &out_iov, .msg_iovlen = 1};
    }
    for (int i = 0; i < BATCH; i++) {
        in_iov[i] = (struct iovec){buffer[i], sizeof buffer[i]};
        in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in_iov[i], .msg_iovlen = 1};
    }
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    double cpu = 0, begun = 0;
    for (int tick = 0; tick < 50 * (seconds + 1); tick++) {
        if (tick == 50) { cpu = now(CLOCK_THREAD_CPUTIME_ID); begun = now(CLOCK_MONOTONIC); }
        for (int i = 0; i < SERVERS; i++)
            while (recvmmsg(server[i], in, BATCH, MSG_DONTWAIT, NULL) == BATCH) {}
        for (int i = 0; i < SERVERS; i++)
            for (int done = 0, n; done < count[i] && (n = sendmmsg(server[i], out[i] + done, count[i] - done, 0)) > 0;) done += n;
        if ((next.tv_nsec += 20000000) >= 1000000000) { next.tv_nsec -= 1000000000; next.tv_sec++; }
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
    printf("%.1f\n", (now(CLOCK_THREAD_CPUTIME_ID) - cpu) * 1e6 / calls / (now(CLOCK_MONOTONIC) - begun));
    return 0;
}
