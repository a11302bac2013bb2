#include "rig.h"

#include "rig_state.h"

#include <simavr/avr_adc.h>
#include <simavr/avr_ioport.h>
#include <simavr/sim_elf.h>
#include <simavr/sim_time.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_SLICE 1600u

static void append(buffer_t *buffer, const void *bytes, size_t n)
{
    if (buffer->taken == buffer->used) {
        buffer->taken = buffer->used = 0;
    }
    if (buffer->used + n > buffer->room) {
        buffer->room = 2 * (buffer->used + n) + 256;
        buffer->bytes = realloc(buffer->bytes, buffer->room);
        if (buffer->bytes == NULL) {
            abort();
        }
    }
    memcpy(buffer->bytes + buffer->used, bytes, n);
    buffer->used += n;
}

void rig_say(rig_t *rig, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    append(&rig->answer, text, n < (int)sizeof text ? (size_t)n : sizeof text - 1);
}

/* --- Lines ------------------------------------------------------------------- */

/* High only where the processor drives it so: a pull-down outside does the rest. */
static int driven(const rig_t *rig, pin_t pin, int level)
{
    const uint8_t *data = rig->avr->data;
    return (data[pin.ddr] >> pin.bit & 1) && (data[pin.port] >> pin.bit & 1) == level;
}

static void update_lines(rig_t *rig)
{
    for (int i = 0; i < CHIPS; i++) {
        int low = driven(rig, rig->board->cs[i], 0); /* pulled up otherwise */
        rig->has_can |= low && i == 0;
        if (rig->chip[i] && low != rig->selected[i]) {
            rig->chip[i]->select(rig->chip[i], low);
        }
        rig->selected[i] = low;
    }
    int coil = driven(rig, rig->board->contactor, 1);
    if (coil != rig->coil) {
        rig->coil = coil;
        if (rig->logged < LOG_LENGTH) {
            rig->log[rig->logged].cycle = rig->avr->cycle;
            rig->log[rig->logged++].level = coil;
        }
        rig->contact_due = rig->avr->cycle + rig->contact_delay;
    }
}

static void on_port(struct avr_irq_t *irq, uint32_t value, void *param)
{
    (void)irq, (void)value;
    update_lines(param);
}

/* At each write to the port simavr would put the internal pull-up back on a pin that
 * something outside holds low, so it is told of the outside too. All inputs of a board
 * are on one port. */
static void drive_input(rig_t *rig, pin_t pin, int level)
{
    rig->pulled |= (uint8_t)(1u << pin.bit);
    rig->pulled_to = (uint8_t)((rig->pulled_to & ~(1u << pin.bit)) | (unsigned)level << pin.bit);
    avr_ioport_external_t outside = {
        .name = (unsigned)pin.name & 0x7Fu, .mask = rig->pulled, .value = rig->pulled_to};
    const uint32_t name = (uint32_t)pin.name; /* in macros that shift it */
    avr_ioctl(rig->avr, AVR_IOCTL_IOPORT_SET_EXTERNAL(name), &outside);
    avr_raise_irq(avr_io_getirq(rig->avr, AVR_IOCTL_IOPORT_GETIRQ(name), pin.bit),
                  (uint32_t)level);
}

void rig_can_interrupt(rig_t *rig, int high)
{
    drive_input(rig, rig->board->can_interrupt, high);
}

static void update_contact(rig_t *rig)
{
    int contact = (rig->coil && !rig->stuck_open) || (rig->contact && rig->welded);
    rig->contact_due = NEVER;
    rig->contact = contact;
    drive_input(rig, rig->board->feedback, !contact); /* pulls low when closed */
}

/* A reset clears the ports without any of simavr's pin events, and with them what the
 * input pins read, until their level changes. */
static void on_reset(avr_io_t *io)
{
    rig_t *rig = (rig_t *)io;
    uint8_t *pins = &rig->avr->data[rig->board->feedback.ddr - 1]; /* PINx, DDRx, PORTx */
    rig->resets += rig->reset_until == 0; /* else the end of one that was held */
    *pins = (uint8_t)((*pins & ~rig->pulled) | (rig->pulled_to & rig->pulled));
    update_lines(rig);
}

/* --- SPI ---------------------------------------------------------------------- */

static void on_spi(struct avr_irq_t *irq, uint32_t mosi, void *param)
{
    (void)irq;
    rig_t *rig = param;
    uint8_t miso = 0xFF;
    int answering = 0;
    rig->spi_bytes++;
    for (int i = 0; i < CHIPS; i++) {
        if (rig->selected[i]) {
            answering++;
            if (rig->chip[i]) {
                miso &= rig->chip[i]->transfer(rig->chip[i], (uint8_t)mosi);
            }
        }
    }
    rig->spi_contentions += answering > 1;
    avr_raise_irq(rig->miso, miso);
}

/* --- Serial line ---------------------------------------------------------------- */

