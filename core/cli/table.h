// Tables for people: columns as wide as their widest cell, two spaces between.
#pragma once

#include <string>
#include <vector>

namespace actool::cli {

class Table {
 public:
  explicit Table(std::vector<std::string> header) : header_(std::move(header)) {}
  void addRow(std::vector<std::string> cells);  // as many as the header
  // With "" for an empty cell shown as "-"; `legend` false leaves the header out.
  std::string render(bool legend = true) const;

 private:
  std::vector<std::string> header_;
  std::vector<std::vector<std::string>> rows_;
};

// Writes to standard output, throwing SystemError when it fails (a full disk, a closed pipe).
void print(std::string_view text);

}  // namespace actool::cli
