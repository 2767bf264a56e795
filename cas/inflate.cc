#include "cas/inflate.h"

#include <bzlib.h>
#include <fmt/format.h>
#include <lzma.h>

#include <algorithm>
#include <limits>

#include <isa-l/igzip_lib.h>

#include "core/base/strings.h"

namespace actool::cas {

namespace {

bool startsWith(std::span<const std::byte> bytes, std::initializer_list<unsigned char> magic) {
  return bytes.size() >= magic.size() &&
         std::equal(magic.begin(), magic.end(), bytes.begin(),
                    [](unsigned char a, std::byte b) { return std::byte{a} == b; });
}

// The libraries count in 32 bits and take pointers to mutable bytes they do not change.
unsigned clamp(std::size_t size) {
  return static_cast<unsigned>(std::min<std::size_t>(size, std::numeric_limits<int>::max() / 2));
}
template <typename T>
T* mutableBytes(const std::byte* bytes) {
  return reinterpret_cast<T*>(const_cast<std::byte*>(bytes));
}

class GzipInflater : public Inflater {
 public:
  GzipInflater() { start(); }

  Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
    Step done;
    while (done.produced < out.size()) {
      if (!inHeader_ && state_.block_state == ISAL_BLOCK_FINISH) {
        if (done.consumed == in.size()) break;
        nextMember(in[done.consumed]);
      }
      const auto input = in.subspan(done.consumed);
      const auto output = out.subspan(done.produced);
      state_.next_in = mutableBytes<std::uint8_t>(input.data());
      state_.avail_in = clamp(input.size());
      state_.next_out = mutableBytes<std::uint8_t>(output.data());
      state_.avail_out = clamp(output.size());
      const unsigned availIn = state_.avail_in;
      const unsigned availOut = state_.avail_out;
      if (inHeader_) {
        const int result = isal_read_gzip_header(&state_, &header_);
        check(result);
        inHeader_ = result != ISAL_DECOMP_OK;
      } else {
        check(isal_inflate(&state_));
      }
      done.consumed += availIn - state_.avail_in;
      done.produced += availOut - state_.avail_out;
      const bool moved = availIn != state_.avail_in || availOut != state_.avail_out;
      const bool ended = !inHeader_ && state_.block_state == ISAL_BLOCK_FINISH;
      if (!ended && (done.consumed == in.size() || !moved)) break;
    }
    return done;
  }

  void finish() override {
    if (inHeader_ || state_.block_state != ISAL_BLOCK_FINISH) {
      throw EarlyEndError("the gzip data end too early", "the file is truncated");
    }
  }

 private:
  // The header is read by a call of its own: isal_inflate() (2.30) forgets between two calls which
  // optional fields a header has, and goes on with what lay on the stack.
  void start() {
    isal_inflate_init(&state_);
    state_.crc_flag = ISAL_GZIP_NO_HDR_VER;
    header_ = {};
    isal_gzip_header_init(&header_);
    inHeader_ = true;
  }

  void nextMember(std::byte first) {
    // Zero padding, as of tapes, is garbage as well: a signer would have no reason for it.
    if (first != std::byte{0x1f}) throw TrustError("there is garbage after the gzip data");
    start();
  }

  static void check(int result) {
    switch (result) {
      case ISAL_DECOMP_OK:
      case ISAL_END_INPUT:
      case ISAL_OUT_OVERFLOW:
        return;
      case ISAL_INVALID_WRAPPER:
      case ISAL_UNSUPPORTED_METHOD:
        throw TrustError("the gzip data are damaged: bad header");
      case ISAL_INCORRECT_CHECKSUM:
        throw TrustError("the gzip data are damaged: checksum mismatch");
      default:
        throw TrustError(fmt::format("the gzip data are damaged (ISA-L error {})", result));
    }
  }

  inflate_state state_{};
  isal_gzip_header header_{};
  bool inHeader_ = true;
};

class Bzip2Inflater : public Inflater {
 public:
  Bzip2Inflater() = default;
  Bzip2Inflater(const Bzip2Inflater&) = delete;
  Bzip2Inflater& operator=(const Bzip2Inflater&) = delete;
  ~Bzip2Inflater() override {
    if (active_) BZ2_bzDecompressEnd(&stream_);
  }

  Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
    Step done;
    while (done.produced < out.size()) {
      if (!active_) {
        if (done.consumed == in.size()) break;
        start();
      }
      stream_.next_in = mutableBytes<char>(in.data() + done.consumed);
      stream_.avail_in = clamp(in.size() - done.consumed);
      stream_.next_out = mutableBytes<char>(out.data() + done.produced);
      stream_.avail_out = clamp(out.size() - done.produced);
      const unsigned availIn = stream_.avail_in;
      const unsigned availOut = stream_.avail_out;
      const int result = BZ2_bzDecompress(&stream_);
      done.consumed += availIn - stream_.avail_in;
      done.produced += availOut - stream_.avail_out;
      if (result == BZ_STREAM_END) {
        BZ2_bzDecompressEnd(&stream_);
        active_ = false;
        continue;
      }
      if (result == BZ_DATA_ERROR_MAGIC && streams_ > 1) {
        throw TrustError("there is garbage after the bzip2 data");
      }
      if (result != BZ_OK) {
        throw TrustError(fmt::format("the bzip2 data are damaged (error {})", result));
      }
      const bool moved = availIn != stream_.avail_in || availOut != stream_.avail_out;
      if (!moved || (done.consumed == in.size() && stream_.avail_out != 0)) break;
    }
    return done;
  }

