// Volumes in memory.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "cas/aci_tar.h"
#include "cas/bundle/export_plan.h"
#include "cas/bundle/import.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {

inline Digest sha512(std::string_view text) {
  return digestOf(DigestAlgorithm::sha512, text);
}

inline std::string volumeOf(const BundlePlan& plan, std::size_t volume = 0) {
  StringSink sink;
  writeVolume(plan, volume, sink);
  return sink.text;
}

// Bytes that no compressor makes smaller and no two of which are alike.
inline std::string noise(std::size_t size, std::uint32_t seed) {
  std::string text(size, '\0');
  for (char& byte : text) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return text;
}

}  // namespace actool::cas
