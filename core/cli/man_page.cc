#include "core/cli/man_page.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/base/strings.h"

namespace actool::cli {
namespace {

// Hyphens as minus signs, backslashes as themselves, and no accidental control lines.
std::string roff(std::string_view text) {
  std::string out;
  bool lineStart = true;
  for (const char c : text) {
    if (lineStart && (c == '.' || c == '\'')) out += "\\&";
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else
      out.push_back(c);
    lineStart = c == '\n';
  }
  return out;
}

// Paragraphs; indented lines are examples and keep their line breaks.
std::string body(std::string_view details) {
  std::string out;
  bool example = false;
  for (const std::string_view line : split(details, '\n')) {
    const bool indented = line.starts_with("  ");
    if (indented != example) out += indented ? ".PP\n.nf\n" : ".fi\n";
    example = indented;
    if (line.empty())
      out += ".PP\n";
    else
      out += roff(line) + "\n";
  }
  if (example) out += ".fi\n";
  return out;
}

}  // namespace

std::string manPage(const Subcommand& subcommand, const Options& options) {
  std::string page = subcommand.name.empty() ? "actool" : "actool-" + subcommand.name;
  std::replace(page.begin(), page.end(), ' ', '-');
  std::string upper = page;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });

  std::string positionals;
  std::string list;
  for (const OptionText& option : options.texts()) {
    if (!option.argument.empty()) positionals += " \\fI" + roff(option.argument) + "\\fR";
    list += fmt::format(".TP\n\\fB{}\\fR{}\n{}\n", roff(option.names),
                        option.valueType.empty() ? "" : " \\fI" + roff(option.valueType) + "\\fR",
                        roff(option.help));
  }
  return fmt::format(
      ".TH \"{}\" 1 \"\" \"actool {}\" \"User Commands\"\n"
      ".SH NAME\n{} \\- {}\n"
      ".SH SYNOPSIS\n\\fBactool {}\\fR [\\fIoptions\\fR]{}\n"
      ".SH DESCRIPTION\n{}"
      ".SH OPTIONS\n{}"
      ".SH EXIT STATUS\n0 when done; 254 on failure; 253 not trusted, 252 not found, 251 network, "
      "250 in use by another.\n"
      ".SH SEE ALSO\n\\fBactool\\fR(1)\n",
      upper, ACTOOL_VERSION, roff(page), roff(subcommand.summary), roff(subcommand.name),
      positionals, body(subcommand.details), list);
}

}  // namespace actool::cli
