# Static checks of the portable code, and of what is in the images (check/*.py).
# Both crystals, since the timing of the MCP2515 is compiled for one.
CHECKED := $(foreach a,$(APPS),"$(SOURCES_$(a)) apps/$(a)/main.c") \
	"-DMCP2515_CRYSTAL_MHZ=8u $(SOURCES_slcan_bridge) apps/slcan_bridge/main.c"

check:
	$(PYTHON) check/static.py $(CHECKED)
