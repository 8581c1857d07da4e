#include "safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <utility>

#include "json.h"

namespace offbeat {
namespace {

constexpr std::size_t n_length_bytes = 8;
constexpr std::size_t max_rank = 8;
constexpr std::string_view metadata_key = "__metadata__";

struct DTypeName {
  std::string_view name;
  DType dtype;
};
constexpr DTypeName dtype_names[] = {{"F32", DType::f32}, {"F16", DType::f16}, {"BF16", DType::bf16}, {"I8", DType::i8}};

struct Range {
  std::size_t begin;
  std::size_t end;
};

Error header_error(std::string_view what) { return Error{"header: " + std::string(what)}; }

Error tensor_error(std::string_view name, std::string_view what) {
  return Error{"header: tensor '" + std::string(name) + "': " + std::string(what)};
}

std::uint64_t read_header_length(std::span<const std::byte> content) {
  std::uint64_t length = 0;
  for (std::size_t index = 0; index < n_length_bytes; ++index) {
    length |= std::to_integer<std::uint64_t>(content[index]) << (8 * index);
  }
  return length;
}

std::optional<std::size_t> as_size(const json::Value& value) {
  const json::Number* number = value.as<json::Number>();
  if (number == nullptr || !number->integer || *number->integer > std::numeric_limits<std::size_t>::max()) return std::nullopt;
  return static_cast<std::size_t>(*number->integer);
}

// Sizes as they stand in a list; nothing where one is not a whole number.
std::optional<std::vector<std::size_t>> as_sizes(const json::Value* value) {
  const json::Array* elements = value == nullptr ? nullptr : value->as<json::Array>();
  if (elements == nullptr) return std::nullopt;
  std::vector<std::size_t> sizes;
  for (const json::Value& element : *elements) {
    const std::optional<std::size_t> size = as_size(element);
    if (!size) return std::nullopt;
    sizes.push_back(*size);
  }
  return sizes;
}

std::optional<DType> as_dtype(const json::Value* value) {
  const std::string* text = value == nullptr ? nullptr : value->as<std::string>();
  if (text == nullptr) return std::nullopt;
  for (const auto& [name, dtype] : dtype_names) {
    if (*text == name) return dtype;
  }
  return std::nullopt;
}

// Bytes of a tensor; nothing where that is more than a file can have.
std::optional<std::size_t> count_bytes(DType dtype, std::span<const std::size_t> shape) {
  std::size_t n_bytes = dtype_bytes(dtype);
  for (const std::size_t size : shape) {
    if (size != 0 && n_bytes > SafetensorsFile::max_bytes / size) return std::nullopt;
    n_bytes *= size;
  }
  return n_bytes;
}

Result<std::pair<Tensor, Range>> read_tensor(const std::string& name, const json::Value& entry, std::span<const std::byte> data) {
  const json::Object* members = entry.as<json::Object>();
  if (members == nullptr || members->size() != 3) return tensor_error(name, "expected an object of dtype, shape and data_offsets");
  const std::optional<DType> dtype = as_dtype(entry.find("dtype"));
  if (!dtype) return tensor_error(name, "expected a dtype of F32, F16, BF16 or I8");
  std::optional<std::vector<std::size_t>> shape = as_sizes(entry.find("shape"));
  if (!shape || shape->size() > max_rank) return tensor_error(name, "expected a shape of at most 8 sizes");
  const std::optional<std::size_t> n_bytes = count_bytes(*dtype, *shape);
  const std::optional<std::vector<std::size_t>> offsets = as_sizes(entry.find("data_offsets"));
  if (!offsets || offsets->size() != 2) return tensor_error(name, "expected data_offsets of a begin and an end");
  const Range range{(*offsets)[0], (*offsets)[1]};
  if (range.begin > range.end || range.end > data.size()) {
    return tensor_error(name, "data_offsets " + describe_shape(*offsets) + "; the file has " + std::to_string(data.size()) + " bytes of data");
  }
  if (n_bytes != range.end - range.begin) {
    return tensor_error(name, "data_offsets " + describe_shape(*offsets) + " do not fit " + std::string(dtype_name(*dtype)) + " of shape " +
                                  describe_shape(*shape));
  }
  const std::byte* const begin = data.data() + range.begin;
  if (reinterpret_cast<std::uintptr_t>(begin) % dtype_bytes(*dtype) != 0) {
    return tensor_error(name, "its data do not begin at a multiple of its element's size");
  }
  return std::pair{Tensor{name, *dtype, std::move(*shape), data.subspan(range.begin, *n_bytes)}, range};
}

// Empty where the ranges cover the data without gap or overlap; otherwise what is wrong.
std::string check_cover(std::vector<Range> ranges, std::size_t n_bytes) {
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& one, const Range& other) { return std::pair(one.begin, one.end) < std::pair(other.begin, other.end); });
  std::size_t at = 0;
  for (const Range& range : ranges) {
    if (range.begin != at) {
      return "a tensor begins at byte " + std::to_string(range.begin) + " of the data; expected " + std::to_string(at) +
             ", where the one before it ends";
    }
    at = range.end;
  }
  if (at == n_bytes) return {};
  return "the tensors end at byte " + std::to_string(at) + " of the data; the file has " + std::to_string(n_bytes);
}

