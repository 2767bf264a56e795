#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>

#include "cas/inflate.h"
#include "cas/pipeline.h"
#include "tests/unit/cas/store_test_support.h"
#include "trust/starting_session.h"

namespace actool::cas {
namespace {

using test::messageOf;

class PipelineTest : public StoreTest {
 protected:
  PipelineResult run(const std::string& bytes) {
    const UniqueFd input = fdOf(bytes);
    job_.input = input.get();
    return runOnInput();
  }

  PipelineResult runOnInput() {
    const UniqueFd data = openFile((dir_.path() / "data").string(), O_RDWR | O_CREAT, 0644);
    job_.inputName = "the input";
    job_.data = data.get();
    job_.dataName = "data";
    job_.tar = dir_.path() / "tar";
    job_.limits = limits_;
    return runPipeline(job_);
  }

  std::string fileContent(const char* name) { return readFile(dir_.path() / name, 1 << 30); }

  PipelineJob job_;
  std::string tar_ = imageTar("example.com/web");
};

TEST_F(PipelineTest, TakesEveryEncoding) {
  for (const char* program : {"gzip", "bzip2", "xz"}) {
    const std::string packed = compress(program, tar_);
    const PipelineResult result = run(packed);
    EXPECT_EQ(name(result.encoding), program);
    EXPECT_EQ(result.tar, digestOf(DigestAlgorithm::sha512, tar_));
    EXPECT_EQ(result.distributed, digestOf(DigestAlgorithm::sha256, packed));
    EXPECT_EQ(result.distributedSize, packed.size());
    EXPECT_EQ(result.summary.tarBytes, tar_.size());
    EXPECT_EQ(fileContent("data"), packed);
    EXPECT_EQ(fileContent("tar"), tar_);
    removeTree(dir_.path() / "data");
    removeTree(dir_.path() / "tar");
  }
}

TEST_F(PipelineTest, AnUncompressedTarIsWrittenOnce) {
  const PipelineResult result = run(tar_);
  EXPECT_EQ(result.encoding, Encoding::none);
  EXPECT_EQ(result.tar, digestOf(DigestAlgorithm::sha512, tar_));
  EXPECT_EQ(fileContent("data"), tar_);
  EXPECT_FALSE(actool::exists(dir_.path() / "tar"));
}

// More bytes than all buffers hold, so that each is used many times.
TEST_F(PipelineTest, BuffersGoRound) {
  std::string content;
  for (std::uint64_t i = 0; content.size() < (24 << 20); ++i)
    content += std::to_string(i * 7919) + "\n";
  const std::string tar = imageTar("example.com/web", {}, content);
  for (const std::string& bytes : {tar, compress("gzip", tar)}) {
    EXPECT_EQ(run(bytes).tar, digestOf(DigestAlgorithm::sha512, tar));
    removeTree(dir_.path() / "data");
  }
}

TEST_F(PipelineTest, ContinuesWhatIsThere) {
  const std::string packed =
      compress("gzip", imageTar("example.com/web", {}, std::string(1 << 20, 'x')));
  for (const std::size_t have : {std::size_t{1}, packed.size() / 2, packed.size()}) {
    writeFilePlain(dir_.path() / "data", packed.substr(0, have));
    job_.resumed = have;
    const PipelineResult result = run(packed.substr(have));
    EXPECT_EQ(result.distributed, digestOf(DigestAlgorithm::sha256, packed));
    EXPECT_EQ(fileContent("data"), packed);
  }
}

TEST_F(PipelineTest, ABombIsRefused) {
  limits_.inflateFloor = 1 << 20;
  limits_.inflateRatio = 100;
  const std::string packed =
      compress("gzip", imageTar("example.com/web", {}, std::string(40 << 20, '\0')));
  const std::string message = messageOf<LimitError>([&] { run(packed); });
  EXPECT_NE(message.find("over 100 times as much: a decompression bomb; raise --max-inflate-ratio "
                         "if it is meant to be"),
            std::string::npos)
      << message;
  // Stopped long before the disk is full.
  EXPECT_LT(fileContent("tar").size(), std::size_t{20 << 20});
}

TEST_F(PipelineTest, AnHonestRatioIsNoBomb) {
  limits_.inflateFloor = 1 << 20;
  limits_.inflateRatio = 2000;
  EXPECT_EQ(run(compress("gzip", imageTar("example.com/web", {}, std::string(4 << 20, '\0'))))
                .summary.files,
            1U);
}

TEST_F(PipelineTest, LimitsOnSizes) {
  limits_.tarBytes = 1000;
  EXPECT_EQ(
      messageOf<LimitError>([&] { run(compress("gzip", tar_)); }),
      "the tar is larger than the limit of 1000 B; raise --max-tar-size if it is meant to be");
  EXPECT_EQ(
      messageOf<LimitError>([&] { run(tar_); }),
      "the tar is larger than the limit of 1000 B; raise --max-tar-size if it is meant to be");
  limits_ = {};
  limits_.distributedBytes = 100;
  EXPECT_EQ(messageOf<LimitError>([&] { run(tar_); }),
            "the file is larger than the limit of 100 B; raise --max-distributed-size if it is "
            "meant to be");
}

TEST_F(PipelineTest, TheAnnouncedSizeHolds) {
  job_.size = tar_.size();
  EXPECT_EQ(run(tar_).distributedSize, tar_.size());
  job_.size = tar_.size() - 1;
  EXPECT_EQ(
      messageOf<LimitError>([&] { run(tar_); }),
      "there are more bytes than the " + std::to_string(tar_.size() - 1) + " that were announced");
  job_.size = tar_.size() + 1;
  EXPECT_EQ(messageOf<EarlyEndError>([&] { run(tar_); }),
            "the input ends after " + std::to_string(tar_.size()) + " of the " +
                std::to_string(tar_.size() + 1) + " bytes that were announced");
}

TEST_F(PipelineTest, AnEmptyInputEndsEarly) {
  EXPECT_EQ(messageOf<EarlyEndError>([&] { run(""); }), "the input is empty");
}

TEST_F(PipelineTest, TheVerifierSaysWhyBeforeTheContentDoes) {
  std::string packed = compress("gzip", tar_);
  const auto session = verifier_.begin(trust::FakeVerifier::sign(kFingerprint, packed));
  packed[packed.size() / 2] = static_cast<char>(packed[packed.size() / 2] ^ 1);
  job_.session = session.get();
  EXPECT_EQ(messageOf<TrustError>([&] { run(packed); }),
            "bad signature by key " + kFingerprint + ": these are not the bytes that were signed");
}

// Ready when it has been asked `after` times.
class LateSession final : public trust::VerifySession {
 public:
  LateSession(std::unique_ptr<trust::VerifySession> session, int after)
      : session_(std::move(session)), after_(after) {}
  bool ready() override { return after_-- <= 0; }
  void update(std::span<const std::byte> bytes) override { session_->update(bytes); }
  std::vector<trust::Signer> finish() override { return session_->finish(); }

