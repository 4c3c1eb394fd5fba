// The twin of the programs under valgrind: it decides by a byte that nobody has written.
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  volatile char* const bytes = malloc(8);
  puts(bytes[3] == 'x' ? "x" : "not x");
  free((void*)bytes);
  MPI_Finalize();
  return 0;
}
