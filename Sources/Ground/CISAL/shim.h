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

/// Inflates what fits. `count` and `room` are the bytes there are before, and those that are left after. Once the stream has ended,
/// `behind` is how many bytes were taken, in this call or before, that stand behind its end.
static inline enum coffer_inflated coffer_inflate(
    const struct coffer_libisal *functions, void *memory, const uint8_t *bytes, uint32_t *count, uint8_t *target,
    uint32_t *room, uint32_t *behind) {
    struct inflate_state *state = (struct inflate_state *)memory;
    state->next_in = (uint8_t *)bytes;
    state->avail_in = *count;
    state->next_out = target;
    state->avail_out = *room;
    uint32_t given = *count;
    int answer = functions->inflate(state);
    int is_sound = answer == ISAL_DECOMP_OK || answer == ISAL_END_INPUT || answer == ISAL_OUT_OVERFLOW;
    *count = 0;
    // No more room than there was: what ISA-L says after damage is not to be believed (it counts bits that were not there).
    if (state->avail_out > *room) return COFFER_INFLATE_DAMAGED;
    *room = state->avail_out;
    if (!is_sound) return COFFER_INFLATE_DAMAGED;
    int has_ended = state->block_state == ISAL_BLOCK_FINISH;
    *behind = has_ended && state->read_in_length > 0 ? (uint32_t)state->read_in_length / 8 : 0;
    if (state->avail_in <= given) {
        *count = state->avail_in;
    } else if (has_ended && state->avail_in - given <= sizeof state->read_in) {
        // It gives back bytes of an earlier call.
        *count = given;
        *behind += state->avail_in - given;
    } else {
        return COFFER_INFLATE_DAMAGED;
    }
    return has_ended ? COFFER_INFLATE_ENDED : COFFER_INFLATE_GOES_ON;
}
#endif
