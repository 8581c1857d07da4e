// Calls the fuzz target where there is no libFuzzer: on each file of a folder, and on so many changed copies, the same in every run.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;
using Random = std::mt19937_64;

constexpr std::size_t n_length_bytes = 8;
constexpr std::string_view words[] = {"0", "-1", "1e400", "18446744073709551615", "4294967296", "null", "[]", "{}", "\\\"", "\"", "\\u0000", "F16", "I8"};

std::vector<Bytes> read_folder(const char* folder) {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  std::vector<Bytes> contents;
  for (const auto& path : paths) {
    std::ifstream file(path, std::ios::binary);
    contents.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return contents;
}

std::size_t below(Random& random, std::size_t end) { return end == 0 ? 0 : random() % end; }

// One change at a random place of [begin, end): a bit, a byte, a cut, a repetition, or a word in the place of what stood there.
void change(Bytes& bytes, std::size_t begin, std::size_t end, Random& random) {
  const auto at = [&](std::size_t place) { return bytes.begin() + static_cast<std::ptrdiff_t>(place); };
  const std::size_t place = begin + below(random, end - begin), rest = end - place, n = std::min<std::size_t>(1 + below(random, 16), rest);
  switch (random() % 5) {
    case 0: bytes[place] ^= static_cast<std::uint8_t>(1U << below(random, 8)); break;
    case 1: bytes[place] = static_cast<std::uint8_t>(random()); break;
    case 2: bytes.erase(at(place), at(place + n)); break;
    case 3: {
      const Bytes part(at(place), at(place + n));
      bytes.insert(at(place), part.begin(), part.end());
      break;
    }
    default: {
      const std::string_view word = words[below(random, std::size(words))];
      bytes.erase(at(place), at(place + n));
      bytes.insert(at(place), word.begin(), word.end());
    }
  }
}

// Three times of four the change is in the header, whose length is then put right.
Bytes changed(Bytes bytes, Random& random) {
  std::uint64_t length = 0;
  if (bytes.size() > n_length_bytes) std::memcpy(&length, bytes.data(), n_length_bytes);
  const bool is_in_header = length > 0 && length <= bytes.size() - n_length_bytes && random() % 4 != 0;
  for (std::size_t n = 1 + below(random, 3); n > 0 && bytes.size() > n_length_bytes; --n) {
    const std::size_t size = bytes.size();
    if (!is_in_header) {
      change(bytes, 0, size, random);
    } else if (length > 0) {
      change(bytes, n_length_bytes, n_length_bytes + length, random);
      length = length + bytes.size() - size;
      std::memcpy(bytes.data(), &length, n_length_bytes);
    }
  }
  return bytes;
}

}  // namespace

int main(int n_words, char** words_given) {
  if (n_words != 3) {
    std::fprintf(stderr, "usage: %s FOLDER N_CHANGED_COPIES\n", words_given[0]);
    return 2;
  }
  const std::vector<Bytes> corpus = read_folder(words_given[1]);
  if (corpus.empty()) {
    std::fprintf(stderr, "%s: no files\n", words_given[1]);
    return 2;
  }
  for (const Bytes& bytes : corpus) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  Random random(0);
  const unsigned long n_copies = std::strtoul(words_given[2], nullptr, 10);
  for (unsigned long i = 0; i < n_copies; ++i) {
    const Bytes bytes = changed(corpus[i % corpus.size()], random);
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu files, %lu changed copies\n", corpus.size(), n_copies);
  return 0;
}
