#define OFFBEAT_BYTES_ONLY
#define OFFBEAT_TABLE avx512_vnni_kernels
#include "kernels/isa.inc"
