#include "core/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <stdexcept>

#include <CLI/CLI.hpp>

#include "core/base/error.h"
#include "core/base/strings.h"
#include "core/cli/table.h"

namespace actool::cli {

Option Option::required() const {
  if (option_ == nullptr) throw std::logic_error("a required option was not made");
  option_->required();
  return *this;
}

Option Option::typeName(const std::string& name) const {
  if (option_ != nullptr) option_->type_name(name);
  return *this;
}

Option Option::group(std::string_view heading) const {
  if (option_ != nullptr) option_->group(std::string(heading));
  return *this;
}

Option Option::range(int lowest, int highest) const {
  if (option_ != nullptr) option_->check(CLI::Range(lowest, highest));
  return *this;
}

Option Option::oneOf(const std::vector<std::string>& words) const {
  if (option_ != nullptr) option_->check(CLI::IsMember(words));
  return *this;
}

Option Option::excludes(Option other) const {
  if (option_ != nullptr && other.option_ != nullptr) option_->excludes(other.option_);
  return *this;
}

Option Option::lastHolds() const {
  if (option_ != nullptr) option_->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return *this;
}

Option Option::delimiter(char c) const {
  if (option_ != nullptr) option_->delimiter(c);
  return *this;
}

Option Option::oneValueEach() const {
  if (option_ != nullptr) option_->allow_extra_args(false);
  return *this;
}

Option Option::defaultFromTarget() const {
  if (option_ != nullptr) option_->capture_default_str();
  return *this;
}

bool Option::needsValue() const {
  return option_->get_items_expected_min() > 0;
}

Options::Options(std::string usage, std::string description)
    : app_(std::make_unique<CLI::App>(std::move(description), std::move(usage))) {}

Options Options::forWords(std::string usage, const std::vector<std::string>& words) {
  Options options(std::move(usage));
  std::vector<std::string> names;
  for (const std::string& word : words) {
    if (!word.starts_with('-')) continue;
    // Of several short ones in one word, only the parser knows which.
    if (!word.starts_with("--") && word.size() > 1) return options;
    names.push_back(word.substr(0, word.find('=')));
  }
  options.needed_ = std::move(names);
  return options;
}

Options::~Options() = default;
Options::Options(Options&&) noexcept = default;
Options& Options::operator=(Options&&) noexcept = default;

bool Options::unneeded(std::string_view names) const {
  if (!needed_ || !names.starts_with('-')) return false;
  for (const std::string_view name : split(names, ',')) {
    // "--wait{true}" is the name and the value of a bare flag.
    const std::string_view own = name.substr(0, name.find('{'));
    if (std::find(needed_->begin(), needed_->end(), own) != needed_->end()) return false;
  }
  return true;
}

Option Options::note(CLI::Option* option) {
  return options_.emplace_back(option);
}

template <class T>
Option Options::add(const std::string& names, T& target, const std::string& help) {
  if (unneeded(names)) return Option(nullptr);
  return note(app_->add_option(names, target, help));
}

template <class T>
Option Options::flag(const std::string& names, T& target, const std::string& help) {
  if (unneeded(names)) return Option(nullptr);
  return note(app_->add_flag(names, target, help));
}

template Option Options::add(const std::string&, std::string&, const std::string&);
template Option Options::add(const std::string&, std::optional<std::string>&, const std::string&);
template Option Options::add(const std::string&, std::vector<std::string>&, const std::string&);
template Option Options::add(const std::string&, bool&, const std::string&);
template Option Options::add(const std::string&, std::optional<bool>&, const std::string&);
template Option Options::add(const std::string&, std::uint16_t&, const std::string&);
template Option Options::add(const std::string&, std::uint64_t&, const std::string&);
template Option Options::add(const std::string&, std::optional<std::uint64_t>&, const std::string&);
template Option Options::flag(const std::string&, bool&, const std::string&);
template Option Options::flag(const std::string&, std::string&, const std::string&);

Option Options::call(const std::string& names, const std::function<void(const std::string&)>& set,
                     const std::string& help) {
  if (unneeded(names)) return Option(nullptr);
  return note(app_->add_option_function<std::string>(names, set, help));
}

Option Options::callEach(const std::string& names, std::function<void(const std::string&)> set,
                         const std::string& help) {
  if (unneeded(names)) return Option(nullptr);
  return note(app_->add_option_function<std::vector<std::string>>(
      names,
      [set = std::move(set)](const std::vector<std::string>& values) {
        for (const std::string& value : values)
          set(value);
      },
      help));
}

Option Options::callFlag(const std::string& names, std::function<void()> set,
                         const std::string& help) {
  if (unneeded(names)) return Option(nullptr);
  return note(app_->add_flag_callback(names, std::move(set), help));
}

void Options::describe(const std::string& description) {
  app_->description(description);
}

void Options::footer(std::function<std::string()> text) {
  app_->footer(std::move(text));
}

void Options::keep(std::shared_ptr<void> object) {
  kept_.push_back(std::move(object));
}

void Options::addVersion(const std::string& text) {
  app_->set_version_flag("--version", text);
}

void Options::stopAtFirstWord() {
  app_->prefix_command();
}

bool Options::parse(std::vector<std::string> words, std::string_view command) {
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app_->parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    print(app_->help());
    return false;
  } catch (const CLI::CallForVersion& version) {
    print(std::string(version.what()) + "\n");
    return false;
  } catch (const CLI::ParseError& error) {
    throw UsageError(error.what(), fmt::format("see {} --help", command));
  }
  return true;
}

std::vector<std::string> Options::rest() const {
  return app_->remaining();
}

std::string Options::help() const {
  return app_->help();
}

const Option* Options::find(const std::string& name) const {
  const CLI::Option* option = app_->get_option_no_throw(name);
  const auto found = std::find_if(options_.begin(), options_.end(),
                                  [&](const Option& known) { return known.option_ == option; });
  return found == options_.end() ? nullptr : &*found;
}

std::vector<Option> Options::inOrder() const {
  std::vector<Option> order;
  for (CLI::Option* option : app_->parse_order())
    order.emplace_back(option);
  return order;
}

std::vector<OptionText> Options::texts() const {
  std::vector<OptionText> texts;
  const CLI::App& app = *app_;
  for (const CLI::Option* option : app.get_options()) {
    const bool argument = option->get_positional() && !option->nonpositional();
    const bool takesValue = option->get_items_expected_max() > 0 && option->get_type_size() > 0;
    texts.push_back({.names = option->get_name(false, true),
                     .argument = argument ? option->get_name(true) : "",
                     .valueType = takesValue ? option->get_type_name() : "",
                     .help = option->get_description(),
                     .longNames = option->get_lnames()});
  }
  return texts;
}

}  // namespace actool::cli
