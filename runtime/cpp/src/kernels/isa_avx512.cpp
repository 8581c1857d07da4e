#define OFFBEAT_ISA "avx512"
#define OFFBEAT_TABLE avx512_kernels
#include "kernels/isa.inc"
