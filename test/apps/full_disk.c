// Preloaded, it makes the disk full at the FULL_DISK_AT-th write (from 1) to a file whose name contains FULL_DISK_NAME.
// With FULL_DISK_FOR = n, the next n - 1 writes fail as well.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_meant(int descriptor) {
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, name, sizeof name - 1);
  if (length < 0) return 0;
  name[length] = '\0';
  const char* const part = getenv("FULL_DISK_NAME");
  return part != NULL && strstr(name, part) != NULL;
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static ssize_t (*real)(int, const void*, size_t) = NULL;
  static long writes = 0;
  if (real == NULL) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (getenv("FULL_DISK_AT") != NULL && is_meant(descriptor)) {
    const long first = atol(getenv("FULL_DISK_AT"));
    const char* const length = getenv("FULL_DISK_FOR");
    ++writes;
    if (writes >= first && writes < first + (length == NULL ? 1 : atol(length))) {
      errno = ENOSPC;
      return -1;
    }
  }
  return real(descriptor, bytes, count);
}
