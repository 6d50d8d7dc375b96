/*
 * Preloaded into a server: while the file named by FSYNC_FAULT exists, fsync and fdatasync fail with EIO and nothing is
 * synced; so do writes to a file opened with O_DSYNC, after the bytes went to the page cache.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int refused(void) {
  const char *path = getenv("FSYNC_FAULT");
  return path != NULL && access(path, F_OK) == 0;
}

static int fails(void) {
  errno = EIO;
  return -1;
}

static int write_refused(int fd) {
  int flags = fcntl(fd, F_GETFL);
  return flags != -1 && (flags & O_DSYNC) != 0 && refused();
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (refused()) return fails();
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}

int fsync(int fd) {
  static int (*real)(int);
  if (refused()) return fails();
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}

#define PWRITE(name)                                                                                    \
  ssize_t name(int fd, const void *bytes, size_t count, off64_t at) {                                   \
    static ssize_t (*real)(int, const void *, size_t, off64_t);                                         \
    if (real == NULL) real = (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, #name);  \
    ssize_t done = real(fd, bytes, count, at);                                                          \
    return write_refused(fd) ? fails() : done;                                                          \
  }

#define PWRITEV(name)                                                                                              \
  ssize_t name(int fd, const struct iovec *parts, int count, off64_t at) {                                         \
    static ssize_t (*real)(int, const struct iovec *, int, off64_t);                                               \
    if (real == NULL) real = (ssize_t (*)(int, const struct iovec *, int, off64_t))dlsym(RTLD_NEXT, #name);        \
    ssize_t done = real(fd, parts, count, at);                                                                     \
    return write_refused(fd) ? fails() : done;                                                                     \
  }

PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV(pwritev)
PWRITEV(pwritev64)