static void on_uart(struct avr_irq_t *irq, uint32_t byte, void *param)
{
    (void)irq;
    uint8_t b = (uint8_t)byte;
    append(&((rig_t *)param)->from_avr, &b, 1);
}

static void *module_of(avr_t *avr, const char *kind, char name)
{
    for (avr_io_t *io = avr->io_port; io; io = io->next) {
        if (strcmp(io->kind, kind) == 0
            && (name == 0 || ((avr_uart_t *)io)->name == name)) {
            return io;
        }
    }
    return NULL;
}

/* --- Running -------------------------------------------------------------------- */

static void quiet(avr_t *avr, const int level, const char *format, va_list arguments)
{
    (void)avr;
    if (level <= LOG_ERROR) {
        vfprintf(stderr, format, arguments);
    }
}

static void no_sleep(avr_t *avr, avr_cycle_count_t cycles)
{
    (void)avr, (void)cycles;
}

rig_t *rig_open(const char *elf, const char *processor)
{
    static elf_firmware_t firmware; /* large */
    const board_t *board = board_of(processor);
    avr_global_logger_set(quiet);
    memset(&firmware, 0, sizeof firmware);
    if (board == NULL || elf_read_firmware(elf, &firmware) != 0) {
        fprintf(stderr, "rig: cannot load %s for %s\n", elf, processor);
        return NULL;
    }
    rig_t *rig = calloc(1, sizeof *rig);
    rig->board = board;
    rig->avr = avr_make_mcu_by_name(processor);
    avr_init(rig->avr);
    firmware.frequency = RIG_HZ;
    firmware.vcc = firmware.avcc = firmware.aref = 5000;
    avr_load_firmware(rig->avr, &firmware);
    rig->avr->log = LOG_ERROR;
    rig->avr->sleep = no_sleep;
    rig->uart = module_of(rig->avr, "uart", '0');
    rig->spi = module_of(rig->avr, "spi", 0);
    rig->miso = avr_io_getirq(rig->avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_INPUT);
    rig->contact_delay = RIG_HZ / 100; /* 10 ms, a common drop-out time */

    timing_attach(rig);
    supply_attach(rig);
    uint32_t flags = 0;
    avr_ioctl(rig->avr, AVR_IOCTL_UART_SET_FLAGS('0'), &flags);
    avr_irq_register_notify(
        avr_io_getirq(rig->avr, AVR_IOCTL_UART_GETIRQ('0'), UART_IRQ_OUTPUT), on_uart, rig);
    avr_irq_register_notify(
        avr_io_getirq(rig->avr, AVR_IOCTL_SPI_GETIRQ(0), SPI_IRQ_OUTPUT), on_spi, rig);
    for (const char *port = board->ports; *port; port++) {
        const uint32_t name = (uint32_t)*port;
        for (int i = IOPORT_IRQ_DIRECTION_ALL; i <= IOPORT_IRQ_REG_PORT; i++) {
            avr_irq_register_notify(
                avr_io_getirq(rig->avr, AVR_IOCTL_IOPORT_GETIRQ(name), i), on_port, rig);
        }
    }
    rig->io.kind = "rig";
    rig->io.reset = on_reset;
    avr_register_io(rig->avr, &rig->io);

    chip_t *(*const make[CHIPS])(rig_t *) = {model_mcp2515, model_ltc6811, model_mcp3208};
    for (int i = 0; i < CHIPS; i++) {
        rig->chip[i] = make[i] ? make[i](rig) : NULL;
    }
    update_contact(rig);
    return rig;
}

void rig_close(rig_t *rig)
{
    for (int i = 0; i < CHIPS; i++) {
        if (rig->chip[i] && rig->chip[i]->free) {
            rig->chip[i]->free(rig->chip[i]);
        }
    }
    free(rig->to_avr.bytes);
    free(rig->from_avr.bytes);
    free(rig->answer.bytes);
    /* The processor is left to the end of the program: simavr 1.6 frees it badly. */
    free(rig);
}

uint64_t rig_cycle(const rig_t *rig)
{
    return rig->avr->cycle;
}

/* How long the processor may run before the models are looked at: a microsecond where
 * there is a CAN controller, whose events its driver sets off at any time, and else
 * until the next thing that is known to happen. simavr forgets it at a reset. */
static unsigned slice(const rig_t *rig, uint64_t until)
{
    uint64_t next = until;
    if (rig->has_can) {
        return RIG_HZ / 1000000u;
    }
    if (rig->to_avr.taken < rig->to_avr.used && rig->uart_due < next) {
        next = rig->uart_due;
    }
    if (rig->contact_due < next) {
        next = rig->contact_due;
    }
    next = next > rig->avr->cycle ? next - rig->avr->cycle : 1;
    return next < LONGEST_SLICE ? (unsigned)next : LONGEST_SLICE;
}

