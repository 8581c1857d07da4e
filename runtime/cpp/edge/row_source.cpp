#include "row_source.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace offbeat::edge {

static_assert(std::endian::native == std::endian::little, "raw rows are read as they lie in memory");

const float* GapFiller::fill(std::size_t feature) const noexcept {
  return policy_ == Missing::forward_fill && has_last_ ? &last_[feature] : nullptr;
}

void GapFiller::remember(std::span<const float> row) noexcept {
  std::copy(row.begin(), row.end(), last_.begin());
  has_last_ = true;
}

RowRead RawRows::next(std::span<float> row) {
  const std::string where = "row " + std::to_string(n_rows_);
  switch (reader_->exactly(std::as_writable_bytes(row))) {
    case ByteReader::Got::end: return RowRead::end;
    case ByteReader::Got::data: break;
    case ByteReader::Got::failed: return wrong(RowRead::unreadable, where + ": " + reader_->problem());
    default: return wrong(RowRead::unfit, where + ": the input ends within it; expected " + std::to_string(row.size_bytes()) + " bytes");
  }
  ++n_rows_;
  for (std::size_t i = 0; i < row.size(); ++i) {
    if (std::isfinite(row[i])) continue;
    const float* filled = std::isnan(row[i]) ? gaps_.fill(i) : nullptr;
    if (filled == nullptr) {
      return wrong(RowRead::bad, where + ", feature " + std::to_string(i + 1) + " (" + names_[i] + "): " + (std::isnan(row[i]) ? "NaN" : "infinity") +
                 "; expected a finite number");
    }
    row[i] = *filled;
  }
  gaps_.remember(row);
  return RowRead::row;
}

}  // namespace offbeat::edge
