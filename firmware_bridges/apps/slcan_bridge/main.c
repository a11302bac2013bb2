/* Placeholder: echoes lines until the bridge is written. */
#include "hal.h"

int main(void)
{
    uint8_t byte;

    hal_init((uint8_t)'\r');
    for (;;) {
        if ((hal_uart_room() > 0u) && hal_uart_read(&byte)) {
            hal_uart_write(byte);
        }
    }
}
