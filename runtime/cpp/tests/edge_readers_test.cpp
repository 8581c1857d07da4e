// What offbeat-edge reads beside models: numbers, csv lines, digests, deflate streams, archives.
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arguments.h"
#include "csv_line.h"
#include "expect.h"
#include "inflate.h"
#include "npz.h"
#include "sha256.h"

namespace {

using namespace offbeat::edge;
using offbeat_test::expect;

std::string digest_of(std::string_view text, std::size_t n_times = 1) {
  Sha256 digest;
  for (std::size_t i = 0; i < n_times; ++i) digest.add(std::as_bytes(std::span(text)));
  return digest.hexadecimal();
}

// The examples of FIPS 180-4's validation, and lengths about the edge of a block.
void digests_are_those_of_the_standard() {
  expect(digest_of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "nothing");
  expect(digest_of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "abc");
  expect(digest_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
             "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
         "56 bytes: the length needs a block of its own");
  expect(digest_of("a", 1'000'000) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", "a million a");
}

std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> result;
  for (const int value : values) result.push_back(static_cast<std::byte>(value));
  return result;
}

std::string inflated(const std::vector<std::byte>& packed, std::size_t n_unpacked) {
  std::vector<std::byte> unpacked(n_unpacked);
  if (!inflate(packed, unpacked)) return "refused";
  return {reinterpret_cast<const char*>(unpacked.data()), unpacked.size()};
}

void deflate_streams_are_unpacked() {
  const std::vector<std::byte> stored = bytes({0x01, 0x03, 0x00, 0xfc, 0xff, 'a', 'b', 'c'});
  expect(inflated(stored, 3) == "abc", "a stored block");
  expect(inflated(stored, 2) == "refused" && inflated(stored, 4) == "refused", "of another size than expected");
  // Fixed codes: a, then a match of length 9 at distance 1.
  const std::vector<std::byte> repeated = bytes({0x4b, 0x84, 0x03, 0x00});
  expect(inflated(repeated, 10) == "aaaaaaaaaa", "a copy that overlaps itself");
  for (std::size_t n = 0; n < repeated.size() - 1; ++n) {
    expect(inflated({repeated.begin(), repeated.begin() + static_cast<std::ptrdiff_t>(n)}, 10) == "refused", "cut off");
  }
  expect(inflated(bytes({0x07}), 1) == "refused", "a kind of block that is none");
  expect(inflated(bytes({0x01, 0x03, 0x00, 0x00, 0x00, 'a', 'b', 'c'}), 3) == "refused", "a stored size that contradicts itself");
  expect(inflated(bytes({0x03, 0x02, 0x00}), 3) == "refused", "a match before anything was written");
}

std::string cells_of(std::string_view line, char delimiter = ',') {
  std::vector<std::string_view> cells;
  std::vector<std::string> storage;
  split_cells(line, delimiter, cells, storage);
  std::string text;
  for (const std::string_view cell : cells) text.append("[").append(cell).append("]");
  return text;
}

void lines_are_cut_into_cells() {
  expect(cells_of("1,2,3") == "[1][2][3]", "three cells");
  expect(cells_of(" 1 ,\t2,") == "[1][2][]", "blanks are removed, an empty cell is one");
  expect(cells_of("") == "[]", "an empty line has an empty cell");
  expect(cells_of("\"a,b\",\"say \"\"x\"\"\"") == "[a,b][say \"x\"]", "quotes protect the delimiter");
  expect(cells_of("\"1\"2,3") == "[1\"2][3]", "what follows a quote is not glued to the number");
  expect(cells_of("\"never closed") == "[never closed]", "a quote that is never closed ends with the line");
  expect(cells_of("1;2", ';') == "[1][2]", "another delimiter");
  expect(recognised_delimiter("a;b,c") == ',' && recognised_delimiter("a\tb") == '\t' && recognised_delimiter("a") == ',', "recognised");
}

void cells_are_read_as_float32() {
  using Kind = CellValue::Kind;
  const auto is_number = [](std::string_view cell, float value) { return read_cell(cell).kind == Kind::number && read_cell(cell).value == value; };
  expect(is_number("1.5", 1.5F) && is_number("+2", 2) && is_number("-3e2", -300) && is_number(".5", 0.5F), "numbers");
  expect(is_number("0.1", 0.1F) && is_number("16777217", 16777216), "rounded to the nearest float32");
  expect(is_number("1e-400", 0) && is_number("1e-60", 0), "too small is zero");
  for (const std::string_view cell : {"", "nan", "NaN", "-nan", "NA", "n/a", "#N/A", "null"}) {
    expect(read_cell(cell).kind == Kind::missing, "missing: " + std::string(cell));
  }
  for (const std::string_view cell : {"inf", "-Infinity", "1e39", "1e400", "-1e400"}) {
    expect(read_cell(cell).kind == Kind::not_finite, "beyond float32: " + std::string(cell));
  }
  for (const std::string_view cell : {"x", "1,5", "1.5x", "0x10", "--1", "+-1", "1 2", "e5", "\"1\""}) {
    expect(read_cell(cell).kind == Kind::no_number, "no number: " + std::string(cell));
  }
}

void archives_that_are_none_are_refused() {
  const std::string whole = "PK\x05\x06" + std::string(18, '\0');
  for (std::size_t n = 0; n < whole.size(); ++n) {
    expect(!read_npz(std::as_bytes(std::span(whole).first(n)), "golden.npz").ok(), "cut off after " + std::to_string(n));
  }
  expect(read_npz(std::as_bytes(std::span(whole)), "golden.npz").ok(), "an archive without members");
  std::string lying = whole;
  lying[10] = 1;
  expect(!read_npz(std::as_bytes(std::span(lying)), "golden.npz").ok(), "a member that is not there");
}

void flags_are_read() {
  constexpr Flag flags[] = {{"stride"}, {"no-header", false}};
  std::array<std::string, 4> words{"model", "--stride=3", "--no-header", "more"};
  std::array<char*, 4> pointers{words[0].data(), words[1].data(), words[2].data(), words[3].data()};
  const offbeat::Result<Arguments> arguments = Arguments::parse(pointers, flags);
  expect(arguments.ok() && arguments.value().positional().size() == 2, "what is no flag stays");
  expect(arguments.value().count("stride", 1).value() == 3 && arguments.value().has("no-header"), "both flags");
  for (const char* word : {"--strid", "--stride", "--no-header=1", "--"}) {
    std::string spoilt = word;
    char* pointer = spoilt.data();
    expect(!Arguments::parse(std::span(&pointer, 1), flags).ok(), std::string("refused: ") + word);
  }
  for (const char* word : {"--stride=0", "--stride=-1", "--stride=1.5", "--stride=x", "--stride=99999999999999999999"}) {
    std::string spoilt = word;
    char* pointer = spoilt.data();
    expect(!Arguments::parse(std::span(&pointer, 1), flags).value().count("stride", 1).ok(), std::string("no count: ") + word);
  }
  expect(!comma_separated("outputs", "a,,b").ok() && !comma_separated("outputs", "").ok(), "empty words");
}

}  // namespace

int main() {
  digests_are_those_of_the_standard();
  deflate_streams_are_unpacked();
  lines_are_cut_into_cells();
  cells_are_read_as_float32();
  archives_that_are_none_are_refused();
  flags_are_read();
  return offbeat_test::exit_code();
}
