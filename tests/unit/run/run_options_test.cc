#include "run/run_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/fs.h"

namespace actool::run {
namespace {

RunRequest parse(const std::vector<std::string>& words) {
  cli::Globals globals;
  return parseRun(globals, words);
}

std::string refusedWords(const std::vector<std::string>& words) {
  try {
    parse(words);
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

using Words = std::vector<std::string>;

// rkt's own table (rkt/cli_apps_test.go), in its cases.
TEST(RunOptions, SplitsImagesAndArgumentsAsRktDoes) {
  RunRequest request = parse({"example.com/foo", "example.com/bar", "--", "--help", "---",
                              "example.com/baz", "--", "--verbose"});
  ASSERT_EQ(request.apps.size(), 3u);
  EXPECT_EQ(request.apps[0].image, "example.com/foo");
  EXPECT_EQ(request.apps[0].options.args, Words{});
  EXPECT_EQ(request.apps[1].image, "example.com/bar");
  EXPECT_EQ(request.apps[1].options.args, Words{"--help"});
  EXPECT_EQ(request.apps[2].options.args, Words{"--verbose"});

  request = parse({"example.com/foo", "---", "example.com/bar", "---", "example.com/baz", "---"});
  ASSERT_EQ(request.apps.size(), 3u);
  EXPECT_EQ(request.apps[2].options.args, Words{});
}

TEST(RunOptions, ArgumentsAreTakenAsTheyAre) {
  const RunRequest request =
      parse({"a.com/x", "--", "--exec=no", "--", "", "-x", "--net=foo", "---", "a.com/y"});
  ASSERT_EQ(request.apps.size(), 2u);
  EXPECT_EQ(request.apps[0].options.args, (Words{"--exec=no", "--", "", "-x", "--net=foo"}));
  EXPECT_EQ(request.apps[0].options.exec, "");
}

TEST(RunOptions, OptionsBelongToTheImageBeforeThem) {
  const RunRequest request = parse({"--hostname=h",
                                    "--volume=data,kind=empty",
                                    "--mount",
                                    "volume=data,target=/all",
                                    "a.com/x",
                                    "--exec",
                                    "/bin/x",
                                    "--environment=A=b=c",
                                    "--set-env=G=1",
                                    "--mount=volume=data,target=/one",
                                    "--readonly-rootfs",
                                    "--",
                                    "1",
                                    "---",
                                    "a.com/y",
                                    "--name=why",
                                    "--user=5",
                                    "--group",
                                    "6",
                                    "--working-dir=/w",
                                    "--debug",
                                    "--inherit-env"});
  EXPECT_EQ(request.pod.hostname, "h");
  EXPECT_TRUE(request.pod.inheritEnv);
  ASSERT_EQ(request.pod.volumes.size(), 1u);
  ASSERT_EQ(request.pod.mounts.size(), 1u);
  EXPECT_EQ(request.pod.mounts[0].path, "/all");
  ASSERT_EQ(request.pod.setEnv.size(), 1u);
  ASSERT_EQ(request.apps.size(), 2u);
  const AppOptions& x = request.apps[0].options;
  EXPECT_EQ(x.exec, "/bin/x");
  EXPECT_EQ(x.args, Words{"1"});
  ASSERT_EQ(x.environment.size(), 1u);
  EXPECT_EQ(x.environment[0].name, "A");
  EXPECT_EQ(x.environment[0].value, "b=c");
  ASSERT_EQ(x.mounts.size(), 1u);
  EXPECT_EQ(x.mounts[0].path, "/one");
  EXPECT_TRUE(x.readOnlyRootfs);
  const AppOptions& y = request.apps[1].options;
  EXPECT_EQ(y.name->str(), "why");
  EXPECT_EQ(y.user, "5");
  EXPECT_EQ(y.group, "6");
  EXPECT_EQ(y.workingDir, "/w");
  EXPECT_FALSE(y.readOnlyRootfs);
  EXPECT_EQ(y.exec, "");
}

TEST(RunOptions, RepeatedOptionsKeepTheirOrder) {
  const RunRequest request =
      parse({"--set-env=A=1", "--set-env", "B=2", "a.com/x", "--set-env=A=3"});
  ASSERT_EQ(request.pod.setEnv.size(), 3u);
  EXPECT_EQ(request.pod.setEnv[0].value, "1");
  EXPECT_EQ(request.pod.setEnv[1].name, "B");
  EXPECT_EQ(request.pod.setEnv[2].value, "3");
}

TEST(RunOptions, ValuesMayLookLikeOptionsOnlyAfterEquals) {
  EXPECT_EQ(parse({"a.com/x", "--exec=-x"}).apps[0].options.exec, "-x");
  EXPECT_EQ(parse({"a.com/x", "--hostname", "h"}).pod.hostname, "h");
}

TEST(RunOptions, OptionsWithoutAnImageAreForStandardInput) {
  const RunRequest request = parse({"--exec=/bin/x", "--", "a", "b"});
  EXPECT_TRUE(request.apps.empty());
  ASSERT_TRUE(request.withoutImage.has_value());
  EXPECT_EQ(request.withoutImage->exec, "/bin/x");
  EXPECT_EQ(request.withoutImage->args, (Words{"a", "b"}));
  EXPECT_FALSE(parse({"--hostname=x"}).withoutImage.has_value());
}

TEST(RunOptions, Networks) {
  EXPECT_EQ(parse({"a.com/x"}).pod.net, "none");
  EXPECT_EQ(parse({"--net=host", "a.com/x"}).pod.net, "host");
  EXPECT_EQ(parse({"--net", "a.com/x"}).pod.net, "default");
  EXPECT_EQ(parse({"--net=a", "a.com/x", "--net=b:IP=1.2.3.4"}).pod.net, "a,b:IP=1.2.3.4");
  EXPECT_EQ(refusedWords({"--net=a,host", "a.com/x"}), "--net: 'host' stands alone");
  EXPECT_EQ(refusedWords({"--net=a", "--net=a", "a.com/x"}), "--net: network a stands twice");
  EXPECT_EQ(refusedWords({"--net=a/b", "a.com/x"}), "--net: 'a/b' is not the name of a network");
  EXPECT_EQ(refusedWords({"--net=a:b", "a.com/x"}),
            "--net: 'b' of network a is not KEY=VALUE; write --net=NAME:KEY=VALUE;KEY=VALUE");
}

TEST(RunOptions, Ports) {
  const PodOptions pod =
      parse({"--net", "--port=www:8080", "--port=dns:127.0.0.1:53", "a.com/x"}).pod;
  ASSERT_EQ(pod.ports.size(), 2U);
  EXPECT_EQ(pod.ports[0].name.str(), "www");
  EXPECT_EQ(pod.ports[0].hostPort, 8080);
  EXPECT_EQ(pod.ports[1].hostIp, "127.0.0.1");
  EXPECT_EQ(refusedWords({"--port=www:80", "a.com/x"}),
            "--port: with --net=none nothing leads to the pod's ports; use a network: "
            "--net=default");
  EXPECT_EQ(refusedWords({"--net", "--port=www", "a.com/x"}), "--port: 'www' is not NAME:HOSTPORT");
}

TEST(RunOptions, NamesAndServers) {
  const PodOptions pod = parse({"--dns=10.0.0.1,10.0.0.2", "--dns-search=a.b", "--hosts-entry",
                                "10.0.0.3=db", "a.com/x"})
                             .pod;
  EXPECT_EQ(pod.dnsResolv, "stage0");
  EXPECT_EQ(pod.dnsHosts, "stage0");
  EXPECT_EQ(pod.dnsServers, (Words{"10.0.0.1", "10.0.0.2"}));
  EXPECT_EQ(parse({"--dns=host", "a.com/x"}).pod.dnsResolv, "host");
  EXPECT_EQ(refusedWords({"--dns=host", "--dns=10.0.0.1", "a.com/x"}),
            "--dns=host and other settings of DNS exclude each other");
  EXPECT_EQ(refusedWords({"--dns=nowhere", "a.com/x"}),
            "--dns: 'nowhere' is no address; give addresses of servers, host or none");
  EXPECT_EQ(refusedWords({"--dns-search=a b", "a.com/x"}), "--dns-search: 'a b' is no name");
  EXPECT_EQ(refusedWords({"--hosts-entry=db", "a.com/x"}),
            "--hosts-entry: 'db' is not ADDRESS=NAME; write ADDRESS=NAME, or host for the host's "
            "/etc/hosts");
}

TEST(RunOptions, Refusals) {
  const std::vector<std::pair<Words, std::string>> table = {
      {{"--exec=/x", "a.com/x"},
       "--exec stands before the first image; put it after the image it is for"},
      {{"--", "x", "---", "a.com/x"},
       "-- stands before the first image; put it after the image it is for"},
      {{"a.com/x", "--", "1", "---", "--", "2"},
       "'--' stands twice after one image; end an app's arguments with '---' before the next "
       "image"},
      {{"a.com/x", "--exce=/x"}, "there is no option --exce; did you mean --exec?"},
      {{"a.com/x", "-q"},
       "there is no option -q; options of the app itself go after '--'; see actool run --help"},
      {{"a.com/x", "--exec"}, "--exec needs a value"},
      {{"a.com/x", "--exec", "--", "1"}, "--exec needs a value"},
      {{"a.com/x", "--exec="}, "--exec needs a value after '='"},
      {{"a.com/x", "--environment=A"}, "--environment: 'A' is not NAME=VALUE"},
      {{"--set-env==x", "a.com/x"}, "--set-env: '=x' is not NAME=VALUE"},
      {{"a.com/x", "--working-dir=rel"}, "--working-dir: 'rel' is not an absolute path"},
      {{"a.com/x", "--mount=volume=v"},
       "--mount: 'volume=v' lacks a volume or an absolute target; write --mount "
       "volume=NAME,target=/path"},
      {{"a.com/x", "--mount=volume=v,target=/a/../b"},
       "--mount: the target '/a/../b' has '..' in it"},
      {{"a.com/x", "--mount=volume=v,target=/a,foo=1"},
       "--mount: 'foo=1' is not known or stands twice; write --mount volume=NAME,target=/path"},
      {{"--pull-policy=maybe", "a.com/x"},
       "--pull-policy: 'maybe' is not known; it is one of new, update and never"},
      {{"--ipc=x", "a.com/x"}, "--ipc: 'x' is not known; it is one of auto, private, parent"},
      {{"--stage1-path=/a", "--stage1-name=b", "a.com/x"},
       "only one of the options --stage1-* may be given"},
      {{"--interactive", "a.com/x", "a.com/y"}, "--interactive is for pods of one app"},
      {{"--pod-manifest=/p", "a.com/x"},
       "--pod-manifest and images or their options exclude each other; the manifest says what the "
       "apps are"},
      {{"--pod-manifest=/p", "--set-env=A=b"},
       "--pod-manifest and --set-env exclude each other; put it into the manifest"},
      {{"--pod-manifest=/p", "--inherit-env"},
       "--pod-manifest and --inherit-env exclude each other; put it into the manifest"},
  };
  for (const auto& [words, message] : table)
    EXPECT_EQ(refusedWords(words), message);
}

TEST(RunOptions, EnvironmentFiles) {
  const TempDir scratch(tempRoot());
  const Path file = scratch.path() / "env";
  writeFilePlain(file, "# a comment\n; another\n\nA=1\nB=two words\n");
  const std::vector<schema::EnvVar> variables = parseEnvFile(file);
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[1].value, "two words");
  writeFilePlain(file, "A=1\nB\n");
  EXPECT_EQ(refusedWords({"--set-env-file=" + file.string(), "a.com/x"}),
            file.string() + ":2: 'B' is not NAME=VALUE");
}

TEST(RunOptions, EachCommandHasItsOwn) {
  const auto refused = [](RunWords which, const Words& words) -> std::string {
    cli::Globals globals;
    try {
      parseRun(globals, words, which);
    } catch (const Error& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  EXPECT_THAT(refused(RunWords::prepare, {"--hostname=x", "a.com/x"}),
              testing::HasSubstr("there is no option --hostname"));
  EXPECT_THAT(refused(RunWords::runPrepared, {"--volume=v,kind=empty", "uuid"}),
              testing::HasSubstr("there is no option --volume"));
  EXPECT_THAT(refused(RunWords::run, {"--quiet", "a.com/x"}),
              testing::HasSubstr("there is no option --quiet"));
  cli::Globals globals;
  const RunRequest request =
      parseRun(globals, {"--hostname", "h", "5bc080ca"}, RunWords::runPrepared);
  ASSERT_EQ(request.apps.size(), 1u);
  EXPECT_EQ(request.apps[0].image, "5bc080ca");
  EXPECT_EQ(request.pod.hostname, "h");
}

TEST(RunOptions, AnnotationsLabelsAndGroups) {
  const RunRequest request =
      parse({"a.com/x", "--user-label=a=b=c", "--user-annotation=d=", "--annotation=e=f",
             "--supplementary-gids=1,2", "--supplementary-gids=3", "--signature=x.asc"});
  const AppOptions& options = request.apps.at(0).options;
  EXPECT_EQ(options.userLabels.at("a"), "b=c");
  EXPECT_EQ(options.userAnnotations.at("d"), "");
  EXPECT_EQ(options.annotations.at("e"), "f");
  EXPECT_EQ(options.supplementaryGids, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(options.signature, "x.asc");
  EXPECT_THAT(refusedWords({"a.com/x", "--user-label=a=b", "--user-label=a=c"}),
              testing::HasSubstr("'a' is given twice"));
  EXPECT_THAT(refusedWords({"a.com/x", "--supplementary-gids=1,-2"}),
              testing::HasSubstr("'-2' is no group number"));
}

}  // namespace
}  // namespace actool::run
