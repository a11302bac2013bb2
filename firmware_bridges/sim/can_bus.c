#include "can_bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INTERMISSION 3
/* From the acknowledge slot to the end: delimiter and end of frame. */
#define AFTER_ACK 8
/* Error flag and delimiter; flags of others overlap it. */
#define ERROR_FRAME (6 + 8)
/* Clocks of nodes that talk to each other differ by less (ISO 11898-1, oscillator
 * tolerance 1.58 %). */
#define TOLERANCE 0.0158

enum sender { NOBODY, NODE, OTHERS };

typedef struct {
    bus_frame_t frame;
    uint64_t ready;
} waiting_t;

struct can_bus {
    rig_t *rig;
    bus_node_t *node;
    double bit_cycles;
    int others_acknowledge, fault;
    waiting_t *queue; /* of the others, in the order asked for */
    size_t queued, next, room;
    bus_frame_t *log; /* sent by the node */
    size_t logged, log_room;
    enum sender sender;
    int node_takes_part; /* in the frame on the bus, since its start */
    bus_frame_t frame;
    double end, free_at;
    unsigned offered, node_sent, node_failed, others_failed;
    double busy; /* cycles with a frame on the bus */
};

/* --- Bits ------------------------------------------------------------------------ */

typedef struct {
    unsigned count, run;
    int last, stuffed;
    uint16_t crc;
} bits_t;

static void put(bits_t *b, unsigned value, int n)
{
    for (int i = n - 1; i >= 0; i--) {
        int bit = value >> i & 1;
        int feedback = bit ^ (b->crc >> 14 & 1);
        b->crc = (uint16_t)(b->crc << 1 & 0x7FFF) ^ (feedback ? 0x4599 : 0);
        b->run = bit == b->last ? b->run + 1 : 1;
        b->last = bit;
        b->count++;
        if (b->run == 5) { /* a complementary bit follows, and begins a new run */
            b->count++;
            b->last = !bit;
            b->run = 1;
        }
    }
}

unsigned bus_frame_bits(const bus_frame_t *frame)
{
    bits_t b = {.last = -1};
    put(&b, 0, 1);
    if (frame->extended) {
        put(&b, frame->id >> 18, 11);
        put(&b, 3, 2); /* SRR, IDE */
        put(&b, frame->id & 0x3FFFF, 18);
        put(&b, frame->remote, 1);
        put(&b, 0, 2);
    } else {
        put(&b, frame->id, 11);
        put(&b, frame->remote, 1);
        put(&b, 0, 2); /* IDE, r0 */
    }
    put(&b, frame->dlc, 4);
    for (int i = 0; !frame->remote && i < frame->dlc && i < 8; i++) {
        put(&b, frame->data[i], 8);
    }
    put(&b, b.crc, 15); /* the CRC itself is stuffed too */
    return b.count + 1 + 1 + AFTER_ACK; /* CRC delimiter, acknowledge slot, the rest */
}

/* The arbitration field as a number: the smaller wins. */
static uint64_t priority(const bus_frame_t *f)
{
    return f->extended ? (uint64_t)(f->id >> 18) << 21 | 3u << 19
                             | (uint64_t)(f->id & 0x3FFFF) << 1 | f->remote
                       : (uint64_t)f->id << 21 | (uint64_t)f->remote << 20;
}

/* --- Time -------------------------------------------------------------------------- */

can_bus_t *can_bus_new(rig_t *rig, bus_node_t *node)
{
    can_bus_t *bus = calloc(1, sizeof *bus);
    bus->rig = rig;
    bus->node = node;
    bus->bit_cycles = RIG_HZ / 500000.0;
    bus->others_acknowledge = 1;
    return bus;
}

void can_bus_free(can_bus_t *bus)
{
    free(bus->queue);
    free(bus->log);
    free(bus);
}

int can_bus_is_busy(const can_bus_t *bus)
{
    return bus->sender != NOBODY;
}

