#include <gtest/gtest.h>

#include "core/base/fs.h"
#include "run/metadata/service.h"

namespace actool::run::metadata {
namespace {

const std::string kId = "sha512-" + std::string(128, 'a');

PodMetadata pod() {
  PodMetadata data{.uuid = *Uuid::parse("11111111-2222-4333-8444-555555555555"),
                   .token = "token",
                   .key = "key",
                   .manifest = "{\"acKind\":\"PodManifest\"}",
                   .annotations = "[]",
                   .apps = {}};
  data.apps.emplace("web", AppMetadata{schema::ImageId::parse(kId), "{}", "[1]"});
  return data;
}

Reply get(const std::string& path) {
  return answer(pod(), "GET", "/token/acMetadata/v1/" + path, {});
}

TEST(MetadataService, WhatThereIs) {
  EXPECT_EQ(get("pod/uuid").body, "11111111-2222-4333-8444-555555555555");
  EXPECT_EQ(get("pod/uuid").contentType, "text/plain; charset=us-ascii");
  EXPECT_EQ(get("pod/manifest").body, pod().manifest);
  EXPECT_EQ(get("pod/manifest").contentType, "application/json");
  EXPECT_EQ(get("pod/annotations").body, "[]");
  EXPECT_EQ(get("apps/web/image/id").body, kId);
  EXPECT_EQ(get("apps/web/image/manifest").body, "{}");
  EXPECT_EQ(get("apps/web/annotations").body, "[1]");
}

TEST(MetadataService, WhatThereIsNot) {
  for (const char* path :
       {"", "pod", "pod/", "pod/uuid/", "apps", "apps/web", "apps/web/", "apps//image/id",
        "apps/other/image/id", "apps/web/image", "../pod/uuid"}) {
    EXPECT_EQ(get(path).status, 404) << path;
  }
  for (const char* path : {"", "/", "token", "/token", "/tokem/acMetadata/v1/pod/uuid",
                           "/toke/acMetadata/v1/pod/uuid", "/tokens/acMetadata/v1/pod/uuid",
                           "//acMetadata/v1/pod/uuid", "/token/acMetadata/v2/pod/uuid"}) {
    EXPECT_EQ(answer(pod(), "GET", path, {}).status, 404) << path;
  }
}

TEST(MetadataService, Methods) {
  EXPECT_EQ(answer(pod(), "POST", "/token/acMetadata/v1/pod/uuid", {}).status, 405);
  EXPECT_EQ(answer(pod(), "DELETE", "/token/acMetadata/v1/pod/uuid", {}).status, 405);
  EXPECT_EQ(get("pod/hmac/sign").status, 405);
}

TEST(MetadataService, SignsAndVerifies) {
  const auto post = [](const std::string& what, const Form& form) {
    return answer(pod(), "POST", "/token/acMetadata/v1/pod/hmac/" + what, form);
  };
  const Reply signature = post("sign", {{"content", "text"}});
  EXPECT_EQ(signature.status, 200);
  EXPECT_EQ(signature.body, sign("key", pod().uuid, "text"));
  EXPECT_EQ(signature.body.size(), 88u);  // the base64 of 64 bytes
  Form form{{"content", "text"}, {"uuid", pod().uuid.str()}, {"signature", signature.body}};
  EXPECT_EQ(post("verify", form).status, 200);
  form["content"] = "texts";
  EXPECT_EQ(post("verify", form).status, 403);
  form["content"] = "text";
  form["uuid"] = "11111111-2222-4333-8444-555555555556";
  EXPECT_EQ(post("verify", form).status, 403);
  form["uuid"] = "none";
  EXPECT_EQ(post("verify", form).status, 400);
  EXPECT_EQ(post("verify", {{"content", "text"}}).status, 400);
  EXPECT_EQ(post("sign", {}).status, 400);
}

}  // namespace
}  // namespace actool::run::metadata
