#define OFFBEAT_ISA "neon"
#define OFFBEAT_TABLE neon_kernels
#include "kernels/isa.inc"
