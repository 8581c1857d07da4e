// The JSON reader: what it takes, what it refuses, and that nothing cut or changed makes it do otherwise.
#include "json.h"

#include <string>
#include <string_view>

#include "expect.h"

using offbeat::json::parse;
using offbeat::json::Value;
using offbeat_test::expect;

namespace {

std::string text_of(std::string_view json) {
  const auto value = parse(json);
  const std::string* text = value ? value.value().as<std::string>() : nullptr;
  return text == nullptr ? "no string" : *text;
}

void takes_every_kind_of_value() {
  const auto root = parse(R"( {"a": [1, -2.5e3, true, false, null, "x"], "b": {}, "c": []} )");
  expect(root.ok(), "an object with every kind of value is taken");
  const auto* list = root.value().find("a")->as<offbeat::json::Array>();
  expect(list != nullptr && list->size() == 6, "the array has its six elements");
  const auto* number = (*list)[1].as<offbeat::json::Number>();
  expect(number != nullptr && number->value == -2500.0 && !number->integer, "a number with an exponent is no integer");
  expect((*list)[0].as<offbeat::json::Number>()->integer == std::uint64_t{1}, "digits alone are an integer");
  expect(root.value().find("d") == nullptr && root.value().find("b")->find("a") == nullptr, "what is not there is not found");
  expect(parse("18446744073709551615").value().as<offbeat::json::Number>()->integer == ~std::uint64_t{0}, "64 bits are kept exactly");
  expect(!parse("18446744073709551616").value().as<offbeat::json::Number>()->integer, "65 bits are no integer");
}

void reads_strings() {
  expect(text_of(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t", "every short escape is read");
  expect(text_of(R"("\u0041\u00e9\u20ac\ud83d\ude00")") == "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "\\u becomes UTF-8, pairs too");
  expect(text_of("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"") == "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", "UTF-8 is kept as it is");
  expect(text_of(R"("\u0000x")").size() == 2, "a zero byte may be in a string");
}

void refuses_what_is_not_json() {
  const std::string_view refused[] = {
      "",          " ",         "nul",       "tru",        "True",       "{",           "}",           "[",
      "[1,]",      "[,1]",      "[1 2]",     "{\"a\"}",    "{\"a\":}",   "{\"a\":1,}",  "{a:1}",       "{1:1}",
      "01",        "-",         "-01",       "+1",         ".5",         "1.",          "1e",          "1e+",
      "0x10",      "NaN",       "Infinity",  "1e999",      "-1e999",     "\"",          "\"a",         "\"\\\"",
      "\"\\x\"",   "\"\\u12\"", "\"\\u12g4\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\n\"",
      "\"\x80\"",  "\"\xC0\x80\"", "\"\xE0\x80\x80\"", "\"\xED\xA0\x80\"", "\"\xF4\x90\x80\x80\"", "\"\xF5\x80\x80\x80\"", "\"\xE2\x82\"", "'a'",
      "1 2",       "{} x",      "/**/1",     "[1]]",       "\xEF\xBB\xBF{}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "\"\\u-001\"",
  };
  for (const std::string_view text : refused) expect(!parse(text).ok(), "refused: " + std::string(text));
  expect(parse("{\"a\": 1, \"a\": 2}").error().message == "at byte 16: the object that ends here has the key 'a' twice", "the message says where");
}

void bounds_depth_and_size() {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + "1" + std::string(depth, ']'); };
  expect(parse(nested(offbeat::json::max_depth)).ok(), "the greatest depth is taken");
  expect(!parse(nested(offbeat::json::max_depth + 1)).ok(), "one more is refused");
  expect(!parse(std::string(1'000'000, '[')).ok(), "a million brackets are refused, not followed");
  expect(!parse(std::string(offbeat::json::max_bytes, ' ') + "1").ok(), "a text that is too long is refused");
}

// Whatever is cut off, the reader must come back; only whole texts are taken.
void refuses_every_beginning() {
  const std::string text = R"({"k\u00e9y": [1.5e-3, "a\ud83d\ude00", {"n": null}], "z": true})";
  expect(parse(text).ok(), "the whole text is taken");
  for (std::size_t size = 0; size < text.size(); ++size) expect(!parse(std::string_view(text).substr(0, size)).ok(), "a beginning is refused");
}

}  // namespace

int main() {
  takes_every_kind_of_value();
  reads_strings();
  refuses_what_is_not_json();
  bounds_depth_and_size();
  refuses_every_beginning();
  return offbeat_test::exit_code();
}
