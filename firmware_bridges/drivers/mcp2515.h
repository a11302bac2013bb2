/* MCP2515, a CAN controller on the SPI bus (Microchip data sheet DS20001801). */
#ifndef MCP2515_H
#define MCP2515_H

#include "can_frame.h"

#include <stdbool.h>
#include <stdint.h>

/* Reset the chip; false if nothing answers as one in configuration mode. */
bool mcp2515_reset(void);

/* Join the bus with the timing of an SJA1000 (registers BTR0, BTR1 with 16 MHz).
 * False: this crystal cannot make that timing, or the chip does not answer. */
bool mcp2515_open(uint8_t btr0, uint8_t btr1, bool listen_only);

/* Leave the bus; what waits for sending is dropped. */
void mcp2515_close(void);

/* Take the oldest received frame; false if there is none. Call often: the chip holds
 * two. */
bool mcp2515_receive(can_frame_t *frame);

/* Hand over a frame for sending after all handed over before; false: no room now. */
bool mcp2515_send(const can_frame_t *frame);

/* Whether a frame handed over is still waiting or on its way. */
bool mcp2515_is_sending(void);

/* What went wrong since the last call, as bits of SLCAN's F, and the error state now. */
uint8_t mcp2515_flags(void);

#endif
