#pragma once

/// Marks what a shared library of offbeat shows to others; everything else stays hidden.
#if defined(__GNUC__)
#define OFFBEAT_API __attribute__((visibility("default")))
#else
#define OFFBEAT_API
#endif
