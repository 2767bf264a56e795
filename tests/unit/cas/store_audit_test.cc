// The audit log, and what an image's record keeps of where it came from.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "cas/care.h"
#include "cas/layout/audit.h"
#include "tests/unit/cas/store_test_support.h"

namespace actool::cas {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class AuditTest : public StoreTest {
 protected:
  std::vector<Json> lines() const {
    const std::string text = readFile(layout_.auditLog(), 64 << 20);
    std::vector<Json> found;
    for (const auto line : split(text, '\n')) {
      if (!line.empty()) found.push_back(parseJson(line, "line"));
    }
    return found;
  }
  std::vector<std::string> events() const {
    std::vector<std::string> found;
    for (const Json& line : lines())
      found.push_back(line["event"]);
    return found;
  }
  void note(const std::string& text) {
    audit(layout_, "test", {{kAuditRefuse, {{"why", auditText(text)}}}}, AuditSync::no);
  }

  std::string tar_ = imageTar("example.com/web", {"version=1.0.0"});
};

TEST_F(AuditTest, EveryImportRefusalAndRemovalIsALine) {
  IngestRequest request = signedRequest(tar_);
  request.requested = schema::AppRef::parse("example.com/web:1.0.0");
  request.source = "https://user:secret@example.com:8443/web.aci?token=secret#secret";
  request.via = "actool-fetch:https";
  const StoredImage image = ingest(request, tar_);
  ingest(request, tar_);
  request = signedRequest("not these");
  EXPECT_THROW(ingest(request, tar_), TrustError);
  StoreWriter(layout_).remove(image.id);
  ASSERT_THAT(events(), ElementsAre("import", "import", "refuse", "remove"));
  const Json first = lines()[0];
  EXPECT_EQ(first["image"], image.id.str());
  EXPECT_EQ(first["name"], "example.com/web:1.0.0");
  EXPECT_EQ(first["result"], "new");
  EXPECT_EQ(first["source"], "https://example.com:8443/web.aci");
  EXPECT_EQ(first["via"], "actool-fetch:https");
  EXPECT_EQ(first["trustRule"], "prefix example.com");
  EXPECT_EQ(first["namespace"], "default");
  EXPECT_EQ(first["uid"], ::getuid());
  EXPECT_EQ(lines()[1]["result"], "known");
  EXPECT_THAT(lines()[2]["why"].get<std::string>(), HasSubstr("bad signature"));
  EXPECT_EQ(lines()[3]["by"], "rm");
  EXPECT_THAT(readFile(layout_.auditLog(), 1 << 20), Not(HasSubstr("secret")));
}

TEST_F(AuditTest, ABrokenTransferIsNoRefusal) {
  IngestRequest request = signedRequest(tar_);
  request.size = tar_.size();
  EXPECT_THROW(ingest(request, tar_.substr(0, tar_.size() / 2)), TrustError);
  EXPECT_FALSE(actool::exists(layout_.auditLog()));
}

TEST_F(AuditTest, LinesOfManyWritersDoNotMix) {
  createStore(layout_);
  std::vector<std::thread> writers;
  for (int i = 0; i < 8; ++i) {
    writers.emplace_back([&, i] {
      for (int k = 0; k < 200; ++k)
        note(std::string(static_cast<std::size_t>(20 * i + 1), static_cast<char>('a' + i)));
    });
  }
  for (auto& writer : writers)
    writer.join();
  EXPECT_EQ(lines().size(), 1600U);
}

TEST_F(AuditTest, ACutLineIsNotContinued) {
  createStore(layout_);
  note("first");
  writeFilePlain(layout_.auditLog(), readFile(layout_.auditLog(), 4096) + "{\"kind\":\"au");
  note("last");
  const std::string text = readFile(layout_.auditLog(), 4096);
  EXPECT_THAT(text, HasSubstr("\n{\"kind\":\"au\n{"));
}

TEST_F(AuditTest, TheFileCanBeRenamedAway) {
  createStore(layout_);
  note("first");
  const Path old = layout_.auditLog().string() + ".1";
  ASSERT_EQ(::rename(layout_.auditLog().c_str(), old.c_str()), 0);
  note("second");
  EXPECT_EQ(lines().size(), 1U);
  EXPECT_TRUE(checkStore(layout_).foreign.empty());
  struct stat info {};
  ASSERT_EQ(::stat(layout_.auditLog().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0640U);
}

TEST_F(AuditTest, WhatCannotBeWrittenStopsNothing) {
  createStore(layout_);
  makeDirs(layout_.auditLog());
  const StoredImage image = ingestSigned(tar_);
  StoreWriter(layout_).remove(image.id);
  EXPECT_TRUE(listed().empty());
}

TEST_F(AuditTest, TextFromOutsideIsBoundedAndPrintable) {
  EXPECT_LE(auditText(std::string(10'000, 'x')).size(), 303U);
  EXPECT_EQ(auditText("a\nb\x1b"), "a\\x0ab\\x1b");
  EXPECT_EQ(auditSource("/srv/web.aci?x"), "/srv/web.aci?x");  // a path has no query
  EXPECT_EQ(auditSource("https://a:b@c@h/p@q?r"), "https://h/p@q");
  EXPECT_EQ(auditSource("https://h#f"), "https://h");
}

TEST_F(AuditTest, TheRecordSaysWhoAndWhy) {
  ASSERT_EQ(::setenv("SUDO_UID", "12345", 1), 0);
  IngestRequest request = signedRequest(tar_);
  request.requested = schema::AppRef::parse("example.com/web");
  request.source = "https://example.com/web.aci";
  request.via = "actool-fetch:https";
  const StoredImage image = ingest(request, tar_);
  ::unsetenv("SUDO_UID");
  ASSERT_EQ(image.imports.size(), 1U);
  const Import& import = image.imports[0];
  EXPECT_EQ(import.by.uid, ::getuid());
  EXPECT_EQ(import.by.sudoUid, 12345U);
  EXPECT_EQ(import.source, request.source);
  EXPECT_EQ(import.requested, "example.com/web");
  EXPECT_EQ(import.fingerprint, kFingerprint);
  EXPECT_EQ(import.trustRule, "prefix example.com");
  EXPECT_EQ(import.keyFile,
            (dir_.path() / "config/trustedkeys/prefix.d/example.com" / kFingerprint));
  const StoredImage read = StoredImage::fromJson(image.toJson());
  EXPECT_EQ(read.toJson(), image.toJson());
  EXPECT_EQ(read.imports[0].by.sudoUid, 12345U);
}

TEST_F(AuditTest, ARecordDoesNotGrowWithoutEnd) {
  StoredImage image = ingestSigned(tar_);
  const std::string first = image.imports[0].at;
  for (int i = 0; i < 200; ++i) {
    image.noteImport({.at = std::to_string(i)});
    image.noteSource({"https://example.com/" + std::to_string(i), "", "", ""});
    image.noteRequested({schema::AppRef::parse("example.com/web:1." + std::to_string(i)), ""});
  }
  EXPECT_EQ(image.imports.size(), kMostImports);
  EXPECT_EQ(image.imports.front().at, first);
  EXPECT_EQ(image.imports.back().at, "199");
  EXPECT_EQ(image.sources.size(), kMostRemembered);
  EXPECT_EQ(image.sources.back().url, "https://example.com/199");
  EXPECT_EQ(image.requested.size(), kMostRemembered);
}

}  // namespace
}  // namespace actool::cas
