// Checks EROFS metadata before a kernel sees it: kernels believe most of what they mount.
//
// Independent of the writer, and strict: what passes is within the part of EROFS that is written
// here (format.h). Every number is in bounds and every name in order, directories form one tree,
// link counts are right, no two things share bytes of the image, the data of every file lies
// within one device, and bits without a meaning are zero. The data of files is not looked at: it is
// in the tars. Time and memory go with the size of the image, whatever is in it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace actool::cas {

// `deviceSizes` are the bytes of the extra devices in their order. Throws TrustError saying what
// is wrong and where.
void checkErofs(std::span<const std::byte> image, std::span<const std::uint64_t> deviceSizes);

// The same of a file, which is mapped into memory: nobody may cut it short meanwhile.
void checkErofs(int metadata, std::span<const std::uint64_t> deviceSizes);

}  // namespace actool::cas
