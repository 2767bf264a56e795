#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <optional>
#include <thread>

#include "cas/inflate.h"
#include "cas/ingest_slot.h"
#include "cas/interrupt.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {
namespace {

using test::messageOf;

class IngestTest : public StoreTest {
 protected:
  std::string tar_ = imageTar("example.com/web", {"version=1.0.0"});
  std::string packed_ = compress("gzip", tar_);
  schema::ImageId id_ = idOfTar(tar_);

  void expectNothingLeft() {
    EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
    EXPECT_EQ(ingests(), std::vector<std::string>{});
    EXPECT_TRUE(StoreReader(layout_).ids().empty());
    EXPECT_TRUE(listDir(layout_.tmpDir()).empty());
  }
};

TEST_F(IngestTest, CommitsASignedImage) {
  IngestRequest request = signedRequest(packed_);
  request.requested = schema::AppRef::parse("example.com/web:1.0.0");
  request.source = "https://example.com/web.aci";
  request.etag = "\"e1\"";
  const StoredImage image = ingest(request, packed_);
  EXPECT_EQ(offset_, 0U);
  EXPECT_EQ(image.id, id_);
  EXPECT_EQ(image.tarSize, tar_.size());
  EXPECT_EQ(image.distributed.size, packed_.size());
  ASSERT_TRUE(image.signature.has_value());
  EXPECT_EQ(image.signature->fingerprint, kFingerprint);
  EXPECT_EQ(image.signature->trustRule, "prefix example.com");
  EXPECT_EQ(image.requested.at(0).ref, *request.requested);

  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(ingests(), std::vector<std::string>{});
  EXPECT_EQ(readFile(layout_.tarBlob(id_), 1 << 20), tar_);
  EXPECT_EQ(readFile(layout_.blob(image.distributed.digest), 1 << 20), packed_);
  EXPECT_EQ(readFile(layout_.signatureFile(id_), 1 << 20), *request.signature);
  EXPECT_EQ(StoreReader(layout_).manifest(id_).name.str(), "example.com/web");
  EXPECT_EQ(readWhole(layout_, id_).toJson(), image.toJson());
  const StoreView view(layout_);
  EXPECT_EQ(view.catalog().bySource("https://example.com/web.aci")->id, id_);
  EXPECT_EQ(view.catalog().resolve("example.com/web").id, id_);
}

TEST_F(IngestTest, OneBlobIsBothWhenUncompressed) {
  const StoredImage image = ingestSigned(tar_);
  EXPECT_EQ(image.distributed.encoding, Encoding::none);
  EXPECT_EQ(layout_.blob(image.distributedBlob()), layout_.tarBlob(id_));
  EXPECT_TRUE(listDir(layout_.dir() / "blobs/sha256").empty());
}

TEST_F(IngestTest, UnsignedOnlyWhenInsecure) {
  IngestRequest request;
  EXPECT_EQ(messageOf<TrustError>([&] { ingest(request, packed_); }),
            "there is no signature; give one with --signature, or allow any bytes with "
            "--insecure-options=image");
  EXPECT_FALSE(actool::exists(layout_.dir()));
  request.insecure = true;
  const StoredImage image = ingest(request, packed_);
  EXPECT_EQ(image.signature, std::nullopt);
  EXPECT_EQ(listed(), std::vector{id_});
}

TEST_F(IngestTest, AnUnknownSignerIsRefusedBeforeAnyByte) {
  IngestRequest request = signedRequest(packed_);
  request.signature = trust::FakeVerifier::sign(std::string(40, 'c'), packed_);
  // Nobody ever writes to this pipe.
  const Pipe pipe = makePipe();
  request.input = pipe.read.get();
  request.inputName = "pipe";
  const std::string why = "signed by unknown key " + std::string(40, 'c');
  const IngestCallbacks callbacks{.onWaiting = {},
                                  .onOffset = [&](std::uint64_t offset) { offset_ = offset; },
                                  .onProgress = {}};
  const Ingest ingesting(layout_, keystore_, &verifier_, limits_);
  EXPECT_EQ(messageOf<TrustError>([&] { ingesting.run(request, callbacks); }), why);
  EXPECT_EQ(offset_, std::nullopt);
  expectNothingLeft();
  // A file is here already, and is looked at meanwhile.
  EXPECT_EQ(messageOf<TrustError>([&] { ingest(request, packed_); }), why);
  expectNothingLeft();
}

// The key is known to the verifier, but not trusted for this name.
TEST_F(IngestTest, AKeyForAnotherNameIsRefused) {
  keystore_.add(dir_.path() / "config",
                trust::TrustRule{schema::AcIdentifier::parse("example.com/foo")}, kOtherFingerprint,
                "key");
  const std::string bytes = imageTar("example.com/foobar");
  IngestRequest request = signedRequest(bytes);
  request.signature = trust::FakeVerifier::sign(kOtherFingerprint, bytes);
  EXPECT_THROW(ingest(request, bytes), TrustError);
  expectNothingLeft();
  const std::string good = imageTar("example.com/foo/bar");
  request.signature = trust::FakeVerifier::sign(kOtherFingerprint, good);
  EXPECT_EQ(ingest(request, good).signature->trustRule, "prefix example.com/foo");
}

TEST_F(IngestTest, WhatWasAskedForHasToCome) {
  IngestRequest request = signedRequest(packed_);
  const auto refusal = [&](const char* ref) {
    request.requested = schema::AppRef::parse(ref);
    const std::string message = messageOf<TrustError>([&] { ingest(request, packed_); });
    expectNothingLeft();
    return message;
  };
  EXPECT_EQ(refusal("example.com/other"),
            "the manifest names example.com/web, but example.com/other was asked for");
  EXPECT_EQ(refusal("example.com/web:2.0.0"),
            "the manifest has label version '1.0.0', but '2.0.0' was asked for");
  EXPECT_EQ(refusal("example.com/web,arch=amd64,os=linux"),
            "the manifest has no label arch, but 'amd64' was asked for");
  request.requested.reset();
  request.imageId = idOfTar("other");
  EXPECT_EQ(messageOf<TrustError>([&] { ingest(request, packed_); }),
            "the image is " + id_.str() + ", but " + request.imageId->str() + " was asked for");
  expectNothingLeft();
  request.imageId = id_;
  EXPECT_EQ(ingest(request, packed_).id, id_);
}

TEST_F(IngestTest, AFlippedBitLeavesNothing) {
  std::string damaged = packed_;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 4);
  EXPECT_EQ(messageOf<TrustError>([&] { ingest(signedRequest(packed_), damaged); }),
            "bad signature by key " + kFingerprint + ": these are not the bytes that were signed");
  expectNothingLeft();
}

