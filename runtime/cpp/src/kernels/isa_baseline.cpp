#define OFFBEAT_ISA "baseline"
#define OFFBEAT_TABLE baseline_kernels
#include "kernels/isa.inc"