double can_bus_bit_cycles(const can_bus_t *bus)
{
    return bus->bit_cycles;
}

static int same_rate(const can_bus_t *bus)
{
    double ratio = bus->node->bit_rate * bus->bit_cycles / RIG_HZ;
    return ratio > 1 - TOLERANCE && ratio < 1 + TOLERANCE;
}

static void note(can_bus_t *bus, const bus_frame_t *frame)
{
    if (bus->logged == bus->log_room) {
        bus->log_room = 2 * bus->log_room + 64;
        bus->log = realloc(bus->log, bus->log_room * sizeof *bus->log);
    }
    bus->log[bus->logged++] = *frame;
}

static void finish(can_bus_t *bus)
{
    enum sender sender = bus->sender;
    bus_node_t *node = bus->node;
    int hears = bus->node_takes_part && node->bit_rate > 0;
    bus->sender = NOBODY;
    if (sender == NODE) {
        int good = !bus->fault && same_rate(bus) && bus->others_acknowledge;
        if (good) {
            note(bus, &bus->frame);
            bus->node_sent++;
            node->sent(node->self);
        } else {
            bus->node_failed++;
            node->failed(node->self, !bus->fault && same_rate(bus));
        }
    } else if (bus->fault || (hears && !same_rate(bus) && node->drives)) {
        bus->others_failed++; /* destroyed by an error flag: they try again */
        if (hears) {
            node->receive_error(node->self);
        }
    } else if (!bus->others_acknowledge && !(hears && node->drives)) {
        bus->others_failed++;
    } else {
        bus->next++;
        bus->offered++;
        if (hears && same_rate(bus)) {
            node->received(node->self, &bus->frame);
        } else if (hears) {
            node->receive_error(node->self);
        }
    }
}

static double begin(can_bus_t *bus, double at, const bus_frame_t *mine,
                    const bus_frame_t *theirs)
{
    bus_node_t *node = bus->node;
    double bits;
    bus->sender = mine && (!theirs || priority(mine) < priority(theirs)) ? NODE : OTHERS;
    bus->frame = bus->sender == NODE ? *mine : *theirs;
    bus->node_takes_part = node->bit_rate > 0;
    bits = bus_frame_bits(&bus->frame);
    if (bus->fault) {
        bits = 1 + ERROR_FRAME;
    } else if (bus->sender == NODE && (!bus->others_acknowledge || !same_rate(bus))) {
        bits = bits - AFTER_ACK + ERROR_FRAME;
    }
    if (bus->sender == OTHERS && mine) {
        node->lost_arbitration(node->self);
    }
    bus->end = at + bits * bus->bit_cycles;
    bus->busy += bits * bus->bit_cycles;
    bus->free_at = bus->end + INTERMISSION * bus->bit_cycles;
    if (bus->sender == NODE && node->error_passive) {
        bus->free_at += 8 * bus->bit_cycles; /* suspend transmission */
    }
    return bus->end;
}

uint64_t can_bus_run(can_bus_t *bus, uint64_t now)
{
    for (;;) {
        if (bus->sender != NOBODY) {
            if (bus->end > (double)now) {
                return (uint64_t)bus->end + 1;
            }
            finish(bus);
        }
        bus->node->idle(bus->node->self);
        uint64_t mine_since = NEVER;
        const bus_frame_t *mine = bus->node->offer(bus->node->self, &mine_since);
        const waiting_t *theirs = bus->next < bus->queued ? &bus->queue[bus->next] : NULL;
        uint64_t first = mine ? mine_since : NEVER;
        if (theirs && theirs->ready < first) {
            first = theirs->ready;
        }
        if (first == NEVER) {
            return NEVER;
        }
        double at = (double)first > bus->free_at ? (double)first : bus->free_at;
        if (at > (double)now) {
            return (uint64_t)at + 1;
        }
        begin(bus, at, mine && (double)mine_since <= at ? mine : NULL,
              theirs && (double)theirs->ready <= at ? &theirs->frame : NULL);
    }
}

