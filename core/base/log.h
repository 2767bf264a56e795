// Talk for people, on standard error only. Nothing here is data; that goes to stdout.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

namespace actool::log {

// "actool-fetch" and so on; put in front of warnings and errors. Set once by toolMain().
void setProgram(std::string_view name);
void setDebug(bool on);
bool debugEnabled();

void writeLine(std::string_view severity, std::string_view text);  // one write(2)

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (debugEnabled()) writeLine("debug", fmt::format(format, std::forward<Args>(args)...));
}
// Something a person should know about what is being done ("image: using cached ...").
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  writeLine("", fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  writeLine("warning", fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  writeLine("error", fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace actool::log
