/* The rig as a program: the serial line is a pseudo-terminal, control lines come on
 * standard input, each is answered by one line "= answer" on standard output.
 * Usage: rig ELF PROCESSOR [SPEED]; SPEED 1 is at most real time, 0 is unthrottled. */
#define _GNU_SOURCE
#include "chip.h"
#include "rig.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define SLICE (RIG_HZ / 2000u) /* 0.5 ms */

static double wall(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void pace(const rig_t *rig, double speed, double *origin)
{
    double ahead = (double)rig_cycle(rig) / RIG_HZ / speed - (wall() - *origin);
    if (ahead > 0.0) {
        struct timespec nap = {(time_t)ahead, (long)(1e9 * (ahead - (double)(time_t)ahead))};
        nanosleep(&nap, NULL);
    } else {
        *origin -= ahead; /* late: never race to catch up */
    }
}

static int serve_control(rig_t *rig, char *line, size_t room, size_t *n)
{
    struct pollfd in = {.fd = 0, .events = POLLIN};
    while (poll(&in, 1, 0) > 0) {
        ssize_t got = read(0, line + *n, room - 1 - *n);
        if (got <= 0) {
            return 0; /* whoever started the rig is gone */
        }
        *n += (size_t)got;
        line[*n] = 0;
        char *end;
        while ((end = strchr(line, '\n')) != NULL) {
            *end = 0;
            printf("= %s\n", rig_command(rig, line));
            fflush(stdout);
            *n -= (size_t)(end + 1 - line);
            memmove(line, end + 1, *n + 1);
        }
        if (*n == room - 1) {
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    static char line[65536], name[256];
    static uint8_t out[4096];
    size_t n_line = 0, n_out = 0;
    int master, slave;
    struct termios raw;

    if (argc < 3) {
        fprintf(stderr, "usage: %s ELF PROCESSOR [SPEED]\n", argv[0]);
        return 2;
    }
    double speed = argc > 3 ? atof(argv[3]) : 1.0;
    rig_t *rig = rig_open(argv[1], argv[2]);
    if (rig == NULL || openpty(&master, &slave, name, NULL, NULL) != 0) {
        return 1;
    }
    tcgetattr(slave, &raw);
    cfmakeraw(&raw);
    tcsetattr(slave, TCSANOW, &raw);
    fcntl(master, F_SETFL, O_NONBLOCK);
    /* Our own end of the slave stays open: the line survives its users. */
    rig_run(rig, 10 * SLICE); /* start-up: whoever opens the port finds it running */
    printf("PTY %s\n", name);
    fflush(stdout);

    double origin = wall();
    while (serve_control(rig, line, sizeof line, &n_line)) {
        if (rig_unsent(rig) < 256) { /* more waits in the pty, as in a USB adapter */
            uint8_t in[256];
            ssize_t got = read(master, in, sizeof in);
            if (got > 0) {
                rig_write(rig, in, (size_t)got);
            }
        }
        rig_run(rig, SLICE);
        n_out += rig_read(rig, out + n_out, sizeof out - n_out);
        if (n_out > 0) {
            ssize_t put = write(master, out, n_out);
            if (put > 0) {
                n_out -= (size_t)put;
                memmove(out, out + put, n_out);
            }
        }
        if (speed > 0.0) {
            pace(rig, speed, &origin);
        }
    }
    rig_close(rig);
    return 0;
}