TEST_F(IngestTest, WhatEndsEarlyIsContinued) {
  const std::size_t half = packed_.size() / 2;
  EXPECT_THROW(ingest(signedRequest(packed_), packed_.substr(0, half)), EarlyEndError);
  EXPECT_EQ(listed(), std::vector<schema::ImageId>{});
  ASSERT_EQ(ingests().size(), 1U);
  EXPECT_EQ(ingests().front(),
            digestOf(DigestAlgorithm::sha256, *signedRequest(packed_).signature).hex());
  EXPECT_EQ(ingestSigned(packed_).id, id_);
  EXPECT_EQ(offset_, half);
  EXPECT_EQ(ingests(), std::vector<std::string>{});
}

TEST_F(IngestTest, WithoutResumeNothingIsKept) {
  IngestRequest request = signedRequest(packed_);
  request.resume = false;
  EXPECT_THROW(ingest(request, packed_.substr(0, 100)), EarlyEndError);
  expectNothingLeft();
  request.insecure = true;
  request.resume = true;  // but nothing names unsigned bytes
  EXPECT_THROW(ingest(request, packed_.substr(0, 100)), EarlyEndError);
  expectNothingLeft();
}

// A partial that was damaged on disk makes a bad signature once, not for ever.
TEST_F(IngestTest, ADamagedPartialIsForgotten) {
  EXPECT_THROW(ingest(signedRequest(packed_), packed_.substr(0, 100)), EarlyEndError);
  writeFilePlain(layout_.ingestDir() / ingests().front() / "data", std::string(100, 'z'));
  EXPECT_THROW(ingestSigned(packed_), TrustError);
  expectNothingLeft();
  EXPECT_EQ(ingestSigned(packed_).id, id_);
  EXPECT_EQ(offset_, 0U);
}

TEST_F(IngestTest, TheSameSignatureNeedsNoBytes) {
  ingestSigned(packed_);
  offset_.reset();
  IngestRequest request = signedRequest(packed_);
  request.requested = schema::AppRef::parse("example.com/web");
  request.source = "https://mirror.example.com/web.aci";
  const StoredImage image = ingest(request, "");
  EXPECT_EQ(offset_, std::nullopt);
  EXPECT_EQ(image.id, id_);
  EXPECT_EQ(image.requested.back().ref, *request.requested);
  EXPECT_EQ(StoreView(layout_).catalog().bySource(request.source)->id, id_);
  request.requested = schema::AppRef::parse("example.com/other");
  EXPECT_THROW(ingest(request, ""), TrustError);
  EXPECT_EQ(listed(), std::vector{id_});
}

TEST_F(IngestTest, ReuseAsksForTrustAnew) {
  ingestSigned(packed_);
  keystore_.remove(dir_.path() / "config",
                   trust::TrustRule{schema::AcIdentifier::parse("example.com")}, kFingerprint);
  EXPECT_THROW(ingestSigned(packed_), TrustError);
  EXPECT_EQ(listed(), std::vector{id_});
}

// The blob that stands behind the signature was damaged: it does not count.
TEST_F(IngestTest, ReuseReadsTheBytes) {
  const StoredImage image = ingestSigned(packed_);
  const Path blob = layout_.blob(image.distributed.digest);
  std::string damaged = packed_;
  damaged[20] = static_cast<char>(damaged[20] ^ 1);
  writeFilePlain(blob, damaged);
  offset_.reset();
  ingestSigned(packed_);
  EXPECT_EQ(offset_, 0U);  // it was asked for anew
  EXPECT_EQ(readFile(blob, 1 << 20), packed_);
}

