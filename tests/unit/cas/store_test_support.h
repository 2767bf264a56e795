// A store of its own for each test, keys that need no gpg, and images made on the spot.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cas/ingest.h"
#include "cas/store.h"
#include "core/base/json.h"
#include "core/base/process.h"
#include "tests/support/errors.h"
#include "tests/support/fake_verifier.h"
#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {

inline const std::string kFingerprint(40, 'a');
inline const std::string kOtherFingerprint(40, 'b');

// An image's tar. Labels as "name=value".
inline std::string imageTar(const std::string& name, const std::vector<std::string>& labels = {},
                            const std::string& content = "x",
                            const Json& members = Json::object()) {
  Json manifest = {{"acKind", "ImageManifest"}, {"acVersion", "0.8.11"}, {"name", name}};
  for (const auto& label : labels) {
    const std::size_t at = label.find('=');
    manifest["labels"].push_back({{"name", label.substr(0, at)}, {"value", label.substr(at + 1)}});
  }
  manifest.update(members);
  return file("manifest", manifest.dump()) + dir("rootfs") + file("rootfs/file", content) + kTarEnd;
}

inline schema::ImageId idOfTar(const std::string& tar) {
  return schema::ImageId::fromTarDigest(digestOf(DigestAlgorithm::sha512, tar));
}

inline std::string compress(const std::string& program, const std::string& bytes) {
  const CommandResult result = runCommand({program, "-c"}, 256 << 20, bytes);
  EXPECT_TRUE(result.status.ok());
  return result.out;
}

class StoreTest : public testing::Test {
 protected:
  StoreTest() {
    keystore_.add(dir_.path() / "config",
                  trust::TrustRule{schema::AcIdentifier::parse("example.com")}, kFingerprint,
                  "key");
  }

  // A descriptor from which `bytes` can be read.
  UniqueFd fdOf(const std::string& bytes) {
    const Path path = dir_.path() / "input";
    writeFilePlain(path, bytes);
    return openFile(path.string(), O_RDONLY);
  }

  // A request for signed bytes, as transports make it.
  IngestRequest signedRequest(const std::string& bytes) {
    IngestRequest request;
    request.signature = trust::FakeVerifier::sign(kFingerprint, bytes);
    request.resume = true;
    return request;
  }

  StoredImage ingest(IngestRequest request, const std::string& bytes) {
    const UniqueFd input = fdOf(bytes);
    request.input = input.get();
    request.inputName = "the input";
    return Ingest(layout_, keystore_, &verifier_, limits_)
        .run(request, {.onWaiting = [](std::uint64_t) {},
                       .onOffset =
                           [&](std::uint64_t offset) {
                             offset_ = offset;
                             ASSERT_GE(::lseek(input.get(), static_cast<off_t>(offset), SEEK_SET),
                                       0);
                           },
                       .onProgress = {}});
  }
  StoredImage ingestSigned(const std::string& bytes) { return ingest(signedRequest(bytes), bytes); }

  std::vector<schema::ImageId> listed() const {
    const StoreView view(layout_);
    std::vector<schema::ImageId> ids;
    for (const auto& image : view.catalog().list())
      ids.push_back(image.id);
    return ids;
  }

  // What is left of transfers.
  std::vector<std::string> ingests() const { return listDir(layout_.ingestDir()); }

  TempDir dir_{tempRoot()};
  StoreLayout layout_{dir_.path() / "store"};
  trust::Keystore keystore_{ConfigDirs{{dir_.path() / "config"}}};
  trust::FakeVerifier verifier_{{kFingerprint, kOtherFingerprint}};
  IngestLimits limits_;
  std::optional<std::uint64_t> offset_;  // that the last ingest asked for
};

}  // namespace actool::cas
