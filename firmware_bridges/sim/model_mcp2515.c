#include "chip.h"

#include <stdlib.h>

/* placeholder until the model is written: a chip that never answers */
static void select_(chip_t *chip, int selected) { (void)chip, (void)selected; }
static uint8_t transfer(chip_t *chip, uint8_t mosi) { (void)chip, (void)mosi; return 0xFF; }
static void command(chip_t *chip, char *words) { rig_say(chip->rig, "unknown: %s", words); }

chip_t *model_mcp2515(rig_t *rig)
{
    chip_t *chip = calloc(1, sizeof *chip);
    *chip = (chip_t){.name = "can", .rig = rig, .due = NEVER, .select = select_,
                     .transfer = transfer, .command = command, .free = (void (*)(chip_t *))free};
    return chip;
}
