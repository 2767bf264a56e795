#include "cas/gc_record.h"

#include <algorithm>

#include "cas/stored_image.h"
#include "core/base/error.h"
#include "core/base/json.h"
#include "core/schema/app_ref.h"

namespace actool::cas {

namespace {

// Members by where they stand: of the record itself, of "distributed", and of the objects in the
// lists "labels", "requested" and "sources".
class RecordReader final : public Json::json_sax_t {
 public:
  GcRecord take() {
    if (record_.name.empty() || record_.imported.empty() || !sized_) {
      throw Error("it is no record of an image");
    }
    if (wrapped_ && kept_) record_.bytes += distributedSize_;
    return std::move(record_);
  }

  bool null() override { return true; }
  bool boolean(bool value) override {
    if (isOf("distributed", 2, "kept")) kept_ = value;
    return true;
  }
  bool number_integer(number_integer_t /*value*/) override { return true; }
  bool number_unsigned(number_unsigned_t value) override {
    if (level_ == 1 && key_ == "tarSize") {
      record_.bytes += value;
      sized_ = true;
    }
    if (isOf("distributed", 2, "size")) distributedSize_ = value;
    return true;
  }
  bool number_float(number_float_t /*value*/, const string_t& /*text*/) override { return true; }
  bool string(string_t& value) override {
    if (level_ == 1 && key_ == "name") {
      record_.name = std::move(value);
    } else if (level_ == 1 && key_ == "imported") {
      record_.imported = value;
      record_.active = std::max(record_.active, value);
    } else if (isOf("distributed", 2, "encoding")) {
      wrapped_ = value != name(Encoding::none);
    } else if (isOf("labels", 3, "name") || isOf("requested", 3, "ref")) {
      first_ = std::move(value);
    } else if (isOf("labels", 3, "value") || isOf("requested", 3, "at")) {
      second_ = std::move(value);
    } else if (isOf("sources", 3, "confirmed")) {
      record_.active = std::max(record_.active, value);
    }
    return true;
  }
  bool binary(binary_t& /*value*/) override { return true; }
  bool start_object(std::size_t /*size*/) override {
    ++level_;
    return true;
  }
  bool key(string_t& value) override {
    key_ = std::move(value);
    if (level_ == 1) top_ = key_;
    return true;
  }
  bool end_object() override {
    if (level_ == 3 && top_ == "labels") {
      record_.labels.emplace_back(std::move(first_), std::move(second_));
    } else if (level_ == 3 && top_ == "requested") {
      record_.active = std::max(record_.active, second_);
      // In the form that AppRef writes, a ':' stands before the version and nowhere else.
      if (first_.find(':') == std::string::npos &&
          !schema::AppRef::parse(first_).labels().get("version")) {
        record_.askedWithoutVersion = std::max(record_.askedWithoutVersion, second_);
      }
    }
    --level_;
    return true;
  }
  bool start_array(std::size_t /*size*/) override {
    ++level_;
    return true;
  }
  bool end_array() override {
    --level_;
    return true;
  }
  bool parse_error(std::size_t /*offset*/, const std::string& /*token*/,
                   const Json::exception& /*error*/) override {
    throw Error("it is not valid JSON");
  }

 private:
  bool isOf(std::string_view top, int level, std::string_view key) const {
    return level_ == level && top_ == top && key_ == key;
  }

  GcRecord record_;
  int level_ = 0;      // of objects and lists
  std::string top_;    // the member of the record
  std::string key_;    // the last key
  std::string first_;  // of an object in a list: a label's name, a request's ref
  std::string second_;
  bool sized_ = false;
  bool wrapped_ = false;
  bool kept_ = true;
  std::uint64_t distributedSize_ = 0;
};

}  // namespace

std::string_view GcRecord::label(std::string_view wanted) const {
  for (const auto& [labelName, value] : labels) {
    if (labelName == wanted) return value;
  }
  return {};
}

GcRecord readGcRecord(std::string_view json) {
  RecordReader reader;
  Json::sax_parse(json, &reader);
  return reader.take();
}

}  // namespace actool::cas