  void finish() override {
    if (active_) throw EarlyEndError("the bzip2 data end too early", "the file is truncated");
  }

 private:
  void start() {
    stream_ = bz_stream{};
    if (BZ2_bzDecompressInit(&stream_, 0, 0) != BZ_OK) throw Error("bzip2: out of memory");
    active_ = true;
    ++streams_;
  }

  bz_stream stream_{};
  bool active_ = false;
  int streams_ = 0;
};

class XzInflater : public Inflater {
 public:
  explicit XzInflater(std::uint64_t memory) : memory_(memory) { start(); }
  XzInflater(const XzInflater&) = delete;
  XzInflater& operator=(const XzInflater&) = delete;
  ~XzInflater() override { lzma_end(&stream_); }

  Step step(std::span<const std::byte> in, std::span<std::byte> out) override {
    Step done;
    while (done.produced < out.size()) {
      if (ended_) {
        if (done.consumed == in.size()) break;
        // Stream padding, which xz(1) takes, is garbage here: a signer has no reason for it.
        if (in[done.consumed] != std::byte{0xfd}) {
          throw TrustError("there is garbage after the xz data");
        }
        start();
      }
      const auto input = in.subspan(done.consumed);
      const auto output = out.subspan(done.produced);
      stream_.next_in = reinterpret_cast<const std::uint8_t*>(input.data());
      stream_.avail_in = input.size();
      stream_.next_out = reinterpret_cast<std::uint8_t*>(output.data());
      stream_.avail_out = output.size();
      const lzma_ret result = lzma_code(&stream_, LZMA_RUN);
      done.consumed += input.size() - stream_.avail_in;
      done.produced += output.size() - stream_.avail_out;
      check(result);
      ended_ = result == LZMA_STREAM_END;
      const bool moved = stream_.avail_in != input.size() || stream_.avail_out != output.size();
      if (!ended_ && (!moved || (stream_.avail_in == 0 && stream_.avail_out != 0))) break;
    }
    return done;
  }

  void finish() override {
    if (!ended_) throw EarlyEndError("the xz data end too early", "the file is truncated");
  }

 private:
  void start() {
    // Reuses what an earlier stream allocated.
    if (lzma_stream_decoder(&stream_, memory_, 0) != LZMA_OK) throw Error("xz: out of memory");
    ended_ = false;
  }

  void check(lzma_ret result) const {
    switch (result) {
      case LZMA_OK:
      case LZMA_STREAM_END:
      case LZMA_BUF_ERROR:  // no progress without more input or room
        return;
      case LZMA_MEMLIMIT_ERROR:
        throw TrustError(
            fmt::format("the xz data need {} of memory, over the limit of {}",
                        formatByteSize(lzma_memusage(&stream_)), formatByteSize(memory_)),
            "compress with a smaller dictionary, or raise \"xzMemory\" in limits.d");
      case LZMA_MEM_ERROR:
        throw Error("xz: out of memory");
      default:
        throw TrustError(
            fmt::format("the xz data are damaged (error {})", static_cast<int>(result)));
    }
  }

  std::uint64_t memory_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool ended_ = false;
};

}  // namespace

Encoding detectEncoding(std::span<const std::byte> head) {
  if (startsWith(head, {0x1f, 0x8b})) return Encoding::gzip;
  if (startsWith(head, {'B', 'Z', 'h'})) return Encoding::bzip2;
  if (startsWith(head, {0xfd, '7', 'z', 'X', 'Z', 0x00})) return Encoding::xz;
  return Encoding::none;
}

std::unique_ptr<Inflater> makeInflater(Encoding encoding, std::uint64_t xzMemory) {
  switch (encoding) {
    case Encoding::none:
      return nullptr;
    case Encoding::gzip:
      return std::make_unique<GzipInflater>();
    case Encoding::bzip2:
      return std::make_unique<Bzip2Inflater>();
    case Encoding::xz:
      return std::make_unique<XzInflater>(xzMemory);
  }
  throw Error("unknown encoding");
}

}  // namespace actool::cas
