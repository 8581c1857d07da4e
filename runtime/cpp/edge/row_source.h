#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "streams.h"

namespace offbeat::edge {

/// What was read: a row; nothing more; a row that cannot be scored; a stream whose rows are not of this model; or a failure of the system.
enum class RowRead { row, end, bad, unfit, unreadable };

/// What becomes of a missing value: an empty cell, `nan`, `na`, `n/a` or `null`. The words are those of `offbeat score`.
enum class Missing { reject, forward_fill };

/// Rows of a stream, in raw units, in the order of the model's features.
class RowSource {
 public:
  virtual ~RowSource() = default;

  /// Reads the next row into `row` [feature]. Every value of a `row` is finite.
  virtual RowRead next(std::span<float> row) = 0;

  /// Where and what was wrong last: `line 12, column 3 (pressure): 'x' is not a number`.
  [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

 protected:
  RowRead wrong(RowRead how, std::string what) {
    problem_ = std::move(what);
    return how;
  }

 private:
  std::string problem_;
};

/// Takes the place of missing values: the last value of the same feature, where the policy says so.
class GapFiller {
 public:
  GapFiller(Missing policy, std::size_t n_features) : policy_(policy), last_(n_features) {}

  /// The value to use for the missing one of this feature, or nothing.
  [[nodiscard]] const float* fill(std::size_t feature) const noexcept;
  /// Remembers a row that was read in full.
  void remember(std::span<const float> row) noexcept;

 private:
  Missing policy_;
  std::vector<float> last_;
  bool has_last_ = false;
};

/// Rows of little-endian float32, one after the other with nothing between them.
class RawRows final : public RowSource {
 public:
  RawRows(ByteReader& reader, std::vector<std::string> feature_names, Missing missing)
      : reader_(&reader), names_(std::move(feature_names)), gaps_(missing, names_.size()) {}

  RowRead next(std::span<float> row) override;

 private:
  ByteReader* reader_;
  std::vector<std::string> names_;
  GapFiller gaps_;
  std::size_t n_rows_ = 0;
};

}  // namespace offbeat::edge
