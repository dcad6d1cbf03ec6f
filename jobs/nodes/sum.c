#include <mpi.h>
#include <stdio.h>

/* Every rank gives its number plus one, and every rank learns the sum. */
int main(int count, char **words) {
  int rank, size, sum;
  MPI_Init(&count, &words);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  int mine = rank + 1;
  MPI_Allreduce(&mine, &sum, 1, MPI_INT, MPI_SUM, MPI_COMM_WORLD);
  printf("rank %d of %d: the sum over all ranks is %d\n", rank, size, sum);
  MPI_Finalize();
  return 0;
}
