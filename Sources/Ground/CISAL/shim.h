// What is used of ISA-L: inflate. Opened when it is first needed, as libcrypto is (COpenSSL).
#ifndef COFFER_ISAL_H
#define COFFER_ISAL_H
#include <dlfcn.h>
#include <stddef.h>
#include <stdint.h>
#include <isa-l/igzip_lib.h>

#ifdef __APPLE__
#define COFFER_LIBISAL "libisal.2.dylib"
#else
#define COFFER_LIBISAL "libisal.so.2"
#endif

struct coffer_libisal {
    __typeof__(&isal_inflate_init) init;
    __typeof__(&isal_inflate) inflate;
};

enum coffer_inflated { COFFER_INFLATE_GOES_ON, COFFER_INFLATE_ENDED, COFFER_INFLATE_DAMAGED };

/// 1, or 0 if the library is not there or lacks a function.
static inline int coffer_open_libisal(struct coffer_libisal *functions) {
    void *library = dlopen(COFFER_LIBISAL, RTLD_NOW | RTLD_LOCAL);
    if (!library) return 0;
    functions->init = (__typeof__(functions->init))dlsym(library, "isal_inflate_init");
    functions->inflate = (__typeof__(functions->inflate))dlsym(library, "isal_inflate");
    return functions->init && functions->inflate;
}

static inline size_t coffer_inflate_state_bytes(void) { return sizeof(struct inflate_state); }

/// Makes a state ready for one zlib stream (RFC 1950) whose checksum is verified, or for bare deflate (RFC 1951).
static inline void coffer_inflate_begin(const struct coffer_libisal *functions, void *memory, int has_wrapper) {
    struct inflate_state *state = (struct inflate_state *)memory;
    functions->init(state);
    state->crc_flag = has_wrapper ? ISAL_ZLIB : ISAL_DEFLATE;
}

/// Inflates what fits. `count` and `room` are the bytes there are before, and those that are left after.
static inline enum coffer_inflated coffer_inflate(
    const struct coffer_libisal *functions, void *memory, const uint8_t *bytes, uint32_t *count, uint8_t *target,
    uint32_t *room) {
    struct inflate_state *state = (struct inflate_state *)memory;
    state->next_in = (uint8_t *)bytes;
    state->avail_in = *count;
    state->next_out = target;
    state->avail_out = *room;
    int answer = functions->inflate(state);
    *count = state->avail_in;
    *room = state->avail_out;
    if (answer != ISAL_DECOMP_OK && answer != ISAL_END_INPUT && answer != ISAL_OUT_OVERFLOW) return COFFER_INFLATE_DAMAGED;
    if (state->block_state != ISAL_BLOCK_FINISH) return COFFER_INFLATE_GOES_ON;
    // Whole bytes that were taken in behind the end are given back.
    *count += (uint32_t)(state->read_in_length > 0 ? state->read_in_length / 8 : 0);
    return COFFER_INFLATE_ENDED;
}
#endif
