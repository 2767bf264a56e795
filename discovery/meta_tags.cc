#include "discovery/meta_tags.h"

#include <fmt/format.h>
#include <gumbo.h>
#include <setjmp.h>
#include <time.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <optional>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::discovery {
namespace {

enum class Stop { none, memory, time };

// All of the parser's memory. Nothing is freed one by one: gumbo frees a tree by recursion,
// which deep pages turn into a stack overflow. gumbo checks no allocation either, so running
// out leaves it by longjmp(3): its frames own nothing but arena memory.
class Arena {
 public:
  Arena(std::size_t memory, std::chrono::milliseconds cpu) : memory_(memory), cpu_(cpu) {
    started_ = cpuTime();
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() {
    while (chunks_ != nullptr) {
      Chunk* next = chunks_->next;
      std::free(chunks_);
      chunks_ = next;
    }
  }

  void* allocate(std::size_t size) {
    if (++allocations_ % kAllocationsPerClockRead == 0 && cpuTime() - started_ > cpu_) {
      leave(Stop::time);
    }
    const std::size_t rounded = (size + kAlignment - 1) / kAlignment * kAlignment;
    if (rounded < size) leave(Stop::memory);
    if (rounded > left_) grow(rounded);
    char* result = next_;
    next_ += rounded;
    left_ -= rounded;
    return result;
  }

  Stop stop() const { return stop_; }
  jmp_buf& escape() { return escape_; }

 private:
  static constexpr std::size_t kAlignment = alignof(std::max_align_t);
  static constexpr std::size_t kChunkBytes = 256 << 10;
  static constexpr unsigned kAllocationsPerClockRead = 64;

  struct alignas(kAlignment) Chunk {
    Chunk* next;
  };

  static std::chrono::nanoseconds cpuTime() {
    timespec now{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
  }

  void grow(std::size_t size) {
    const std::size_t bytes = std::max(size, kChunkBytes);
    if (bytes > memory_ || used_ > memory_ - bytes) leave(Stop::memory);
    void* block = std::malloc(sizeof(Chunk) + bytes);
    if (block == nullptr) leave(Stop::memory);
    chunks_ = new (block) Chunk{chunks_};
    used_ += bytes;
    next_ = static_cast<char*>(block) + sizeof(Chunk);
    left_ = bytes;
  }

  [[noreturn]] void leave(Stop why) {
    stop_ = why;
    longjmp(escape_, 1);
  }

  const std::size_t memory_;
  const std::chrono::nanoseconds cpu_;
  std::chrono::nanoseconds started_{};
  std::size_t used_ = 0;
  unsigned allocations_ = 0;
  Chunk* chunks_ = nullptr;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  Stop stop_ = Stop::none;
  jmp_buf escape_;
};

void* allocateFrom(void* arena, std::size_t size) {
  return static_cast<Arena*>(arena)->allocate(size);
}

void keep(void* /*arena*/, void* /*block*/) {}

// Null when the arena was left; nothing with a destructor may live in this frame.
[[gnu::noinline]] const GumboOutput* parseIn(Arena& arena, const GumboOptions& options,
                                             const char* html, std::size_t size) {
  if (setjmp(arena.escape()) != 0) return nullptr;
  return gumbo_parse_with_options(&options, html, size);
}

bool isAsciiLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// The page up to its tag number `tags` + 1, counted generously: a '<' before a letter in a
// script counts too.
std::string_view cutAfterTags(std::string_view html, std::size_t tags) {
  std::size_t count = 0;
  for (std::size_t at = html.find('<'); at != std::string_view::npos; at = html.find('<', at + 1)) {
    if (at + 1 == html.size()) break;
    if (isAsciiLetter(html[at + 1]) && ++count > tags) return html.substr(0, at);
  }
  return html;
}

bool isSpace(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

std::string_view strip(std::string_view text) {
  while (!text.empty() && isSpace(text.front()))
    text.remove_prefix(1);
  while (!text.empty() && isSpace(text.back()))
    text.remove_suffix(1);
  return text;
}

std::optional<MetaTag> readMeta(const GumboElement& element, std::size_t contentBytes) {
  const GumboAttribute* name = gumbo_get_attribute(&element.attributes, "name");
  const GumboAttribute* content = gumbo_get_attribute(&element.attributes, "content");
  if (name == nullptr || content == nullptr) return std::nullopt;
  MetaTag tag;
  const std::string_view nameText = name->value;
  if (nameText == "ac-discovery-pubkeys") {
    tag.kind = MetaTag::Kind::keys;
  } else if (nameText == "ac-discovery-versions") {
    tag.kind = MetaTag::Kind::versions;
  } else if (nameText != "ac-discovery") {
    return std::nullopt;
  }
  const std::string_view text = strip(content->value);
  if (text.size() > contentBytes) return std::nullopt;
  std::size_t end = 0;
  while (end < text.size() && !isSpace(text[end]))
    ++end;
  tag.prefix = text.substr(0, end);
  tag.value = strip(text.substr(end));
  if (tag.prefix.empty() || tag.value.empty()) return std::nullopt;
  return tag;
}

// Without recursion: the tree may be as deep as the page has tags.
std::vector<MetaTag> collect(const GumboNode* root, const HtmlLimits& limits) {
  std::vector<MetaTag> tags;
  std::vector<const GumboNode*> pending{root};
  while (!pending.empty()) {
    const GumboNode* node = pending.back();
    pending.pop_back();
    // The content of <template> is inert: GUMBO_NODE_TEMPLATE is not entered.
    const bool document = node->type == GUMBO_NODE_DOCUMENT;
    if (!document && node->type != GUMBO_NODE_ELEMENT) continue;
    if (!document && node->v.element.tag == GUMBO_TAG_META &&
        node->v.element.tag_namespace == GUMBO_NAMESPACE_HTML) {
      if (std::optional<MetaTag> tag = readMeta(node->v.element, limits.contentBytes)) {
        if (tags.size() == limits.metas) {
          throw Error(fmt::format("the page has more than {} discovery tags", limits.metas));
        }
        tags.push_back(std::move(*tag));
      }
    }
    const GumboVector& children = document ? node->v.document.children : node->v.element.children;
    for (unsigned i = children.length; i > 0; --i) {
      pending.push_back(static_cast<const GumboNode*>(children.data[i - 1]));
    }
  }
  return tags;
}

}  // namespace

std::vector<MetaTag> extractMetaTags(std::string_view html, const HtmlLimits& limits) {
  if (html.size() > limits.bytes) {
    throw Error(fmt::format("the page is larger than {}", formatByteSize(limits.bytes)));
  }
  html = cutAfterTags(html, limits.tags);
  if (html.empty()) return {};

  Arena arena(limits.memory, limits.cpu);
  GumboOptions options = kGumboDefaultOptions;
  options.allocator = allocateFrom;
  options.deallocator = keep;
  options.userdata = &arena;
  options.max_errors = 0;  // a page may have a million of them, and nobody reads them
  const GumboOutput* output = parseIn(arena, options, html.data(), html.size());
  if (output == nullptr) {
    throw Error(arena.stop() == Stop::memory
                    ? fmt::format("the page's HTML needs more than {} of memory",
                                  formatByteSize(limits.memory))
                    : fmt::format("the page's HTML needs more than {} ms of processor time",
                                  limits.cpu.count()));
  }
  return collect(output->document, limits);
}

}  // namespace actool::discovery
