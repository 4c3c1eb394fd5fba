// Preloaded, it makes calls fail:
//
//   FAULT_CALL   write      no space is left
//                create     the file system is read-only
//                open       the permission is denied
//                lock       no locks are available
//                read       the device has an error
//                allreduce  the message-passing library has an error
//   FAULT_NAME   a part of the name of the file; without effect on allreduce
//   FAULT_AT     the first of these calls that fails, from 1 (1)
//   FAULT_FOR    how many of them fail (1)
//   FAULT_RANK   the rank on which they fail (all)
//
// Callers for large files have names of their own: open64().
#undef _FILE_OFFSET_BITS
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

// The function behind this one. It is looked up once, since threads of Open MPI call it while components are unloaded.
#define REAL(name)                                                       \
  ({                                                                     \
    static __typeof__(&name) real = NULL;                                \
    if (real == NULL) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); \
    real;                                                                \
  })

// These values say which calls fail. They are read from the environment at the beginning, because no thread may read
// the environment while another one writes it.
static struct {
  const char *call, *name;  // NULL: none
  long at, count;
} fault;

static const char* copied(const char* variable) {
  const char* const text = getenv(variable);
  return text == NULL ? NULL : strdup(text);
}

static long number(const char* variable, long otherwise) {
  const char* const text = getenv(variable);
  return text == NULL ? otherwise : atol(text);
}

__attribute__((constructor)) static void read_environment(void) {
  const long none = -1, rank = number("FAULT_RANK", none);
  if (rank == none || rank == number("OMPI_COMM_WORLD_RANK", none)) fault.call = copied("FAULT_CALL");
  fault.name = copied("FAULT_NAME");
  fault.at = number("FAULT_AT", 1);
  fault.count = number("FAULT_FOR", 1);
}

static int is_chosen(const char* call) {
  return fault.call != NULL && strcmp(fault.call, call) == 0;
}

// Counts a call that could fail, and says whether it does.
static int is_due(void) {
  static long calls = 0;
  ++calls;
  return calls >= fault.at && calls < fault.at + fault.count;
}

static int fails_for(const char* call, const char* name) {
  return is_chosen(call) && fault.name != NULL && strstr(name, fault.name) != NULL && is_due();
}

static int fails(const char* call, int descriptor) {
  if (!is_chosen(call)) return 0;
  char link[64], name[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
  const ssize_t length = readlink(link, name, sizeof name - 1);
  if (length < 0) return 0;
  name[length] = '\0';
  return fails_for(call, name);
}

static int refuse(int code) {
  errno = code;
  return -1;
}

ssize_t write(int descriptor, const void* bytes, size_t count) {
  return fails("write", descriptor) ? refuse(ENOSPC) : REAL(write)(descriptor, bytes, count);
}

size_t fwrite(const void* bytes, size_t size, size_t count, FILE* file) {
  if (!fails("write", fileno(file))) return REAL(fwrite)(bytes, size, count, file);
  errno = ENOSPC;
  return 0;
}

ssize_t read(int descriptor, void* bytes, size_t count) {
  return fails("read", descriptor) ? refuse(EIO) : REAL(read)(descriptor, bytes, count);
}

ssize_t pread(int descriptor, void* bytes, size_t count, off_t at) {
  return fails("read", descriptor) ? refuse(EIO) : REAL(pread)(descriptor, bytes, count, at);
}

int flock(int descriptor, int operation) {
  return fails("lock", descriptor) ? refuse(ENOLCK) : REAL(flock)(descriptor, operation);
}

#define OPEN(name)                                                                   \
  int name(const char* path, int flags, ...) {                                       \
    va_list list;                                                                    \
    va_start(list, flags);                                                           \
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;           \
    va_end(list);                                                                    \
    if ((flags & O_CREAT) != 0 && fails_for("create", path)) return refuse(EROFS);   \
    return fails_for("open", path) ? refuse(EACCES) : REAL(name)(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)

#define FOPEN(name)                                                                  \
  FILE* name(const char* path, const char* mode) {                                   \
    if (mode[0] == 'r' || !fails_for("create", path)) return REAL(name)(path, mode); \
    errno = EROFS;                                                                   \
    return NULL;                                                                     \
  }
FOPEN(fopen)
FOPEN(fopen64)

// As MPI does with an error: it calls the handler of the communicator, and gives the code if the handler returns.
int MPI_Allreduce(const void* send, void* receive, int count, MPI_Datatype type, MPI_Op operation, MPI_Comm comm) {
  if (!is_chosen("allreduce") || !is_due()) return REAL(PMPI_Allreduce)(send, receive, count, type, operation, comm);
  REAL(PMPI_Comm_call_errhandler)(comm, MPI_ERR_TRUNCATE);
  return MPI_ERR_TRUNCATE;
}
