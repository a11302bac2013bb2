# Fuzzing of everything that takes bytes from outside, with the address and the
# undefined-behaviour sanitizer (needs clang-14 libfuzzer-14-dev libclang-rt-14-dev).
#   make fuzz                      each target for FUZZ_SECONDS
#   make fuzzers                   build them alone: build/fuzz/<target>
#   make fuzzers CORE_OF=DIR BUILD=DIR   of another core/ (a damaged one)
# An input that stops a target is written to build/fuzz/, to be run again with
# `build/fuzz/<target> FILE`.
FUZZ_TARGETS := slcan bridge calibration
FUZZ_SECONDS ?= 60
CORE_OF ?= core
FUZZ_FLAGS := -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined \
	-fno-sanitize-recover=all -Wall -Wextra -Wconversion -Werror \
	-I$(CORE_OF)/include -Icheck/fuzz

.PHONY: fuzzers
fuzzers: $(addprefix $(BUILD)/fuzz/,$(FUZZ_TARGETS))

$(BUILD)/fuzz/%: check/fuzz/fuzz_%.c check/fuzz/fuzz.h $(wildcard $(CORE_OF)/*.c \
		$(CORE_OF)/include/*.h) check/fuzz.mk
	@mkdir -p $(@D)
	clang-14 $(FUZZ_FLAGS) -o $@ $< $(wildcard $(CORE_OF)/*.c)

fuzz: fuzzers
	for target in $(FUZZ_TARGETS); do \
		mkdir -p $(BUILD)/fuzz/$$target.corpus && \
		$(BUILD)/fuzz/$$target -max_total_time=$(FUZZ_SECONDS) \
			-artifact_prefix=$(BUILD)/fuzz/$$target. \
			$(BUILD)/fuzz/$$target.corpus check/fuzz/corpus/$$target || exit 1; \
	done
