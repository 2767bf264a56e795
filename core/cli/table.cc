#include "core/cli/table.h"

#include <unistd.h>

#include <algorithm>

#include "core/base/fd.h"

namespace actool::cli {
namespace {

// Columns a terminal uses for UTF-8 text: code points, near enough for names and sizes.
std::size_t width(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

void Table::addRow(std::vector<std::string> cells) {
  cells.resize(header_.size());
  for (std::string& cell : cells) {
    if (cell.empty()) cell = "-";
  }
  rows_.push_back(std::move(cells));
}

std::string Table::render(bool legend) const {
  std::vector<std::size_t> widths(header_.size());
  const auto widen = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], width(row[i]));
  };
  if (legend) widen(header_);
  for (const auto& row : rows_)
    widen(row);

  std::string out;
  const auto line = [&](const std::vector<std::string>& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      out += row[i];
      if (i + 1 < row.size()) out.append(widths[i] - width(row[i]) + 2, ' ');
    }
    out += '\n';
  };
  if (legend) line(header_);
  for (const auto& row : rows_)
    line(row);
  return out;
}

void print(std::string_view text) {
  writeAll(STDOUT_FILENO, text, "standard output");
}

}  // namespace actool::cli