Result<std::string> read_plan_text(const json::Value& header) {
  const json::Value* metadata = header.find(metadata_key);
  const json::Object* members = metadata == nullptr ? nullptr : metadata->as<json::Object>();
  const json::Value* plan = metadata == nullptr ? nullptr : metadata->find("plan");
  const std::string* text = plan == nullptr ? nullptr : plan->as<std::string>();
  if (text == nullptr || members->size() != 1) return header_error("expected __metadata__ with one key, plan, whose value is a text");
  return *text;
}

}  // namespace

std::string describe_shape(std::span<const std::size_t> shape) {
  std::string text = "[";
  for (const std::size_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}

std::string_view dtype_name(DType dtype) noexcept {
  for (const DTypeName& each : dtype_names) {
    if (each.dtype == dtype) return each.name;
  }
  return {};
}

std::size_t dtype_bytes(DType dtype) noexcept { return dtype == DType::f32 ? 4 : dtype == DType::i8 ? 1 : 2; }

Result<SafetensorsFile> SafetensorsFile::parse(std::span<const std::byte> content) {
  if (content.size() < n_length_bytes) return Error{"the file has " + std::to_string(content.size()) + " bytes; expected at least 8"};
  const std::uint64_t n_header = read_header_length(content);
  const std::size_t n_rest = content.size() - n_length_bytes;
  if (n_header > n_rest || n_header > json::max_bytes) {
    return Error{"the header has " + std::to_string(n_header) + " bytes; expected at most " + std::to_string(std::min(n_rest, json::max_bytes))};
  }
  const std::span<const std::byte> text = content.subspan(n_length_bytes, static_cast<std::size_t>(n_header));
  const std::span<const std::byte> data = content.subspan(n_length_bytes + text.size());
  Result<json::Value> header = json::parse({reinterpret_cast<const char*>(text.data()), text.size()});
  if (!header) return header_error(header.error().message);
  const json::Object* entries = header.value().as<json::Object>();
  if (entries == nullptr) return header_error("expected an object, seen " + std::string(header.value().describe()));

  SafetensorsFile file;
  std::vector<Range> ranges;
  // Members come sorted by key, so the tensors do as well.
  for (const json::Member& entry : *entries) {
    if (entry.key == metadata_key) continue;
    Result<std::pair<Tensor, Range>> tensor = read_tensor(entry.key, entry.value, data);
    if (!tensor) return tensor.error();
    ranges.push_back(tensor.value().second);
    file.tensors_.push_back(std::move(tensor.value().first));
  }
  if (const std::string wrong = check_cover(std::move(ranges), data.size()); !wrong.empty()) return header_error(wrong);
  Result<std::string> plan = read_plan_text(header.value());
  if (!plan) return plan.error();
  file.plan_ = std::move(plan).value();
  return file;
}

const Tensor* SafetensorsFile::find(std::string_view name) const noexcept {
  const auto found = std::lower_bound(tensors_.begin(), tensors_.end(), name,
                                      [](const Tensor& tensor, std::string_view wanted) { return tensor.name < wanted; });
  return found != tensors_.end() && found->name == name ? &*found : nullptr;
}

}  // namespace offbeat
