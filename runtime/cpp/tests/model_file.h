#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Small safetensors files made by hand, and spoilt by hand.
namespace offbeat_test {

struct FileTensor {
  std::string name;
  std::string dtype;
  std::vector<std::size_t> shape;
  std::vector<std::uint8_t> data;
};

inline std::vector<std::uint8_t> float_bytes(const std::vector<float>& values) {
  std::vector<std::uint8_t> bytes(values.size() * sizeof(float));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline FileTensor floats(std::string name, std::vector<std::size_t> shape, const std::vector<float>& values) {
  return {std::move(name), "F32", std::move(shape), float_bytes(values)};
}

/// All the same number.
inline FileTensor filled(std::string name, std::vector<std::size_t> shape, float value) {
  std::size_t n = 1;
  for (const std::size_t size : shape) n *= size;
  return floats(std::move(name), std::move(shape), std::vector<float>(n, value));
}

inline std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

inline std::string escaped(std::string_view text) {
  std::string quoted;
  for (const char character : text) quoted += character == '"' ? std::string("\\\"") : std::string(1, character);
  return quoted;
}

inline std::string header_of(std::string_view plan, const std::vector<FileTensor>& tensors) {
  std::string header = "{\"__metadata__\":{\"plan\":\"" + escaped(plan) + "\"}";
  std::size_t at = 0;
  for (const FileTensor& tensor : tensors) {
    std::string shape;
    for (const std::size_t size : tensor.shape) shape.append(shape.empty() ? "" : ",").append(std::to_string(size));
    header.append(",\"").append(tensor.name).append("\":{\"dtype\":\"").append(tensor.dtype);
    header.append("\",\"shape\":[").append(shape).append("],\"data_offsets\":[").append(std::to_string(at));
    at += tensor.data.size();
    header.append(",").append(std::to_string(at)).append("]}");
  }
  return header + "}";
}

/// Header, padded to a multiple of 8 bytes, and data.
inline std::vector<std::uint8_t> with_header(std::string header, const std::vector<FileTensor>& tensors) {
  while (header.size() % 8 != 0) header += ' ';
  std::vector<std::uint8_t> file;
  for (std::size_t index = 0; index < 8; ++index) file.push_back(static_cast<std::uint8_t>(header.size() >> (8 * index)));
  file.insert(file.end(), header.begin(), header.end());
  for (const FileTensor& tensor : tensors) file.insert(file.end(), tensor.data.begin(), tensor.data.end());
  return file;
}

inline std::vector<std::uint8_t> file_of(std::string_view plan, const std::vector<FileTensor>& tensors) {
  return with_header(header_of(plan, tensors), tensors);
}

inline std::span<const std::byte> bytes_of(const std::vector<std::uint8_t>& file) { return std::as_bytes(std::span(file)); }

}  // namespace offbeat_test
