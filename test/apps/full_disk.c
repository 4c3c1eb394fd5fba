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

// Counts a write, and says whether it fails.
static int is_full(int descriptor) {
  static long writes = 0;
  const char* const at = getenv("FULL_DISK_AT");
  if (at == NULL || !is_meant(descriptor)) return 0;
  const char* const length = getenv("FULL_DISK_FOR");
  const long first = atol(at), last = first + (length == NULL ? 1 : atol(length));
  ++writes;
  return writes >= first && writes < last;
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static ssize_t (*real)(int, const void*, size_t) = NULL;
  if (real == NULL) real = (ssize_t(*)(int, const void*, size_t))dlsym(RTLD_NEXT, "write");
  if (is_full(descriptor)) {
    errno = ENOSPC;
    return -1;
  }
  return real(descriptor, bytes, count);
}

size_t fwrite(const void* bytes, size_t size, size_t count, FILE* file) {
  static size_t (*real)(const void*, size_t, size_t, FILE*) = NULL;
  if (real == NULL) real = (size_t(*)(const void*, size_t, size_t, FILE*))dlsym(RTLD_NEXT, "fwrite");
  if (is_full(fileno(file))) {
    errno = ENOSPC;
    return 0;
  }
  return real(bytes, size, count, file);
}