TEST_F(IngestTest, TheSameTarInOtherWrapsIsOneImage) {
  ingestSigned(packed_);
  const std::string xz = compress("xz", tar_);
  const StoredImage image = ingestSigned(xz);
  EXPECT_EQ(listed(), std::vector{id_});
  EXPECT_EQ(image.distributed.encoding, Encoding::gzip);
  EXPECT_EQ(readWhole(layout_, id_).distributed.digest, digestOf(DigestAlgorithm::sha256, packed_));
}

TEST_F(IngestTest, ASignedWrapTakesThePlaceOfAnUnsignedOne) {
  IngestRequest request;
  request.insecure = true;
  ingest(request, compress("xz", tar_));
  EXPECT_EQ(readWhole(layout_, id_).signature, std::nullopt);
  const StoredImage image = ingestSigned(packed_);
  EXPECT_EQ(image.distributed.encoding, Encoding::gzip);
  EXPECT_EQ(readFile(layout_.signatureFile(id_), 1 << 20), *signedRequest(packed_).signature);
  // And an unsigned one never the place of a signed one.
  ingest(request, tar_);
  EXPECT_EQ(readWhole(layout_, id_).signature->fingerprint, kFingerprint);
  EXPECT_EQ(listed(), std::vector{id_});
}

TEST_F(IngestTest, TwoAtOnceTransferOnce) {
  std::atomic<int> transfers = 0;
  const auto one = [&] {
    const Path path = dir_.path() / ("input" + std::to_string(::gettid()));
    writeFilePlain(path, packed_);
    const UniqueFd input = openFile(path.string(), O_RDONLY);
    IngestRequest request = signedRequest(packed_);
    request.input = input.get();
    request.inputName = "input";
    trust::FakeVerifier verifier{{kFingerprint}};
    const StoredImage image =
        Ingest(layout_, keystore_, &verifier, limits_)
            .run(request, {.onWaiting = [](std::uint64_t) {},
                           .onOffset =
                               [&](std::uint64_t) {
                                 ++transfers;
                                 std::this_thread::sleep_for(std::chrono::milliseconds(200));
                               },
                           .onProgress = {}});
    EXPECT_EQ(image.id, id_);
  };
  std::thread first(one);
  std::thread second(one);
  first.join();
  second.join();
  EXPECT_EQ(transfers, 1);
  EXPECT_EQ(listed(), std::vector{id_});
}

TEST_F(IngestTest, WaitingEndsWithASignal) {
  const std::string key =
      slotKeyOf(digestOf(DigestAlgorithm::sha256, *signedRequest(packed_).signature));
  createStore(layout_);
  const IngestSlot held = IngestSlot::acquire(layout_, key, -1, [](std::uint64_t) {});
  const InterruptGuard guard;
  IngestRequest request = signedRequest(packed_);
  request.interruptFd = guard.fd();
  EXPECT_THROW(Ingest(layout_, keystore_, &verifier_, limits_)
                   .run(request, {.onWaiting = [](std::uint64_t) { ::raise(SIGTERM); },
                                  .onOffset = {},
                                  .onProgress = {}}),
               Interrupted);
  EXPECT_EQ(InterruptGuard::signal(), SIGTERM);
}

TEST_F(IngestTest, AnotherVersionOfTheStoreIsNotTouched) {
  makeDirs(layout_.dir());
  writeFilePlain(layout_.versionFile(), "actool-store 9\n");
  EXPECT_THROW(ingestSigned(packed_), Error);
  EXPECT_EQ(listDir(layout_.dir()), std::vector<std::string>{"version"});
}

// Who waits for a slot goes on with nothing that its holder is about to remove.
TEST_F(IngestTest, ASlotThatIsRemovedIsNobodyElses) {
  const auto acquire = [&] {
    return IngestSlot::acquire(layout_, "key", -1, [](std::uint64_t) {});
  };
  const Path dir = layout_.ingestDir() / "key";
  for (int round = 0; round < 5; ++round) {
    std::optional<IngestSlot> slot = acquire();
    for (int i = 0; i < 1000; ++i)
      writeFilePlain(dir / std::to_string(i), "");
    std::atomic<bool> removed = false;
    std::thread waiting([&] {
      std::optional<FileLock> lock;
      while (!lock) {
        makeDirs(dir);
        lock = tryLockSlot(dir);
      }
      writeFilePlain(dir / "mine", "");
      while (!removed) {
      }
      EXPECT_EQ(listDir(dir), (std::vector<std::string>{"lock", "mine"}));
      removeSlot(dir);
    });
    EXPECT_NO_THROW(slot->remove());
    slot.reset();
    removed = true;
    waiting.join();
  }
  EXPECT_EQ(ingests(), std::vector<std::string>{});
}

}  // namespace
}  // namespace actool::cas
