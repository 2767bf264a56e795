#include "core/base/json.h"

#include <fmt/format.h>

#include <set>

#include "core/base/error.h"
#include "core/base/strings.h"

template class nlohmann::basic_json<>;
template class nlohmann::detail::serializer<nlohmann::json>;

namespace actool {
namespace {

std::string position(std::string_view text, std::size_t offset) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return fmt::format("{}:{}", line, column);
}

// Builds the value by nlohmann's own SAX-to-DOM parser and stops at duplicate keys and depth.
class LimitedParser final : public Json::json_sax_t {
 public:
  LimitedParser(std::string_view text, std::string_view what, int maxDepth)
      : text_(text), what_(what), maxDepth_(maxDepth), dom_(root_, false) {}

  bool null() override { return dom_.null(); }
  bool boolean(bool value) override { return dom_.boolean(value); }
  bool number_integer(number_integer_t value) override { return dom_.number_integer(value); }
  bool number_unsigned(number_unsigned_t value) override { return dom_.number_unsigned(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    return dom_.number_float(value, text);
  }
  bool string(string_t& value) override { return dom_.string(value); }
  bool binary(binary_t& value) override { return dom_.binary(value); }
  bool start_object(std::size_t size) override {
    keys_.emplace_back();
    enter();
    return dom_.start_object(size);
  }
  bool key(string_t& value) override {
    if (!keys_.back().insert(value).second) {
      throw Error(
          fmt::format("{}: the key \"{}\" appears twice in one object", what_, printable(value)));
    }
    return dom_.key(value);
  }
  bool end_object() override {
    keys_.pop_back();
    --depth_;
    return dom_.end_object();
  }
  bool start_array(std::size_t size) override {
    enter();
    return dom_.start_array(size);
  }
  bool end_array() override {
    --depth_;
    return dom_.end_array();
  }
  bool parse_error(std::size_t offset, const std::string& token,
                   const Json::exception& error) override {
    throw Error(fmt::format("{}:{}: not valid JSON at \"{}\"{}", what_,
                            position(text_, offset == 0 ? 0 : offset - 1), printable(token, 40),
                            error.id == 101 ? "" : " (a number out of range)"));
  }

  Json take() { return std::move(root_); }

 private:
  void enter() {
    if (++depth_ > maxDepth_) {
      throw Error(fmt::format("{}: JSON nested deeper than {} levels", what_, maxDepth_));
    }
  }

  std::string_view text_;
  std::string_view what_;
  int maxDepth_;
  int depth_ = 0;
  std::vector<std::set<std::string>> keys_;
  Json root_;
  nlohmann::detail::json_sax_dom_parser<Json> dom_;
};

}  // namespace

Json parseJson(std::string_view text, std::string_view what, const JsonLimits& limits) {
  if (text.size() > limits.bytes) {
    throw Error(fmt::format("{}: {} of JSON, more than the limit of {}", what,
                            formatByteSize(text.size()), formatByteSize(limits.bytes)));
  }
  LimitedParser parser(text, what, limits.depth);
  Json::sax_parse(text, &parser);
  return parser.take();
}

const Json& member(const Json& object, std::string_view key) {
  if (!object.is_object())
    throw Error(fmt::format("expected an object, found {}", object.type_name()));
  const auto found = object.find(key);
  if (found == object.end()) throw Error(fmt::format("the member \"{}\" is missing", key));
  return *found;
}

std::string stringMember(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  if (!value.is_string()) {
    throw Error(fmt::format("\"{}\" is {}, it should be a string", key, value.type_name()));
  }
  return value.get<std::string>();
}

std::string stringMemberOr(const Json& object, std::string_view key, std::string fallback) {
  if (object.is_object() && !object.contains(key)) return fallback;
  return stringMember(object, key);
}

bool boolMemberOr(const Json& object, std::string_view key, bool fallback) {
  if (object.is_object() && !object.contains(key)) return fallback;
  const Json& value = member(object, key);
  if (!value.is_boolean()) {
    throw Error(fmt::format("\"{}\" is {}, it should be true or false", key, value.type_name()));
  }
  return value.get<bool>();
}

const Json& listMember(const Json& object, std::string_view key) {
  const Json& value = member(object, key);
  if (!value.is_array()) throw Error(fmt::format("\"{}\" is not a list", key));
  return value;
}

std::string dumpLine(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string dumpPretty(const Json& value) {
  return value.dump(4, ' ', false, Json::error_handler_t::replace);
}

}  // namespace actool
