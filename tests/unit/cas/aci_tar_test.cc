#include "cas/aci_tar.h"

#include <archive.h>
#include <archive_entry.h>
#include <gtest/gtest.h>

#include "tests/unit/cas/aci_test_support.h"

namespace actool::cas {
namespace {

struct Read {
  TarEntry entry;
  std::string data;
};

std::vector<Read> readAll(const std::string& tar, const TarLimits& limits = {}) {
  StringSource source(tar, 700);
  TarReader reader(source, limits);
  std::vector<Read> all;
  while (auto entry = reader.next()) {
    std::string data;
    for (auto piece = reader.data(); !piece.empty(); piece = reader.data()) {
      data.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    }
    EXPECT_EQ(tar.substr(entry->dataOffset, entry->dataSize), data);
    all.push_back({std::move(*entry), std::move(data)});
  }
  EXPECT_EQ(reader.finish(), tar.size());
  return all;
}

std::string refusal(const std::string& tar, const TarLimits& limits = {}) {
  return errorOf([&] { readAll(tar, limits); });
}

std::string block(const RawEntry& entry) {
  return entry.str() + kTarEnd;
}

TEST(TarReader, ReadsUstarPrefixes) {
  RawEntry raw{.name = "c"};
  raw.fields = {{345, "a/b"}};
  EXPECT_EQ(readAll(block(raw))[0].entry.path, "a/b/c");
}

TEST(TarReader, ReadsV7) {
  RawEntry plain{.name = "a", .type = '\0', .content = "hello", .magic = ""};
  RawEntry old{.name = "d/", .type = '\0', .magic = ""};
  const auto all = readAll(plain.str() + old.str() + kTarEnd);
  EXPECT_EQ(all[0].data, "hello");
  EXPECT_EQ(all[1].entry.type, TarType::directory);
}

TEST(TarReader, ReadsGnuLongNamesAndLargeNumbers) {
  const std::string longName(300, 'n');
  RawEntry raw{.name = "short", .type = '2', .link = "short", .magic = "ustar  "};
  raw.fields = {{108, std::string("\x80\0\0\0\0\x2d\xc6\xc0", 8)},  // uid 3,000,000
                {136, std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12)}};  // -2
  const auto all = readAll(
      RawEntry{.name = "././@LongLink", .type = 'L', .content = longName + '\0'}.str() +
      RawEntry{.name = "././@LongLink", .type = 'K', .content = longName + "t"}.str() + block(raw));
  EXPECT_EQ(all[0].entry.path, longName);
  EXPECT_EQ(all[0].entry.linkTarget, longName + "t");
  EXPECT_EQ(all[0].entry.uid, 3'000'000u);
  EXPECT_EQ(all[0].entry.mtime, (TarTime{-2, 0}));
}

TEST(TarReader, ReadsPaxRecords) {
  const std::string name = "cafe\xcc\x81/\xff";  // neither composed nor valid UTF-8: bytes
  const auto all =
      readAll(pax(paxRecord("path", name) + paxRecord("mtime", "-1.25") +
                  paxRecord("uid", "4000000000") + paxRecord("SCHILY.xattr.user.a=b", "") +
                  paxRecord("SCHILY.xattr.security.capability", std::string("\1\0\n=", 4))) +
              block({.name = "x"}));
  EXPECT_EQ(all[0].entry.path, name);
  EXPECT_EQ(all[0].entry.mtime, (TarTime{-2, 750'000'000}));
  EXPECT_EQ(all[0].entry.uid, 4'000'000'000u);
  EXPECT_EQ(all[0].entry.xattrs.at("security.capability"), std::string("\1\0\n=", 4));
}

TEST(TarReader, ReadsEverySparseFormat) {
  const std::vector<SparsePiece> pieces = {{512, 3}, {2000, 2}};
  const std::string v00 =
      pax(paxRecord("GNU.sparse.size", "4096") + paxRecord("GNU.sparse.offset", "512") +
          paxRecord("GNU.sparse.numbytes", "3") + paxRecord("GNU.sparse.offset", "2000") +
          paxRecord("GNU.sparse.numbytes", "2"));
  const std::string v01 =
      pax(paxRecord("GNU.sparse.size", "4096") + paxRecord("GNU.sparse.map", "512,3,2000,2"));
  const std::string v10 =
      pax(paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
          paxRecord("GNU.sparse.name", "s") + paxRecord("GNU.sparse.realsize", "4096"));
  std::string map = "2\n512\n3\n2000\n2\n";
  map.resize(512, '\0');
  RawEntry old{.name = "s", .type = 'S', .content = "abcde", .magic = "ustar  "};
  old.fields = {{386, "00000001000"},
                {398, "00000000003"},
                {410, "00000003720"},
                {422, "00000000002"},
                {483, "00000010000"}};
  for (const std::string& tar :
       {v00 + block({.name = "s", .content = "abcde"}),
        v01 + block({.name = "s", .content = "abcde"}),
        v10 + block({.name = "GNUSparseFile.0/s", .content = map + "abcde"}), block(old)}) {
    const Read read = readAll(tar)[0];
    EXPECT_TRUE(read.entry.sparse);
    EXPECT_EQ(read.entry.path, "s");
    EXPECT_EQ(read.entry.size, 4096u);
    EXPECT_EQ(read.entry.pieces, pieces);
    EXPECT_EQ(read.data, "abcde");
  }
}

TEST(TarReader, RefusesSparseMapsThatAreNone) {
  const auto v01 = [](const std::string& map) {
    return refusal(pax(paxRecord("GNU.sparse.size", "4096") + paxRecord("GNU.sparse.map", map)) +
                   block({.name = "s", .content = "abcde"}));
  };
  const std::string overlap =
      "entry \"s\": a sparse map whose pieces overlap or lie outside the file";
  EXPECT_EQ(v01("0,3,2,2"), overlap);
  EXPECT_EQ(v01("4095,5"), overlap);
  EXPECT_EQ(v01("18446744073709551615,5"), overlap);
  EXPECT_EQ(v01("0,4"), "entry \"s\": a sparse map that does not add up to what is stored");
  EXPECT_EQ(v01("0,3,4"), "entry \"s\": GNU.sparse.map ends in an offset without a length");
  TarLimits few;
  few.sparsePieces = 1;
  EXPECT_EQ(
      refusal(pax(paxRecord("GNU.sparse.size", "9") + paxRecord("GNU.sparse.map", "0,1,2,4")) +
                  block({.name = "s", .content = "abcde"}),
              few),
      "entry \"s\": a sparse file of more than 1 pieces");
  std::string lie = "99999999999\n";
  lie.resize(512, '\0');
  EXPECT_EQ(refusal(pax(paxRecord("GNU.sparse.major", "1") + paxRecord("GNU.sparse.minor", "0") +
                        paxRecord("GNU.sparse.realsize", "4096")) +
                    block({.name = "s", .content = lie})),
            "entry \"s\": a sparse file of more than 262144 pieces");
}

TEST(TarReader, BoundsExtendedHeaders) {
  TarLimits limits;
  limits.extendedHeader = 4096;
  EXPECT_EQ(
      refusal(pax(paxRecord("comment", std::string(4000, 'c'))) + block({.name = "x"}), limits),
      "tar header at byte 0: extended headers of more than 4096 bytes");
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += pax("");
  EXPECT_EQ(refusal(many + block({.name = "x"}), limits),
            "tar header at byte 4096: extended headers of more than 4096 bytes");
  // A header that says it is 8 GiB long is refused before a byte of it is asked for.
  RawEntry huge{.name = "p", .type = 'x'};
  huge.fields = {{124, "77777777777"}};
  EXPECT_EQ(refusal(huge.str()),
            "tar header at byte 0: extended headers of more than 1048576 bytes");
}

TEST(TarReader, RefusesWhatReadersDisagreeOn) {
  RawEntry sized{.name = "d", .type = '5'};
  sized.fields = {{124, "00000001000"}};
  EXPECT_EQ(refusal(block(sized)), "entry \"d\": a directory with a size other than 0");
  EXPECT_EQ(refusal(block({.name = "f/"})), "entry \"f/\": a regular file whose name ends in '/'");
  EXPECT_EQ(refusal(block({.name = "v", .type = 'V'})),
            "entry \"v\": entries of type \"V\" have no place in an image");
  EXPECT_EQ(refusal(block({.name = "s", .type = '2'})), "entry \"s\": a link without a target");
  EXPECT_EQ(refusal(block({.name = ""})), "tar header at byte 0: an entry without a name");
  EXPECT_EQ(refusal(pax(paxRecord("uid", "4294967295")) + block({.name = "u"})),
            "entry \"u\": its user ID 4294967295 is too large");
  EXPECT_EQ(refusal(pax("9 a=b\n") + block({.name = "u"})),
            "tar header at byte 0: a pax record with a wrong length");
  EXPECT_EQ(refusal(RawEntry{.name = "g", .type = 'g', .content = paxRecord("path", "x")}.str() +
                    block({.name = "u"})),
            "tar header at byte 0: a global pax header that sets \"path\"");
  EXPECT_EQ(refusal(pax("") + kTarEnd),
            "tar header at byte 512: an extended header without an entry after it");
  std::string flipped = block({.name = "a"});
  flipped[5] = 'x';
  EXPECT_EQ(refusal(flipped),
            "tar header at byte 0: this is no tar header (the checksum does not match)");
}

TEST(TarWriter, WritesWhatTheReaderReads) {
  TarEntry entry;
  entry.mode = 04751;
  entry.uid = 5'000'000;
  entry.gid = 7;
  std::vector<TarEntry> entries;
  entry.path = "rootfs/" + std::string(90, 'a') + "/" + std::string(99, 'b');
  entry.size = entry.dataSize = 5;
  entry.mtime = {-2, 750'000'000};
  entry.xattrs = {{"user.empty", ""}, {"security.capability", std::string("\0\n=", 3)}};
  entries.push_back(entry);
  entry.path = std::string(120, 'n');
  entry.mtime = {1'000'000'000, 1};
  entry.xattrs.clear();
  entries.push_back(entry);
  entry.sparse = true;
  entry.path = "holes";
  entry.size = 1 << 20;
  entry.pieces = {{4096, 3}, {8192, 2}};
  entries.push_back(entry);
  entry.sparse = false;
  entry.pieces.clear();
  entry.size = entry.dataSize = 0;
  entry.type = TarType::symlink;
  entry.path = "link";
  entry.linkTarget = std::string(150, 't');
  entries.push_back(entry);
  entry.linkTarget.clear();
  entry.type = TarType::blockDevice;
  entry.path = "dev";
  entry.deviceMajor = 0xfff;
  entry.deviceMinor = 0xfffff;
  entries.push_back(entry);

  StringSink sink;
  TarWriter writer(sink);
  for (const TarEntry& one : entries) {
    writer.begin(one);
    if (one.dataSize > 0) writer.data(std::as_bytes(std::span("hello", 5)));
    writer.end();
  }
  writer.finish();
  const auto all = readAll(sink.text);
  ASSERT_EQ(all.size(), entries.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(all[i].entry.path, entries[i].path);
    EXPECT_EQ(all[i].entry.type, entries[i].type);
    EXPECT_EQ(all[i].entry.mode, entries[i].mode);
    EXPECT_EQ(all[i].entry.uid, entries[i].uid);
    EXPECT_EQ(all[i].entry.mtime, entries[i].mtime);
    EXPECT_EQ(all[i].entry.size, entries[i].size);
    EXPECT_EQ(all[i].entry.pieces, entries[i].pieces);
    EXPECT_EQ(all[i].entry.linkTarget, entries[i].linkTarget);
    EXPECT_EQ(all[i].entry.xattrs, entries[i].xattrs);
    EXPECT_EQ(all[i].entry.deviceMinor, entries[i].deviceMinor);
  }
}

// What libarchive writes in each of its formats, we read as it was meant.
TEST(TarReader, AgreesWithLibarchive) {
  for (const char* format : {"v7tar", "ustar", "gnutar", "pax"}) {
    SCOPED_TRACE(format);
    std::string buffer(1 << 20, '\0');
    std::size_t used = 0;
    archive* out = archive_write_new();
    ASSERT_EQ(archive_write_set_format_by_name(out, format), ARCHIVE_OK);
    ASSERT_EQ(archive_write_open_memory(out, buffer.data(), buffer.size(), &used), ARCHIVE_OK);
    const auto add = [&](const std::string& path, unsigned type, const std::string& content,
                         const char* link) {
      archive_entry* entry = archive_entry_new();
      archive_entry_set_pathname(entry, path.c_str());
      archive_entry_set_filetype(entry, type);
      archive_entry_set_perm(entry, 0640);
      archive_entry_set_uid(entry, 12);
      archive_entry_set_mtime(entry, 1'234'567'890, 0);
      archive_entry_set_size(entry, static_cast<la_int64_t>(content.size()));
      if (link != nullptr) archive_entry_set_symlink(entry, link);
      ASSERT_EQ(archive_write_header(out, entry), ARCHIVE_OK);
      archive_write_data(out, content.data(), content.size());
      archive_entry_free(entry);
    };
    add("d/", AE_IFDIR, "", nullptr);
    add("d/f", AE_IFREG, std::string(1000, 'f'), nullptr);
    add("d/l", AE_IFLNK, "", "../f");
    if (std::string(format) != "v7tar")
      add("d/" + std::string(97, 'x') + "/" + std::string(60, 'y'), AE_IFREG, "z", nullptr);
    ASSERT_EQ(archive_write_close(out), ARCHIVE_OK);
    archive_write_free(out);
    buffer.resize(used);

    const auto all = readAll(buffer);
    ASSERT_GE(all.size(), 3u);
    EXPECT_EQ(all[0].entry.type, TarType::directory);
    EXPECT_EQ(all[1].entry.path, "d/f");
    EXPECT_EQ(all[1].data, std::string(1000, 'f'));
    EXPECT_EQ(all[1].entry.mode, 0640u);
    EXPECT_EQ(all[1].entry.uid, 12u);
    EXPECT_EQ(all[1].entry.mtime, (TarTime{1'234'567'890, 0}));
    EXPECT_EQ(all[2].entry.linkTarget, "../f");
    if (all.size() > 3) {
      EXPECT_EQ(all[3].entry.path, "d/" + std::string(97, 'x') + "/" + std::string(60, 'y'));
    }
  }
}

}  // namespace
}  // namespace actool::cas