 private:
  std::unique_ptr<trust::VerifySession> session_;
  int after_;
};

TEST_F(PipelineTest, AVerifierThatStartsLateGetsAllBytesInOrder) {
  std::string content(3 << 20, '\0');
  for (std::size_t i = 0; i < content.size(); ++i)
    content[i] = static_cast<char>(i / 1000 + i % 7);
  const std::string tar = imageTar("example.com/web", {}, content);
  for (const int after : {0, 1, 5, 1000}) {
    LateSession session(verifier_.begin(trust::FakeVerifier::sign(kFingerprint, tar)), after);
    job_.session = &session;
    EXPECT_EQ(run(tar).signers.size(), 1U) << after;
    removeTree(dir_.path() / "data");
  }
}

TEST_F(PipelineTest, AVerifierThatDoesNotStartIsTheReason) {
  trust::StartingSession session([]() -> std::unique_ptr<trust::VerifySession> {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    throw TrustError("nobody we know");
  });
  job_.session = &session;
  EXPECT_EQ(messageOf<TrustError>([&] { run(tar_); }), "nobody we know");
}

TEST_F(PipelineTest, ASignedArchiveIsStillChecked) {
  const std::string packed = compress("gzip", file("manifest", "{}") + kTarEnd);
  const auto session = verifier_.begin(trust::FakeVerifier::sign(kFingerprint, packed));
  job_.session = session.get();
  EXPECT_THROW(run(packed), TrustError);
}

TEST_F(PipelineTest, ATruncatedFileEndsEarlySignedOrNot) {
  const std::string packed = compress("gzip", tar_);
  const std::string half = packed.substr(0, packed.size() / 2);
  EXPECT_THROW(run(half), EarlyEndError);
  const auto session = verifier_.begin(trust::FakeVerifier::sign(kFingerprint, packed));
  job_.session = session.get();
  EXPECT_THROW(run(half), EarlyEndError);
}

// The stages before must not wait for buffers that a stage which gave up never returns.
TEST_F(PipelineTest, BadContentAtTheStartOfALargeSignedFileDoesNotHang) {
  std::string bytes = "no tar at all" + std::string(40 << 20, 'x');
  for (const std::string& input : {bytes, compress("gzip", bytes)}) {
    const auto session = verifier_.begin(trust::FakeVerifier::sign(kFingerprint, input));
    job_.session = session.get();
    EXPECT_THROW(run(input), TrustError);
  }
}

TEST_F(PipelineTest, AnInterruptKeepsWhatCame) {
  Pipe pipe = makePipe();
  const UniqueFd interrupt(::eventfd(0, EFD_CLOEXEC));
  job_.input = pipe.read.get();
  job_.interruptFd = interrupt.get();
  const std::string half = tar_.substr(0, tar_.size() / 2);
  std::thread sender([&] {
    writeAll(pipe.write.get(), half, "pipe");
    // Once the pipe is empty the pipeline has it all and waits for more.
    int waiting = 1;
    while (waiting > 0) {
      ASSERT_EQ(::ioctl(pipe.read.get(), FIONREAD, &waiting), 0);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(interrupt.get(), &one, sizeof one), 8);
  });
  EXPECT_THROW(runOnInput(), Interrupted);
  sender.join();
  EXPECT_EQ(fileContent("data"), half);
}

// A sender gives the signal and then closes: the end of the pipe is not the end of the image.
TEST_F(PipelineTest, AnInterruptComesBeforeTheEndOfInput) {
  Pipe pipe = makePipe();
  const UniqueFd interrupt(::eventfd(1, EFD_CLOEXEC));
  pipe.write.reset();
  job_.input = pipe.read.get();
  job_.interruptFd = interrupt.get();
  EXPECT_THROW(runOnInput(), Interrupted);
}

// A signal to the whole group may end the verifier first.
class DyingSession final : public trust::VerifySession {
 public:
  explicit DyingSession(int interrupt) : interrupt_(interrupt) {}
  void update(std::span<const std::byte> /*bytes*/) override {
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(interrupt_, &one, sizeof one), 8);
    throw TrustError("gpg found no signature in it");
  }
  std::vector<trust::Signer> finish() override { throw TrustError("it has ended"); }

 private:
  int interrupt_;
};

TEST_F(PipelineTest, AnInterruptWinsOverAVerifierThatDied) {
  const UniqueFd interrupt(::eventfd(0, EFD_CLOEXEC));
  DyingSession session(interrupt.get());
  job_.session = &session;
  EXPECT_EQ(messageOf([&] { run(tar_); }), "gpg found no signature in it");
  job_.interruptFd = interrupt.get();
  EXPECT_THROW(run(tar_), Interrupted);
}

TEST_F(PipelineTest, AFailureStopsWaitingForInput) {
  limits_.distributedBytes = 10;
  Pipe pipe = makePipe();
  writeAll(pipe.write.get(), "BZh91AY&SY and then nothing more comes", "pipe");
  job_.input = pipe.read.get();
  pipe.write.reset();
  EXPECT_THROW(runOnInput(), LimitError);
}

}  // namespace
}  // namespace actool::cas
