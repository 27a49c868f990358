#include <zstd.h>
#include <zstd_errors.h>

// The casts in zstd's macros keep Swift from importing them.
static inline unsigned long long coffer_zstd_content_size_unknown(void) { return ZSTD_CONTENTSIZE_UNKNOWN; }
static inline unsigned long long coffer_zstd_content_size_error(void) { return ZSTD_CONTENTSIZE_ERROR; }
