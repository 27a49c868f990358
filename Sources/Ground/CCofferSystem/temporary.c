// O_TMPFILE is shown with this alone. These are no inline functions: what <fcntl.h> defines would be defined twice for Swift.
#define _GNU_SOURCE
#include "shim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

const char *coffer_temporary_folder(void) {
    const char *named = getenv("TMPDIR");
    return named && *named ? named : "/var/tmp";
}

int coffer_open_nameless(const char *folder) {
#ifdef O_TMPFILE
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
#else
    (void)folder;
    errno = EOPNOTSUPP;
    return -1;
#endif
}

int coffer_knows_nameless(int code) { return code != EOPNOTSUPP && code != EISDIR && code != EINVAL; }

int coffer_open_temporary(const char *folder) {
    int file = coffer_open_nameless(folder);
    if (file >= 0 || coffer_knows_nameless(errno)) return file;
    char path[4096];
    if (snprintf(path, sizeof path, "%s/.coffer-XXXXXX", folder) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    file = mkstemp(path);
    if (file < 0) return -1;
    fcntl(file, F_SETFD, FD_CLOEXEC);
    unlink(path);
    return file;
}