/* --- Control lines ------------------------------------------------------------------- */

static void enqueue(can_bus_t *bus, const bus_frame_t *frame, uint64_t ready)
{
    if (bus->queued == bus->room) {
        bus->room = 2 * bus->room + 64;
        bus->queue = realloc(bus->queue, bus->room * sizeof *bus->queue);
    }
    bus->queue[bus->queued].frame = *frame;
    bus->queue[bus->queued++].ready = ready;
}

static int parse(const char *text, bus_frame_t *frame)
{
    const char *data = strchr(text, '#');
    unsigned byte;
    if (data == NULL) {
        return 0;
    }
    memset(frame, 0, sizeof *frame);
    frame->id = (uint32_t)strtoul(text, NULL, 16);
    frame->extended = data - text == 8;
    data++;
    if (*data == 'R') {
        frame->remote = 1;
        frame->dlc = (uint8_t)atoi(data + 1);
        return 1;
    }
    while (frame->dlc < 8 && sscanf(data, "%2x", &byte) == 1) {
        frame->data[frame->dlc++] = (uint8_t)byte;
        data += 2;
    }
    return 1;
}

static void load(can_bus_t *bus, unsigned count, double period_us, unsigned id, unsigned dlc)
{
    uint64_t start = rig_cycle(bus->rig);
    for (unsigned i = 0; i < count; i++) {
        bus_frame_t frame = {.id = id, .extended = id > 0x7FF, .dlc = (uint8_t)dlc};
        for (unsigned k = 0; k < dlc && k < 8; k++) {
            uint8_t byte = (uint8_t)(i >> (24 - 8 * (k % 4)));
            frame.data[k] = k < 4 ? byte : (uint8_t)~byte;
        }
        enqueue(bus, &frame, start + (uint64_t)(period_us * i * (RIG_HZ / 1e6)));
    }
}

static void print_sent(can_bus_t *bus)
{
    for (size_t i = 0; i < bus->logged; i++) {
        const bus_frame_t *f = &bus->log[i];
        rig_say(bus->rig, f->extended ? "%s%08X#" : "%s%03X#", i ? " " : "", f->id);
        if (f->remote) {
            rig_say(bus->rig, "R%u", f->dlc);
        }
        for (int k = 0; !f->remote && k < f->dlc && k < 8; k++) {
            rig_say(bus->rig, "%02X", f->data[k]);
        }
    }
    bus->logged = 0;
}

int can_bus_command(can_bus_t *bus, char *words)
{
    unsigned a, b, c;
    double number;
    char text[64];
    bus_frame_t frame;
    if (sscanf(words, "bitrate %lf", &number) == 1 && number > 0) {
        bus->bit_cycles = RIG_HZ / number;
    } else if (sscanf(words, "ack %u", &a) == 1) {
        bus->others_acknowledge = a != 0;
    } else if (sscanf(words, "fault %u", &a) == 1) {
        bus->fault = a != 0;
    } else if (sscanf(words, "send %63s", text) == 1 && parse(text, &frame)) {
        enqueue(bus, &frame, rig_cycle(bus->rig));
    } else if (sscanf(words, "load %u %lf %x %u", &a, &number, &b, &c) == 4) {
        load(bus, a, number, b, c);
    } else if (strcmp(words, "unsent") == 0) {
        rig_say(bus->rig, "%zu", bus->queued - bus->next);
        return 1;
    } else if (strcmp(words, "sent") == 0) {
        print_sent(bus);
        return 1;
    } else if (strcmp(words, "bus") == 0) {
        rig_say(bus->rig,
                "offered=%u node_sent=%u node_failed=%u others_failed=%u busy_us=%.0f",
                bus->offered, bus->node_sent, bus->node_failed, bus->others_failed,
                bus->busy / (RIG_HZ / 1e6));
        return 1;
    } else {
        return 0;
    }
    rig_say(bus->rig, "ok");
    return 1;
}
