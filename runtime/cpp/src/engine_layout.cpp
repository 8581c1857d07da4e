#include "engine_layout.h"

#include <algorithm>
#include <utility>

namespace offbeat {
namespace {

bool contains(const std::vector<std::size_t>& buffers, std::size_t buffer) {
  return std::find(buffers.begin(), buffers.end(), buffer) != buffers.end();
}

}  // namespace

std::size_t Layout::add_buffer(Extent extent) {
  extents_.push_back(extent);
  is_lasting_.push_back(false);
  return extents_.size() - 1;
}

std::size_t Layout::add_lasting_buffer(Extent extent) {
  const std::size_t buffer = add_buffer(extent);
  is_lasting_[buffer] = true;
  return buffer;
}

void Layout::add_operation(std::vector<std::size_t> reads, std::vector<std::size_t> writes) {
  operations_.push_back({std::move(reads), std::move(writes)});
}

void Layout::extend_operation(const std::vector<std::size_t>& reads, const std::vector<std::size_t>& writes) {
  Accesses& last = operations_.back();
  last.reads.insert(last.reads.end(), reads.begin(), reads.end());
  last.writes.insert(last.writes.end(), writes.begin(), writes.end());
}

void Layout::mark_needed(Program& program, std::size_t buffer, std::uint32_t bit) const {
  std::vector<bool> is_needed(extents_.size(), false);
  is_needed[buffer] = true;
  for (std::size_t index = operations_.size(); index-- > 0;) {
    const Accesses& accesses = operations_[index];
    if (std::none_of(accesses.writes.begin(), accesses.writes.end(), [&](std::size_t written) { return is_needed[written]; })) continue;
    program.steps[index].needed_by |= bit;
    for (const std::size_t read : accesses.reads) is_needed[read] = true;
  }
}

void Layout::assign_slots(Program& program, const std::vector<std::size_t>& read_at_the_end) const {
  const std::size_t n = operations_.size();
  std::vector<std::size_t> first(extents_.size(), n);
  std::vector<std::size_t> last(extents_.size(), 0);
  for (std::size_t index = 0; index < n; ++index) {
    for (const auto& buffers : {operations_[index].reads, operations_[index].writes}) {
      for (const std::size_t buffer : buffers) {
        first[buffer] = std::min(first[buffer], index);
        last[buffer] = index;
      }
    }
  }
  for (std::size_t buffer = 0; buffer < extents_.size(); ++buffer) {
    if (is_lasting_[buffer]) first[buffer] = 0;
    if (is_lasting_[buffer] || contains(read_at_the_end, buffer)) last[buffer] = n;
  }
  std::vector<std::size_t> order(extents_.size());
  for (std::size_t buffer = 0; buffer < order.size(); ++buffer) order[buffer] = buffer;
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return first[a] < first[b]; });
  std::vector<std::size_t> free_after;  // by slot: the last operation that uses it
  program.slot_of_buffer.assign(extents_.size(), 0);
  for (const std::size_t buffer : order) {
    const Extent& extent = extents_[buffer];
    std::size_t slot = 0;
    // Buffers with and without time do not share: neither is the larger one for every number of steps.
    while (slot < program.slots.size() && (free_after[slot] >= first[buffer] || (program.slots[slot].per_step > 0) != (extent.per_step > 0))) ++slot;
    if (slot == program.slots.size()) {
      program.slots.emplace_back();
      free_after.push_back(0);
    }
    program.slots[slot].per_step = std::max(program.slots[slot].per_step, extent.per_step);
    program.slots[slot].constant = std::max(program.slots[slot].constant, extent.constant);
    free_after[slot] = last[buffer];
    program.slot_of_buffer[buffer] = slot;
  }
}

void Layout::finish(Program& program) const {
  std::vector<std::size_t> read_at_the_end{program.normalised.buffer, program.reconstruction.buffer};
  mark_needed(program, program.reconstruction.buffer, 1);
  mark_needed(program, program.normalised.buffer, 1);
  for (std::size_t head = 0; head < program.heads.size(); ++head) {
    read_at_the_end.push_back(program.heads[head].value.buffer);
    mark_needed(program, program.heads[head].value.buffer, std::uint32_t{2} << head);
  }
  assign_slots(program, read_at_the_end);
}

}  // namespace offbeat
