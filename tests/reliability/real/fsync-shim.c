/* Preloaded into a server: while the file named by FSYNC_FAULT exists, fsync and fdatasync fail with EIO, and nothing is synced. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int refused(void) {
  const char *path = getenv("FSYNC_FAULT");
  if (path == NULL || access(path, F_OK) != 0) return 0;
  errno = EIO;
  return 1;
}

int fdatasync(int fd) {
  static int (*real)(int);
  if (refused()) return -1;
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  return real(fd);
}

int fsync(int fd) {
  static int (*real)(int);
  if (refused()) return -1;
  if (real == NULL) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  return real(fd);
}