void rig_run(rig_t *rig, uint64_t cycles)
{
    avr_t *avr = rig->avr;
    uint64_t until = avr->cycle + cycles;
    while (avr->cycle < until) {
        avr->run_cycle_limit = slice(rig, until);
        if (avr->run_cycle_count > avr->run_cycle_limit) {
            avr->run_cycle_count = avr->run_cycle_limit; /* the limit is for later */
        }
        if (rig->reset_until) {
            supply_step(rig);
        } else {
            int state = avr_run(avr);
            if (state == cpu_Crashed || state == cpu_Done) {
                fprintf(stderr, "rig: the processor stopped at pc %x\n", avr->pc);
                return;
            }
        }
        if (rig->to_avr.taken < rig->to_avr.used && avr->cycle >= rig->uart_due) {
            timing_feed(rig);
        }
        for (int i = 0; i < CHIPS; i++) {
            if (rig->chip[i] && avr->cycle >= rig->chip[i]->due) {
                rig->chip[i]->run(rig->chip[i], avr->cycle);
            }
        }
        if (avr->cycle >= rig->contact_due) {
            update_contact(rig);
        }
    }
}

void rig_write(rig_t *rig, const uint8_t *bytes, size_t n)
{
    if (rig->to_avr.taken == rig->to_avr.used && rig->uart_due < rig->avr->cycle) {
        rig->uart_due = rig->avr->cycle + timing_byte_cycles(rig);
    }
    append(&rig->to_avr, bytes, n);
}

size_t rig_unsent(const rig_t *rig)
{
    return rig->to_avr.used - rig->to_avr.taken;
}

size_t rig_read(rig_t *rig, uint8_t *bytes, size_t n)
{
    buffer_t *line = &rig->from_avr;
    if (n > line->used - line->taken) {
        n = line->used - line->taken;
    }
    if (n > 0) {
        memcpy(bytes, line->bytes + line->taken, n);
        line->taken += n;
    }
    return n;
}

/* --- Control lines ---------------------------------------------------------------- */

static void command(rig_t *rig, char *line)
{
    unsigned number, value;
    for (int i = 0; i < CHIPS; i++) {
        size_t n = rig->chip[i] ? strlen(rig->chip[i]->name) : 0;
        if (n && strncmp(line, rig->chip[i]->name, n) == 0 && line[n] == ' ') {
            rig->chip[i]->command(rig->chip[i], line + n + 1);
            return;
        }
    }
    if (sscanf(line, "adc %u %u", &number, &value) == 2) {
        avr_raise_irq(avr_io_getirq(rig->avr, AVR_IOCTL_ADC_GETIRQ, (int)number), value);
        rig_say(rig, "ok");
    } else if (sscanf(line, "contactor welded %u", &value) == 1) {
        rig->welded = value != 0;
        update_contact(rig);
        rig_say(rig, "ok");
    } else if (sscanf(line, "contactor stuck_open %u", &value) == 1) {
        rig->stuck_open = value != 0;
        update_contact(rig);
        rig_say(rig, "ok");
    } else if (sscanf(line, "contactor delay_us %u", &value) == 1) {
        rig->contact_delay = (uint64_t)value * (RIG_HZ / 1000000u);
        rig_say(rig, "ok");
    } else if (sscanf(line, "spi hung %u", &value) == 1) {
        rig->spi_hung = value != 0;
        rig_say(rig, "ok");
    } else if (sscanf(line, "spi slow %u", &value) == 1) {
        rig->spi_slow_us = value;
        rig_say(rig, "ok");
    } else if (strcmp(line, "contactor") == 0) {
        rig_say(rig, "coil=%d contact=%d", rig->coil, rig->contact);
    } else if (strcmp(line, "coil log") == 0) {
        for (unsigned i = 0; i < rig->logged; i++) {
            rig_say(rig, "%s%llu:%d", i ? " " : "",
                    (unsigned long long)rig->log[i].cycle, rig->log[i].level);
        }
        rig->logged = 0;
    } else if (supply_command(rig, line)) {
        rig_say(rig, "ok");
    } else if (programmer_command(rig, line)) {
        /* answered */
    } else if (strcmp(line, "stat") == 0) {
        rig_say(rig,
                "cycle=%llu resets=%u uart_overruns=%u spi_bytes=%llu "
                "spi_contentions=%u unsent=%zu",
                (unsigned long long)rig->avr->cycle, rig->resets, rig->uart_overruns,
                (unsigned long long)rig->spi_bytes, rig->spi_contentions, rig_unsent(rig));
    } else {
        rig_say(rig, "unknown: %s", line);
    }
}

const char *rig_command(rig_t *rig, const char *line)
{
    char *copy = strdup(line);
    rig->answer.used = rig->answer.taken = 0;
    command(rig, copy);
    append(&rig->answer, "", 1);
    free(copy);
    return (const char *)rig->answer.bytes;
}
