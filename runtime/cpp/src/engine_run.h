#pragma once

#include <cstddef>

#include "engine_program.h"
#include "offbeat/session.h"

namespace offbeat {

/// Sequences in the tiles that windows of `time` steps are cut into, at most.
std::size_t tile_size(const Program& program, std::size_t time) noexcept;

/// Bytes of scratch for tiles of any windows of up to `time` steps.
std::size_t n_scratch_bytes(const Program& program, std::size_t time) noexcept;

/// Scores windows [first, first + n) of a batch, n at most a tile, into the same rows of the outputs.
void score_tile(const Program& program, const kernels::Kernels& kernels, const float* windows, std::size_t first, std::size_t n,
                std::size_t time, const Outputs& outputs, std::byte* scratch) noexcept;

}  // namespace offbeat
