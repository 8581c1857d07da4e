#include "json.h"

#include <algorithm>
#include <charconv>

#include "utf8.h"

namespace offbeat::json {

const Value* Value::find(std::string_view key) const noexcept {
  const Object* members = as<Object>();
  if (members == nullptr) return nullptr;
  const auto found = std::lower_bound(members->begin(), members->end(), key,
                                      [](const Member& member, std::string_view wanted) { return member.key < wanted; });
  return found != members->end() && found->key == key ? &found->value : nullptr;
}

std::string_view Value::describe() const noexcept {
  constexpr std::string_view words[] = {"null", "true or false", "a number", "a string", "an array", "an object"};
  return words[content_.index()];
}

namespace {

bool is_digit(char character) { return character >= '0' && character <= '9'; }

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Value> parse() {
    Value value;
    if (text_.size() > max_bytes) {
      fail(std::to_string(text_.size()) + " bytes of JSON; expected at most " + std::to_string(max_bytes));
    } else if (parse_value(value, 0)) {
      skip_space();
      if (at_ < text_.size()) fail("something follows the value");
    }
    if (!error_.empty()) return Error{error_};
    return value;
  }

 private:
  bool fail(std::string_view what) {
    if (error_.empty()) error_ = "at byte " + std::to_string(at_) + ": " + std::string(what);
    return false;
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r')) ++at_;
  }

  bool take(char expected) {
    if (at_ == text_.size() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  bool take_digits() {
    const std::size_t start = at_;
    while (at_ < text_.size() && is_digit(text_[at_])) ++at_;
    return at_ > start;
  }

  bool parse_value(Value& value, std::size_t depth) {
    skip_space();
    if (depth > max_depth) return fail("nested more than " + std::to_string(max_depth) + " deep");
    if (at_ == text_.size()) return fail("the text ends where a value is expected");
    switch (text_[at_]) {
      case '{':
        return parse_object(value, depth);
      case '[':
        return parse_array(value, depth);
      case '"': {
        std::string string;
        if (!parse_string(string)) return false;
        value = Value(std::move(string));
        return true;
      }
      case 't':
        return parse_word("true", Value(true), value);
      case 'f':
        return parse_word("false", Value(false), value);
      case 'n':
        return parse_word("null", Value(nullptr), value);
      default:
        return parse_number(value);
    }
  }

  bool parse_word(std::string_view word, Value meaning, Value& value) {
    if (text_.substr(at_, word.size()) != word) return fail("expected a value");
    at_ += word.size();
    value = std::move(meaning);
    return true;
  }

  bool parse_object(Value& value, std::size_t depth) {
    Object members;
    ++at_;
    skip_space();
    if (!take('}')) {
      do {
        skip_space();
        Member& member = members.emplace_back();
        if (at_ == text_.size() || text_[at_] != '"') return fail("expected a key in quotes");
        if (!parse_string(member.key)) return false;
        skip_space();
        if (!take(':')) return fail("expected ':' behind a key");
        if (!parse_value(member.value, depth + 1)) return false;
        skip_space();
      } while (take(','));
      if (!take('}')) return fail("expected ',' or '}'");
    }
    std::sort(members.begin(), members.end(), [](const Member& one, const Member& other) { return one.key < other.key; });
    const auto twice = std::adjacent_find(members.begin(), members.end(),
                                          [](const Member& one, const Member& other) { return one.key == other.key; });
    if (twice != members.end()) return fail("the object that ends here has the key '" + twice->key + "' twice");
    value = Value(std::move(members));
    return true;
  }

  bool parse_array(Value& value, std::size_t depth) {
    Array elements;
    ++at_;
    skip_space();
    if (!take(']')) {
      do {
        if (!parse_value(elements.emplace_back(), depth + 1)) return false;
        skip_space();
      } while (take(','));
      if (!take(']')) return fail("expected ',' or ']'");
    }
    value = Value(std::move(elements));
    return true;
  }

  bool parse_number(Value& value) {
    const std::size_t start = at_;
    const bool is_negative = take('-');
    // A zero stands alone: 01 is no number.
    if (!take('0') && !take_digits()) return fail("expected a value");
    bool is_integer = !is_negative;
    if (take('.')) {
      is_integer = false;
      if (!take_digits()) return fail("expected a digit behind the point");
    }
    if (take('e') || take('E')) {
      is_integer = false;
      if (!take('+')) take('-');
      if (!take_digits()) return fail("expected a digit in the exponent");
    }
    const char* const first = text_.data() + start;
    const char* const last = text_.data() + at_;
    Number number{};
    if (std::from_chars(first, last, number.value).ec != std::errc{}) return fail("a number that no double can hold");
    std::uint64_t integer = 0;
    if (is_integer && std::from_chars(first, last, integer).ec == std::errc{}) number.integer = integer;
    value = Value(number);
    return true;
  }

  bool parse_string(std::string& string) {
    ++at_;
    while (at_ < text_.size()) {
      const char character = text_[at_];
      if (character == '"') {
        ++at_;
        return true;
      }
      if (character == '\\') {
        ++at_;
        if (!parse_escape(string)) return false;
        continue;
      }
      if (static_cast<unsigned char>(character) < 0x20) return fail("a control character in a string");
      const std::size_t n_bytes = utf8_length(text_.substr(at_));
      if (n_bytes == 0) return fail("bytes that are no UTF-8");
      string.append(text_.substr(at_, n_bytes));
      at_ += n_bytes;
    }
    return fail("the text ends inside a string");
  }

  bool parse_escape(std::string& string) {
    constexpr std::string_view letters = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    if (at_ == text_.size()) return fail("the text ends inside a string");
    const char letter = text_[at_++];
    if (letter == 'u') return parse_code_point(string);
    const std::size_t index = letters.find(letter);
    if (index == std::string_view::npos) return fail("an escape that JSON does not have");
    string.push_back(meanings[index]);
    return true;
  }

  bool parse_code_point(std::string& string) {
    std::uint32_t code = 0;
    if (!parse_hex(code)) return false;
    if (code >= 0xDC00 && code <= 0xDFFF) return fail("half of a surrogate pair");
    if (code >= 0xD800 && code <= 0xDBFF) {
      std::uint32_t low = 0;
      if (!take('\\') || !take('u')) return fail("half of a surrogate pair");
      if (!parse_hex(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return fail("half of a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(string, code);
    return true;
  }

  bool parse_hex(std::uint32_t& code) {
    const std::string_view digits = text_.substr(at_, 4);
    const char* const end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, code, 16);
    if (digits.size() != 4 || error != std::errc{} || stop != end) return fail("expected four hexadecimal digits");
    at_ += 4;
    return true;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string error_;
};

}  // namespace

Result<Value> parse(std::string_view text) { return Parser(text).parse(); }

}  // namespace offbeat::json
