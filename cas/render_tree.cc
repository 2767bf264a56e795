#include "cas/render_tree.h"

#include <fcntl.h>

#include <unordered_map>

#include "cas/aci_file_source.h"
#include "cas/aci_path.h"
#include "core/base/error.h"

namespace actool::cas {

namespace {

enum class Verdict { no, onTheWay, yes };

// What the whitelists say together. Above a listed path only directories pass.
Verdict judge(const RenderLayer& layer, const std::string& path, bool directory) {
  Verdict verdict = Verdict::yes;
  for (const auto& whitelist : layer.whitelists) {
    if (whitelist->lists(path)) continue;
    if (!directory || !whitelist->leadsTo(path)) return Verdict::no;
    verdict = Verdict::onTheWay;
  }
  return verdict;
}

bool pruneBelow(RenderNode& node) {
  std::erase_if(node.children, [](const auto& child) { return pruneBelow(*child.second); });
  return node.directory && !node.wanted && node.children.empty();
}

}  // namespace

RenderTree::RenderTree(std::size_t maxInodes) : maxInodes_(maxInodes) {
  implied_.type = TarType::directory;
  implied_.mode = 0755;
}

const TarEntry& RenderTree::directoryEntry(const RenderNode& node) const {
  return node.inode == RenderNode::kNoInode ? implied_ : inodes_[node.inode].entry;
}

LayeredTree::LayeredTree(const std::vector<RenderLayer>& layers) {
  for (const RenderLayer& layer : layers) {
    tars_.push_back(openFile(layer.tar.string(), O_RDONLY));
    tree_.addLayer(tars_.back().get(), layer);
  }
  tree_.prune();
}

std::size_t RenderTree::addInode(TarEntry entry) {
  if (inodes_.size() >= maxInodes_) {
    throw Error("more than " + std::to_string(maxInodes_) + " entries");
  }
  inodes_.push_back({std::move(entry), layers_});
  return inodes_.size() - 1;
}

// The directory at `path`, with every directory above it; whatever else is in the way goes,
// a symbolic link to a directory too.
RenderNode& RenderTree::makeDirectory(const std::string& path) {
  RenderNode* node = &root_;
  std::string_view rest = path;
  while (!rest.empty()) {
    const std::size_t slash = rest.find('/');
    const std::string_view component = rest.substr(0, slash);
    rest = slash == rest.npos ? std::string_view() : rest.substr(slash + 1);
    auto found = node->children.find(component);
    if (found == node->children.end()) {
      found = node->children.emplace(std::string(component), std::make_unique<RenderNode>()).first;
    } else if (!found->second->directory) {
      found->second = std::make_unique<RenderNode>();
    }
    node = found->second.get();
  }
  return *node;
}

const RenderNode* RenderTree::find(std::string_view path) const {
  const RenderNode* node = &root_;
  while (node != nullptr && !path.empty()) {
    const std::size_t slash = path.find('/');
    const auto found = node->children.find(path.substr(0, slash));
    path = slash == path.npos ? std::string_view() : path.substr(slash + 1);
    node = found == node->children.end() ? nullptr : found->second.get();
  }
  return node;
}

std::optional<std::size_t> RenderTree::ofThisLayer(std::string_view path) const {
  const RenderNode* node = find(path);
  if (node == nullptr || node->directory || inodes_[node->inode].layer != layers_) {
    return std::nullopt;
  }
  return node->inode;
}

void RenderTree::addLayer(int tarFd, const RenderLayer& layer) {
  FileTarSource source(tarFd, layer.tar.string());
  TarReader reader(source);
  // Where a whitelist leaves out what a hard link leads to, it is found here.
  std::unordered_map<std::string, std::size_t> leftOut;
  while (auto entry = reader.next()) {
    const std::string called = std::move(entry->path);
    entry->path.clear();
    const auto refuse = [&](const std::string& why) {
      throw TrustError("entry " + inQuotes(called) + " of " + layer.tar.string() + ": " + why);
    };
    std::string path;
    try {
      path = normalPath(called);
    } catch (const Error& error) {
      refuse(error.what());
    }
    if (path == kRootfs) {
      if (entry->type != TarType::directory) refuse("it is no directory");
      root_.inode = addInode(std::move(*entry));
      continue;
    }
    if (!path.starts_with("rootfs/")) continue;  // the manifest
    path.erase(0, kRootfs.size() + 1);

    const bool directory = entry->type == TarType::directory;
    const Verdict verdict = judge(layer, path, directory);
    if (directory) {
      if (verdict == Verdict::no) continue;
      RenderNode& node = makeDirectory(path);
      node.inode = addInode(std::move(*entry));
      node.wanted = node.wanted || verdict == Verdict::yes;
      continue;
    }
    std::size_t inode = 0;
    if (entry->type == TarType::hardLink) {
      std::string target;
      try {
        target = normalPath(entry->linkTarget);
      } catch (const Error& error) {
        refuse(std::string("its target: ") + error.what());
      }
      std::optional<std::size_t> found;
      if (target.starts_with("rootfs/")) {
        target.erase(0, kRootfs.size() + 1);
        found = ofThisLayer(target);
        const auto out = leftOut.find(target);
        if (!found && out != leftOut.end()) found = out->second;
      }
      if (!found) {
        refuse("a hard link to " + inQuotes(entry->linkTarget) + ", which is no earlier entry");
      }
      inode = *found;
    } else {
      inode = addInode(std::move(*entry));
    }
    if (ofThisLayer(path)) refuse("a second entry of this name");
    if (verdict != Verdict::yes) {
      if (!leftOut.emplace(path, inode).second) refuse("a second entry of this name");
      continue;
    }
    RenderNode& parent = makeDirectory(std::string(parentOf(path)));
    auto node = std::make_unique<RenderNode>();
    node->inode = inode;
    node->directory = false;
    node->wanted = true;
    parent.children.insert_or_assign(std::string(baseOf(path)), std::move(node));
  }
  ++layers_;
}

void RenderTree::prune() {
  pruneBelow(root_);
}

}  // namespace actool::cas
