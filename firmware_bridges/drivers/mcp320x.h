/* MCP3208 and MCP3204, 12 bits. Microchip DS21298, chapter 5 and figure 6-1. */
#ifndef MCP320X_H
#define MCP320X_H

#include <stdint.h>

#define MCP320X_DEAD 0xFFFFu /* the null bit in front of the code was not null */

/* One conversion of a channel against ground, 0 to 4095. */
uint16_t mcp320x_read(uint8_t channel);

#endif
