/* Everything that core/ offers, for the tests on the host: host/rules.mk makes the
 * declarations that cffi reads of it. */
#include "bl_protocol.h"
#include "bridge.h"
#include "calibration.h"
#include "can_frame.h"
#include "cobs.h"
#include "crc16.h"
#include "frame.h"
#include "ring.h"
#include "safety.h"
#include "slcan.h"
