; What bootloaders do to the reset cause: read it, clear it, stop the watchdog. Linked in
; front of the firmware's own start-up code by test_bootloaders.py. ATmega328P.
        .section .init0, "ax", @progbits
        wdr
        in      r24, 0x34       ; MCUSR
        eor     r24, r24
        out     0x34, r24
        ldi     r24, 0x18       ; WDCE, WDE
        sts     0x60, r24       ; WDTCSR
        eor     r24, r24
        sts     0x60, r24
