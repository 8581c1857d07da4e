// The safetensors reader: every byte belongs to one tensor, and a header that says otherwise is refused.
#include "safetensors.h"

#include <string>
#include <string_view>
#include <vector>

#include "expect.h"
#include "model_file.h"

using offbeat::SafetensorsFile;
using offbeat_test::bytes_of;
using offbeat_test::expect;
using offbeat_test::file_of;
using offbeat_test::FileTensor;
using offbeat_test::floats;
using offbeat_test::header_of;
using offbeat_test::replaced;
using offbeat_test::with_header;

namespace {

std::vector<FileTensor> two_tensors() { return {floats("a", {2, 2}, {1, 2, 3, 4}), floats("b", {1}, {5})}; }

bool is_taken(const std::vector<std::uint8_t>& file) { return SafetensorsFile::parse(bytes_of(file)).ok(); }

void reads_a_whole_file() {
  const std::vector<std::uint8_t> content = file_of("{}", two_tensors());
  const auto file = SafetensorsFile::parse(bytes_of(content));
  expect(file.ok(), "a good file is taken");
  const offbeat::Tensor* tensor = file.value().find("a");
  expect(tensor != nullptr && tensor->shape == std::vector<std::size_t>{2, 2} && tensor->data.size() == 16, "its tensor is found");
  expect(file.value().find("c") == nullptr && file.value().plan() == "{}", "the plan is its text");
}

void refuses_headers_that_lie() {
  const std::vector<FileTensor> tensors = two_tensors();
  const std::string header = header_of("{}", tensors);
  const auto refused = [&](std::string_view from, std::string_view to) {
    expect(header.find(from) != std::string::npos, "the test replaces something: " + std::string(from));
    expect(!is_taken(with_header(replaced(header, from, to), tensors)), "refused: " + std::string(from) + " as " + std::string(to));
  };
  refused("[0,16]", "[0,12]");
  refused("[0,16]", "[4,20]");
  refused("[16,20]", "[12,16]");
  refused("[16,20]", "[16,24]");
  refused("[16,20]", "[20,16]");
  refused("[16,20]", "[16,18446744073709551615]");
  refused("[16,20]", "[-4,0]");
  refused("[16,20]", "[16.0,20]");
  refused("[16,20]", "[16]");
  refused("[2,2]", "[2,3]");
  refused("[2,2]", "[4294967296,4294967296]");
  refused("[2,2]", "[1,1,1,1,1,1,1,1,4]");
  refused("[2,2]", "4");
  refused("F32", "F64");
  refused("\"F32\"", "7");
  refused("\"dtype\":\"F32\",", "");
  refused("\"dtype\":\"F32\",", "\"dtype\":\"F32\",\"more\":1,");
  refused("\"b\":", "\"a\":");
  refused("\"plan\":\"{}\"", "");
  refused("\"plan\":\"{}\"", "\"plan\":1");
  refused("\"plan\":\"{}\"", "\"plan\":\"{}\",\"more\":\"\"");
  refused("\"__metadata__\":{\"plan\":\"{}\"},", "");
  refused("{\"__metadata__\"", "[{\"__metadata__\"");
}

void refuses_gaps_and_what_follows() {
  std::vector<std::uint8_t> longer = file_of("{}", two_tensors());
  longer.push_back(0);
  expect(!is_taken(longer), "a byte behind the last tensor is refused");
  std::vector<FileTensor> tensors = two_tensors();
  const std::string header = header_of("{}", tensors);
  tensors.push_back(floats("c", {1}, {6}));
  expect(!is_taken(with_header(replaced(header, "[16,20]", "[20,24]"), tensors)), "a gap between tensors is refused");
}

void refuses_data_that_are_not_aligned() {
  std::vector<FileTensor> tensors{{"a", "I8", {3}, {1, 2, 3}}, floats("b", {1}, {5})};
  expect(!is_taken(file_of("{}", tensors)), "floats that begin at byte 3 are refused");
  std::swap(tensors[0], tensors[1]);
  expect(is_taken(file_of("{}", tensors)), "the same in the other order are taken");
}

void refuses_every_length_of_header_but_its_own() {
  const std::vector<std::uint8_t> good = file_of("{}", two_tensors());
  for (std::size_t size = 0; size < good.size(); ++size) {
    expect(!is_taken({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(size)}), "cut to " + std::to_string(size) + " bytes: refused");
  }
  for (int value = 0; value < 256; ++value) {
    for (std::size_t index = 0; index < 8; ++index) {
      std::vector<std::uint8_t> file = good;
      if (file[index] == value) continue;
      file[index] = static_cast<std::uint8_t>(value);
      expect(!is_taken(file), "another header length is refused");
    }
  }
}

}  // namespace

int main() {
  reads_a_whole_file();
  refuses_headers_that_lie();
  refuses_gaps_and_what_follows();
  refuses_data_that_are_not_aligned();
  refuses_every_length_of_header_but_its_own();
  return offbeat_test::exit_code();
}
