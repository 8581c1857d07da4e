#pragma once

#include <cstddef>
#include <vector>

#include "engine_program.h"

namespace offbeat {

/// Which operation reads and writes which buffer; from it, which buffers can share scratch and which operations an output needs.
class Layout {
 public:
  std::size_t add_buffer(Extent extent);
  /// A buffer that shares its scratch with no other.
  std::size_t add_lasting_buffer(Extent extent);
  /// Called once for each operation of the program, in order.
  void add_operation(std::vector<std::size_t> reads, std::vector<std::size_t> writes);
  /// Adds to what the last operation reads and writes.
  void extend_operation(const std::vector<std::size_t>& reads, const std::vector<std::size_t>& writes);
  /// Writes slots, and what each operation is needed by, into the program.
  void finish(Program& program) const;

 private:
  struct Accesses {
    std::vector<std::size_t> reads;
    std::vector<std::size_t> writes;
  };

  void mark_needed(Program& program, std::size_t buffer, std::uint32_t bit) const;
  void assign_slots(Program& program, const std::vector<std::size_t>& read_at_the_end) const;

  std::vector<Extent> extents_;
  std::vector<bool> is_lasting_;
  std::vector<Accesses> operations_;
};

}  // namespace offbeat
