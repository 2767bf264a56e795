// What the store knows of one image beside its bytes: images/<hh>/<id>/image.json, from which
// the index is rebuilt. docs/store-format.md specifies it.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/record/record.h"
#include "core/schema/app_ref.h"
#include "core/schema/image_id.h"
#include "core/schema/labels.h"

namespace actool::cas {

// RFC 3339 in UTC with microseconds, at a fixed width: what happens within one second keeps its
// order, as text too.
std::string preciseTime(std::chrono::system_clock::time_point time);

// How the file as distributed wraps the tar.
enum class Encoding { none, gzip, bzip2, xz };
std::string_view name(Encoding encoding);
Encoding parseEncoding(std::string_view text);  // throws Error

// The file as distributed. With Encoding::none it is the tar itself, and one blob is both.
struct DistributedFile {
  Digest digest;  // SHA-256
  std::uint64_t size = 0;
  Encoding encoding = Encoding::none;
  bool kept = true;  // false once it was dropped to save space
};

// Who signed the image and why that was enough, as found when it came in.
struct SignatureInfo {
  Digest digest;            // SHA-256 of the bytes of signature.asc
  std::string fingerprint;  // primary key, lower-case hex
  std::string signingFingerprint;
  std::string userId;
  std::string created;       // RFC 3339, of the signature
  std::string trustRule;     // "prefix example.com/foo" or "root"
  std::string keyFile = {};  // of the keystore, by which it was; empty in records of older releases
};

// A name under which the image was asked for. Times are RFC 3339.
struct RequestedAs {
  schema::AppRef ref;
  std::string at;
};

// A URL or path from which the image came.
struct Source {
  std::string url;
  std::string etag;       // may be empty
  std::string expires;    // until when the server said not to ask again; may be empty
  std::string confirmed;  // when the server last said that these are the bytes
};

// Who ran a tool.
struct Person {
  std::uint64_t uid = 0;
  std::string name = {};                      // of the account; empty when it has none
  std::optional<std::uint64_t> sudoUid = {};  // who called sudo, as sudo says
  std::string sudoName = {};

  std::string describe() const;  // "root (uid 0), for alice (uid 1000) by sudo"
};

// One time that the image came in: who asked for what, how it came, and why it was let in.
struct Import {
  std::string at = {};
  Person by = {};
  std::string via = {};          // tool and transport: "actool-fetch:https"
  std::string source = {};       // as in sources; may be empty
  std::string requested = {};    // may be empty
  std::string fingerprint = {};  // of the primary key; empty when nothing was verified
  std::string trustRule = {};
  std::string keyFile = {};
};

// How many of each an image remembers. An image that is confirmed for years from ever other mirrors
// would make its record grow without end.
inline constexpr std::size_t kMostRemembered = 64;
inline constexpr std::size_t kMostImports = 16;

struct StoredImage {
  schema::ImageId id;
  schema::AcIdentifier name;
  schema::Labels labels;
  std::uint64_t tarSize = 0;
  DistributedFile distributed;
  std::string imported;
  std::optional<SignatureInfo> signature;  // nothing: never verified
  std::vector<RequestedAs> requested;      // latest last, each ref once
  std::vector<Source> sources;             // latest last, each URL once
  std::vector<Import> imports = {};        // latest last; the first one is never forgotten

  // The blob that holds the file as distributed.
  Digest distributedBlob() const {
    return distributed.encoding == Encoding::none ? id.tarDigest() : distributed.digest;
  }
  // Puts in or replaces; the newest goes last.
  void noteRequested(RequestedAs request);
  void noteSource(Source source);
  void noteImport(Import import);

  Json toJson() const;
  static StoredImage fromJson(const Json& object);  // throws Error naming the member
  static StoredImage parse(std::string_view text, std::string_view what);
  // `requested` is the latest name it was asked for by.
  record::Image record() const;
};

}  // namespace actool::cas
