# Which lines and branches of core/ the tests on the host go through (gcov, part of gcc).
#   make coverage PYTHON=../.venv/bin/python   runs them and shows it
# core/safety.c must be covered whole; see check/core_coverage.py.
PYTHON ?= python3
COVERAGE_OBJECTS := $(patsubst core/%.c,$(BUILD)/coverage/%.o,$(HOST_CORE))
# Left out: what looks at other builds of the core, and long loops over the same lines.
COVERAGE_TESTS := $(wildcard ../tests/firmware/test_core_*.py) \
	-k "not damaged and not sanitizer and not detected"

.PHONY: coverage
coverage: $(BUILD)/coverage/libcore.so $(BUILD)/coverage/core.cdef
	rm -f $(BUILD)/coverage/*.gcda
	BATTLIFE_HOST_CORE=$(abspath $(BUILD)/coverage) \
		HYPOTHESIS_STORAGE_DIRECTORY=$(abspath $(BUILD)/coverage/hypothesis) \
		$(PYTHON) -m pytest -q -p no:xdist -p no:cacheprovider --hypothesis-seed=0 \
		$(COVERAGE_TESTS)
	$(PYTHON) check/core_coverage.py $(BUILD)/coverage

$(BUILD)/coverage/libcore.so: $(COVERAGE_OBJECTS)
	gcc --coverage -shared -o $@ $^

$(BUILD)/coverage/%.o: core/%.c $(HEADERS) check/coverage.mk
	@mkdir -p $(@D)
	gcc $(HOST_CORE_FLAGS) -O0 --coverage -c -o $@ $<

$(BUILD)/coverage/core.cdef: $(BUILD)/host/core.cdef
	@mkdir -p $(@D)
	cp $< $@
