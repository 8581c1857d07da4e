#define OFFBEAT_ISA "avx2"
#define OFFBEAT_TABLE avx2_kernels
#include "kernels/isa.inc"
