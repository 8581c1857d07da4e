// Helps libFuzzer past the first eight bytes: most of its changes would only make the header's length wrong.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace {

constexpr std::size_t n_length_bytes = 8;

std::size_t header_length(const std::uint8_t* data, std::size_t size) {
  std::uint64_t length = 0;
  if (size < n_length_bytes) return 0;
  std::memcpy(&length, data, n_length_bytes);
  return length <= size - n_length_bytes ? static_cast<std::size_t>(length) : 0;
}

}  // namespace

// One time of four anything is changed; else the header alone, whose length is then put right.
extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned int seed) {
  const std::size_t length = header_length(data, size);
  if (length == 0 || seed % 4 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const std::size_t n_rest = size - n_length_bytes - length;
  const std::size_t max_length = max_size - n_length_bytes - std::min(n_rest, max_size - n_length_bytes);
  if (max_length < length) return LLVMFuzzerMutate(data, size, max_size);
  std::vector<std::uint8_t> header(data + n_length_bytes, data + n_length_bytes + length);
  header.resize(max_length);
  const std::uint64_t new_length = LLVMFuzzerMutate(header.data(), length, max_length);
  std::memmove(data + n_length_bytes + new_length, data + n_length_bytes + length, n_rest);
  std::memcpy(data, &new_length, n_length_bytes);
  std::memcpy(data + n_length_bytes, header.data(), new_length);
  return n_length_bytes + new_length + n_rest;
}
