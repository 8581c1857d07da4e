#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// The bytes of usual requests, read without protobuf (https://protobuf.dev/programming-guides/encoding).
///
/// Nothing is refused here. Whatever is not plainly what a client writes (an unknown or repeated field, a number that could be
/// shorter, text that is not ASCII, a parameter) is left to protobuf, which alone says what such bytes mean, and whether they may.
namespace offbeat_python {

inline constexpr std::size_t max_wire_outputs = 12;
inline constexpr std::size_t max_wire_axes = 3;

/// A request for scores of one float32 tensor "window": views into its bytes, valid as long as they are. Nothing of it is checked
/// against a model.
struct WireRequest {
  std::string_view model{};
  std::string_view id{};
  /// offbeat.v1 has a number, the Open Inference Protocol a text; the other one is empty.
  std::uint64_t version_number = 0;
  std::string_view version_text{};
  std::array<std::string_view, max_wire_outputs> outputs{};
  std::size_t n_outputs = 0;
  std::array<std::uint64_t, max_wire_axes> shape{};
  std::size_t n_axes = 0;
  std::string_view data{};
  std::uint64_t priority = 0;
};

/// Reads an offbeat.v1.ScoreRequest; false for what is not a usual one.
[[nodiscard]] bool read_score_request(std::string_view bytes, WireRequest& request) noexcept;

/// Reads an inference.ModelInferRequest with raw contents; false for what is not a usual one.
[[nodiscard]] bool read_infer_request(std::string_view bytes, WireRequest& request) noexcept;

}  // namespace offbeat_python
