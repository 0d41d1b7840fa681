/* SPDX-License-Identifier: GPL-2.0-or-later
 * udp_floor: what N calls' RTP costs a server in system calls alone. usage: udp_floor CALLS
 *
 * CALLS peers have a socket each, the server has 16. For each 20 ms tick the peers send one 172-byte packet each (not counted), then the
 * server reads all with recvmmsg and sends one to each peer with sendmmsg (counted, CPU time of this thread). Prints microseconds per
 * channel and second (50 ticks). The peers' sockets are drained in between.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

enum { SERVERS = 16, TICKS = 100, BYTES = 172, MAX = 16384 };
static struct mmsghdr out[SERVERS][MAX / SERVERS + 1], in[1024];
static struct iovec out_iov, in_iov[1024];
static struct sockaddr_in peer_name[MAX], server_name[SERVERS], from[1024];
static char payload[BYTES], buffer[1024][256];

static double cpu(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static int open_socket(struct sockaddr_in *name) {
    int size = 4 << 20, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    socklen_t length = sizeof *name;
    name->sin_family = AF_INET;
    name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    if (fd < 0 || bind(fd, (void *)name, sizeof *name) || getsockname(fd, (void *)name, &length)) { perror("udp_floor"); exit(1); }
    return fd;
}

int main(int argc, char **argv) {
    int calls = argc > 1 ? atoi(argv[1]) : 1000, server[SERVERS], count[SERVERS] = {0};
    static int peer[MAX];
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    for (int i = 0; i < SERVERS; i++) server[i] = open_socket(&server_name[i]);
    out_iov = (struct iovec){payload, BYTES};
    for (int i = 0; i < calls; i++) {
        peer[i] = open_socket(&peer_name[i]);
        struct msghdr *m = &out[i % SERVERS][count[i % SERVERS]++].msg_hdr;
        *m = (struct msghdr){.msg_name = &peer_name[i], .msg_namelen = sizeof peer_name[i], .msg_iov = &out_iov, .msg_iovlen = 1};
    }
    for (int i = 0; i < 1024; i++) {
        in_iov[i] = (struct iovec){buffer[i], sizeof buffer[i]};
        in[i].msg_hdr = (struct msghdr){.msg_name = &from[i], .msg_namelen = sizeof from[i], .msg_iov = &in_iov[i], .msg_iovlen = 1};
    }
    double used = 0;
    for (int tick = 0; tick < TICKS; tick++) {
        for (int i = 0; i < calls; i++) sendto(peer[i], payload, BYTES, 0, (void *)&server_name[i % SERVERS], sizeof server_name[0]);
        double begun = cpu();
        for (int i = 0; i < SERVERS; i++)
            while (recvmmsg(server[i], in, 1024, MSG_DONTWAIT, NULL) == 1024) {}
        for (int i = 0; i < SERVERS; i++)
            for (int done = 0, n; done < count[i] && (n = sendmmsg(server[i], out[i] + done, count[i] - done, 0)) > 0;) done += n;
        used += cpu() - begun;
        for (int i = 0; i < calls; i++) while (recv(peer[i], buffer[0], 256, 0) > 0) {}
    }
    printf("%.1f\n", used * 1e6 / calls / TICKS * 50);
    return 0;
}
