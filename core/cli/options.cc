#include "core/cli/options.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <optional>

#include <CLI/CLI.hpp>

#include "core/base/error.h"
#include "core/cli/table.h"

namespace actool::cli {

Option Option::required() const {
  option_->required();
  return *this;
}

Option Option::typeName(const std::string& name) const {
  option_->type_name(name);
  return *this;
}

Option Option::group(std::string_view heading) const {
  option_->group(std::string(heading));
  return *this;
}

Option Option::range(int lowest, int highest) const {
  option_->check(CLI::Range(lowest, highest));
  return *this;
}

Option Option::oneOf(const std::vector<std::string>& words) const {
  option_->check(CLI::IsMember(words));
  return *this;
}

Option Option::excludes(Option other) const {
  option_->excludes(other.option_);
  return *this;
}

Option Option::lastHolds() const {
  option_->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  return *this;
}

Option Option::delimiter(char c) const {
  option_->delimiter(c);
  return *this;
}

Option Option::oneValueEach() const {
  option_->allow_extra_args(false);
  return *this;
}

Option Option::defaultFromTarget() const {
  option_->capture_default_str();
  return *this;
}

bool Option::needsValue() const {
  return option_->get_items_expected_min() > 0;
}

Options::Options(std::string usage, std::string description)
    : app_(std::make_unique<CLI::App>(std::move(description), std::move(usage))) {}
Options::~Options() = default;
Options::Options(Options&&) noexcept = default;
Options& Options::operator=(Options&&) noexcept = default;

Option Options::note(CLI::Option* option) {
  return options_.emplace_back(option);
}

template <class T>
Option Options::add(const std::string& names, T& target, const std::string& help) {
  return note(app_->add_option(names, target, help));
}

template <class T>
Option Options::flag(const std::string& names, T& target, const std::string& help) {
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
  return note(app_->add_option_function<std::string>(names, set, help));
}

Option Options::callEach(const std::string& names, std::function<void(const std::string&)> set,
                         const std::string& help) {
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
