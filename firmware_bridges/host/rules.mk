# The portable core as a shared library of the host, for tests through cffi.
#   make host        build/host/libcore.so, build/host/core.cdef
# Undefined behaviour is reported on standard error, where the tests look for it; the
# address sanitizer cannot be loaded into a running Python and is left to check/fuzz.
HOST_CORE := $(wildcard core/*.c)
HOST_CORE_FLAGS := -std=c11 -g -fPIC -Wall -Wextra -Wconversion -Werror -Icore/include

host: $(BUILD)/host/libcore.so $(BUILD)/host/core.cdef

$(BUILD)/host/libcore.so: $(HOST_CORE) $(HEADERS) host/rules.mk
	@mkdir -p $(@D)
	gcc $(HOST_CORE_FLAGS) -O1 -fsanitize=undefined -shared -o $@ $(HOST_CORE)

# What a compiler sees of the headers, without those of the system.
$(BUILD)/host/core.cdef: host/core.h $(HEADERS) host/rules.mk $(wildcard host/declarations/*)
	@mkdir -p $(@D)
	gcc -E -P -nostdinc -Ihost/declarations -Icore/include $< > $@
