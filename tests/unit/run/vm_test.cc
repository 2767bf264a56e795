// The virtual machine executor: what is decided and parsed before and beside a machine.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/fs.h"
#include "run/vm/disks.h"
#include "run/vm/guest_config.h"
#include "run/vm/initrd.h"
#include "run/vm/kernel.h"
#include "run/vm/machine.h"
#include "run/vm/modules.h"
#include "run/vm/outlet.h"
#include "run/vm/wire.h"
#include "tests/unit/run/native_test_support.h"

namespace actool::run::vm {
namespace {

constexpr const char* kDep =
    "kernel/drivers/virtio/virtio-ring.ko:\n"
    "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio-ring.ko\n"
    "kernel/drivers/block/virtio_blk.ko.xz: kernel/drivers/virtio/virtio.ko "
    "kernel/drivers/virtio/virtio-ring.ko\n";

TEST(VmModules, NeededOnesComeFirstAndOnce) {
  const std::vector<std::string> expected{"kernel/drivers/virtio/virtio-ring.ko",
                                          "kernel/drivers/virtio/virtio.ko",
                                          "kernel/drivers/block/virtio_blk.ko.xz"};
  EXPECT_EQ(modulesToLoad(kDep, "", {"virtio_blk", "virtio"}), expected);
}

TEST(VmModules, BuiltInOnesAreLeftOut) {
  EXPECT_TRUE(modulesToLoad(kDep, "kernel/fs/overlayfs/overlay.ko\n", {"overlay"}).empty());
  EXPECT_THROW(modulesToLoad(kDep, "", {"overlay"}), NotFoundError);
}

TEST(VmKernel, ReleaseIsInTheHeaderOrTheName) {
  std::string head(0x400, '\0');
  head.replace(0x202, 4, "HdrS");
  head[0x20e] = '\x10';
  head[0x20f] = '\x01';
  head.replace(0x310, 22, "6.1.0-13-amd64 (debian");
  EXPECT_EQ(kernelRelease(head, "vmlinuz-5.0"), "6.1.0-13-amd64");
  EXPECT_EQ(kernelRelease("ELF", "vmlinuz-5.0"), "5.0");
  EXPECT_EQ(kernelRelease("ELF", "bzImage"), "");
  head[0x20f] = '\x7f';  // outside of what was read
  EXPECT_EQ(kernelRelease(head, "vmlinuz-5.0"), "5.0");
}

TEST(VmKernel, ModulesBesideTheKernelAndWhatIsMissing) {
  const TempDir dir(tempRoot());
  makeDirs(dir.path() / "boot");
  makeDirs(dir.path() / "lib/modules/1.2");
  writeFilePlain(dir.path() / "boot/vmlinuz-1.2", "x");
  writeFilePlain(dir.path() / "lib/modules/1.2/modules.dep", kDep);
  const GuestKernel kernel = findKernel(dir.path() / "boot/vmlinuz-1.2", {"virtio"});
  EXPECT_EQ(kernel.modulesDir, dir.path() / "lib/modules/1.2");
  EXPECT_EQ(kernel.modules.size(), 2U);
  EXPECT_THROW(findKernel(dir.path() / "boot/vmlinuz-1.2", {"erofs"}), NotFoundError);
  EXPECT_THROW(findKernel(dir.path() / "boot/none", {"erofs"}), SystemError);
}

TEST(VmWire, FramesComeOutAsTheyWentIn) {
  std::string stream =
      encodeFrame(FrameKind::output, 7, "hello") + encodeFrame(FrameKind::ended, 65535, "") + "O";
  const auto first = takeFrame(stream);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->kind, FrameKind::output);
  EXPECT_EQ(first->job, 7);
  EXPECT_EQ(first->payload, "hello");
  EXPECT_EQ(takeFrame(stream)->job, 65535);
  EXPECT_FALSE(takeFrame(stream));
  EXPECT_EQ(stream, "O");
}

TEST(VmWire, WhatIsNoFrameIsRefused) {
  std::string unknown = "?\0\0\0\0\0\0";
  unknown.resize(7);
  EXPECT_THROW(takeFrame(unknown), Error);
  std::string large("O\0\0\0\0\0\x7f", 7);
  EXPECT_THROW(takeFrame(large), Error);
}

TEST(VmWire, ALinkNeverBlocksAndLosesNothing) {
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
  Link one{UniqueFd(fds[0])};
  Link other{UniqueFd(fds[1])};
  const std::string payload(kMaxFramePayload, 'x');
  for (int i = 0; i < 3; ++i)
    one.send(FrameKind::output, kPodJob, payload);
  EXPECT_GT(one.backlog(), 0U);
  int frames = 0;
  while (frames < 3) {
    one.flush();
    ASSERT_TRUE(other.fill());
    while (const auto frame = other.next()) {
      EXPECT_EQ(frame->payload, payload);
      ++frames;
    }
  }
  EXPECT_EQ(one.backlog(), 0U);
}

TEST(VmGuestConfig, RoundTrip) {
  GuestConfig config;
  config.arguments = {"--net=none", "x"};
  config.roots = {{"disk0", {"disk1", "disk2"}}, {"", {}}};
  config.modules = {"0.ko"};
  config.shared = config.terminal = true;
  config.term = "xterm";
  const GuestConfig read = parseGuestConfig(formatGuestConfig(config));
  EXPECT_EQ(read.arguments, config.arguments);
  EXPECT_EQ(read.modules, config.modules);
  ASSERT_EQ(read.roots.size(), 2U);
  EXPECT_EQ(read.roots[0].devices, config.roots[0].devices);
  EXPECT_TRUE(read.shared && read.terminal && !read.network);
  EXPECT_THROW(parseGuestConfig("{}"), Error);
  EXPECT_THROW(parseEnterRequest(R"({"app":"a","command":[]})"), Error);
  EXPECT_EQ(parseEnterRequest(formatEnterRequest({"a", {"ls", "/"}, true, ""})).command.size(), 2U);
}

bool has(const std::vector<std::string>& argv, std::string_view text) {
  return std::any_of(argv.begin(), argv.end(),
                     [&](const std::string& one) { return one.find(text) != std::string::npos; });
}

TEST(VmMachine, IsAMicrovmUnlessSomethingIsShared) {
  Machine machine;
  machine.memoryMib = 200;
  machine.disks = {{"/store/a,b\"c", "disk0"}};
  std::vector<std::string> argv = machineCommand("/q", machine);
  EXPECT_TRUE(has(argv, "microvm") && has(argv, "virtio-blk-device,drive=disk0,serial=disk0"));
  EXPECT_TRUE(has(argv, "200M") && has(argv, "tsc_early_khz"));
  EXPECT_TRUE(has(argv, R"("filename":"/store/a,b\"c")"));
  machine.shareSocket = "vm/fs";
  machine.kvm = true;
  argv = machineCommand("/q", machine);
  EXPECT_TRUE(has(argv, "q35,memory-backend=memory") && has(argv, "vhost-user-fs-pci"));
  EXPECT_FALSE(has(argv, "tsc_early_khz") || has(argv, "microvm"));
  machine.shareSocket.clear();
  machine.disks.resize(kMostDisks);
  EXPECT_TRUE(has(machineCommand("/q", machine), "q35"));
}

TEST(VmMachine, PortsAreForwarded) {
  const Json mappings =
      parseJson(R"([{"hostPort":8080,"containerPort":80,"protocol":"tcp","hostIP":"127.0.0.1"},)"
                R"({"hostPort":53,"containerPort":53,"protocol":"udp"}])",
                "mappings");
  const std::vector<std::string> expected{"tcp:127.0.0.1:8080-:80", "udp::53-:53"};
  EXPECT_EQ(portForwards(mappings), expected);
  const Json other = parseJson(
      R"([{"hostPort":1,"containerPort":1,"protocol":"tcp","hostIP":"::1,x"}])", "mappings");
  EXPECT_THROW(portForwards(other), UsageError);
  Machine machine;
  machine.userNetwork = true;
  machine.forwards = expected;
  EXPECT_TRUE(has(machineCommand("/q", machine),
                  "user,id=net,hostfwd=tcp:127.0.0.1:8080-:80,hostfwd=udp::53-:53"));
}

native::PodPlan planWith(const std::string& isolators, int apps) {
  native::PodPlan plan{
      native::RunOptions(*Uuid::parse("11111111-2222-4333-8444-555555555555")), "", {}, {}, {}};
  for (int i = 0; i < apps; ++i) {
    native::AppPlan app(schema::AcName::parse("a" + std::to_string(i)));
    app.app.isolators = schema::Isolators::fromJson(parseJson(isolators, "isolators"));
    plan.apps.push_back(std::move(app));
  }
  return plan;
}

TEST(VmMachine, SizeIsWhatTheIsolatorsSay) {
  const std::string limits = R"([{"name":"resource/memory","value":{"limit":"64Mi"}},)"
                             R"({"name":"resource/cpu","value":{"limit":"1500m"}}])";
  EXPECT_EQ(guestMemoryMib(planWith("[]", 1)), 512U);
  const std::uint64_t one = guestMemoryMib(planWith(limits, 1));
  EXPECT_GE(one, 64U + 64U);
  EXPECT_GE(guestMemoryMib(planWith(limits, 2)), one + 64U);
  EXPECT_EQ(guestCpus(planWith("[]", 1), 8, 3), 3U);
  EXPECT_EQ(guestCpus(planWith(limits, 1), 8, 3), 2U);
  EXPECT_EQ(guestCpus(planWith(limits, 9), 8, 3), 8U);
}

TEST(VmDisks, OneImageIsOneSetOfDisksAndAnUnpackedOneIsNone) {
  const TempDir dir(tempRoot());
  const PodLayout layout(dir.path() / "pod");
  const std::string id = "sha512-" + std::string(128, 'a');
  const Path tar = dir.path() / "blobs/sha512/aa" / std::string(128, 'a');
  makeDirs(tar.parent_path());
  makeDirs(dir.path() / "trees/key");
  writeFilePlain(dir.path() / "trees/key/erofs", "x");
  writeFilePlain(dir.path() / "trees/key/devices", id + " 5\n");
  native::PodPlan plan = planWith("[]", 3);
  for (int i = 0; i < 3; ++i) {
    const schema::AcName& name = plan.apps[static_cast<std::size_t>(i)].name;
    makeDirs(layout.appInfoDir(name));
    const std::string tree = i < 2 ? "erofs" : "rootfs";
    writeFilePlain(layout.appTreeFile(name), (dir.path() / "trees/key" / tree).string() + "\n");
  }
  EXPECT_THROW(findDisks(plan, layout), NotFoundError);
  writeFilePlain(tar, "12345");
  const PodDisks found = findDisks(plan, layout);
  ASSERT_EQ(found.disks.size(), 2U);
  EXPECT_EQ(found.disks[1].file, tar);
  EXPECT_EQ(found.roots[1].index, "disk0");
  EXPECT_EQ(found.roots[1].devices, std::vector<std::string>{"disk1"});
  EXPECT_EQ(found.roots[2].index, "");
  writeFilePlain(layout.copiedMark(), "");
  EXPECT_TRUE(findDisks(plan, layout).disks.empty());
}

TEST(VmInitrd, IsACpioArchiveWithItsDirectories) {
  Initrd initrd;
  initrd.addText("actool/pod/pod", "manifest", 0600);
  initrd.addText("actool/config", "{}");
  const UniqueFd file = initrd.finish();
  const std::string bytes = readAll(file.get(), 1 << 20, "archive");
  EXPECT_EQ(bytes.substr(0, 6), "070701");
  for (const char* part : {"actool/pod", "manifest", "TRAILER!!!"})
    EXPECT_NE(bytes.find(part), std::string::npos) << part;
}

TEST(VmOutlet, GoesOnAfterAReaderIsGone) {
  Pipe pipe = makePipe();
  Outlet outlet(pipe.write.get());
  outlet.add(std::string(1 << 20, 'x'));
  std::vector<pollfd> fds;
  outlet.addTo(fds);
  ASSERT_EQ(fds.size(), 1U);
  ASSERT_EQ(::poll(fds.data(), 1, 0), 1);
  EXPECT_GT(outlet.handle(fds), 0U);
  ::signal(SIGPIPE, SIG_IGN);
  pipe.read.reset();
  outlet.drain();
  fds.clear();
  outlet.addTo(fds);
  EXPECT_TRUE(fds.empty());
}

}  // namespace
}  // namespace actool::run::vm
