#include "cas/render.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>

#include "cas/aci_path.h"
#include "cas/render_tree.h"
#include "cas/render_writer.h"
#include "core/base/error.h"
#include "core/base/id_map.h"

namespace actool::cas {

namespace {

// One directory of the tree and the files that are made in it.
struct Directory {
  std::string path;  // below the root, "" for the root
  const RenderNode* node;
  std::vector<std::pair<const std::string*, std::size_t>> files;  // name, inode
};

struct Link {
  std::size_t fromDirectory;
  const std::string* from;
  std::size_t toDirectory;
  const std::string* to;
};

class Renderer {
 public:
  Renderer(const LayeredTree& layered, const Path& dest, const RenderOptions& options)
      : layered_(layered),
        tree_(layered.tree()),
        options_(options),
        firstName_(tree_.inodes().size()) {
    if (mkdir(dest.c_str(), 0700) != 0) throwErrno("making the directory " + dest.string());
    root_ = openFile(dest.string(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  }

  RenderReport run() {
    makeDirectories(root_.get(), tree_.root(), "");
    makeFiles();
    makeLinks();
    // Last, and from the leaves up: making a name changes its directory's time, and a
    // directory without the x bit would shut those below out.
    NodeWriter writer(options_.owners, options_.devices);
    for (auto directory = directories_.rbegin(); directory != directories_.rend(); ++directory) {
      withContext("directory " + inQuotes(directory->path), [&] {
        const UniqueFd fd = openDirBeneath(root_.get(), directory->path);
        writer.finishDirectory(fd.get(), tree_.directoryEntry(*directory->node));
      });
    }
    add(writer.report());
    return report_;
  }

 private:
  struct FirstName {
    bool known = false;
    std::size_t directory = 0;
    const std::string* name = nullptr;
  };

  void makeDirectories(int dirFd, const RenderNode& node, const std::string& path) {
    const std::size_t index = directories_.size();
    directories_.push_back({path, &node, {}});
    for (const auto& [name, child] : node.children) {
      if (child->directory) {
        if (mkdirat(dirFd, name.c_str(), 0700) != 0) {
          throwErrno("making the directory " + inQuotes(name));
        }
        const UniqueFd below = openFileAt(dirFd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        makeDirectories(below.get(), *child, path.empty() ? name : path + "/" + name);
        continue;
      }
      FirstName& first = firstName_[child->inode];
      if (first.known) {
        links_.push_back({first.directory, first.name, index, &name});
      } else {
        first = {true, index, &name};
        directories_[index].files.emplace_back(&name, child->inode);
      }
    }
  }

  // Threads take whole directories: the kernel locks a directory while a name is made in it.
  void makeFiles() {
    std::vector<Directory*> work;
    for (Directory& directory : directories_) {
      if (directory.files.empty()) continue;
      // As they lie in the tar, which is what is read.
      std::sort(directory.files.begin(), directory.files.end(),
                [&](const auto& a, const auto& b) { return a.second < b.second; });
      work.push_back(&directory);
    }
    std::sort(work.begin(), work.end(), [](const Directory* a, const Directory* b) {
      return a->files.front().second < b->files.front().second;
    });

    std::atomic<std::size_t> next{0};
    std::vector<std::exception_ptr> errors(std::max(1U, options_.threads));
    std::vector<RenderReport> reports(errors.size());
    leftOut_ = std::vector<std::atomic<bool>>(tree_.inodes().size());
    const auto body = [&](std::size_t thread) {
      try {
        NodeWriter writer(options_.owners, options_.devices);
        for (std::size_t i = next++; i < work.size(); i = next++)
          fill(writer, *work[i]);
        reports[thread] = writer.report();
      } catch (...) {  // handed to the thread that asked, below
        errors[thread] = std::current_exception();
        next = work.size();
      }
    };
    std::vector<std::jthread> threads;
    for (std::size_t i = 1; i < errors.size(); ++i)
      threads.emplace_back(body, i);
    body(0);
    threads.clear();
    for (const std::exception_ptr& error : errors) {
      if (error) std::rethrow_exception(error);
    }
    for (const RenderReport& report : reports)
      add(report);
  }

  void fill(NodeWriter& writer, const Directory& directory) {
    withContext("directory " + inQuotes(directory.path), [&] {
      const UniqueFd fd = openDirBeneath(root_.get(), directory.path);
      for (const auto& [name, index] : directory.files) {
        const RenderInode& inode = tree_.inodes()[index];
        if (!writer.make(fd.get(), *name, inode.entry, layered_.tar(inode))) leftOut_[index] = true;
      }
    });
  }

  void makeLinks() {
    for (const Link& link : links_) {
      const UniqueFd from = openDirBeneath(root_.get(), directories_[link.fromDirectory].path);
      const UniqueFd to = openDirBeneath(root_.get(), directories_[link.toDirectory].path);
      if (linkat(from.get(), link.from->c_str(), to.get(), link.to->c_str(), 0) != 0) {
        const auto inode = directories_[link.toDirectory].node->children.at(*link.to)->inode;
        if (errno == ENOENT && leftOut_[inode]) continue;  // a device that was left out
        throwErrno("making the hard link " + inQuotes(*link.to));
      }
      ++report_.files;
    }
  }

  void add(const RenderReport& other) {
    report_.files += other.files;
    report_.bytes += other.bytes;
    report_.ownersSkipped += other.ownersSkipped;
    report_.devicesSkipped += other.devicesSkipped;
    report_.xattrsSkipped += other.xattrsSkipped;
    report_.aclsSkipped += other.aclsSkipped;
    if (report_.firstXattrSkipped.empty()) report_.firstXattrSkipped = other.firstXattrSkipped;
  }

  const LayeredTree& layered_;
  const RenderTree& tree_;
  const RenderOptions options_;
  UniqueFd root_;
  std::vector<Directory> directories_;  // parents first
  std::vector<Link> links_;
  std::vector<FirstName> firstName_;        // by inode
  std::vector<std::atomic<bool>> leftOut_;  // by inode
  RenderReport report_;
};

}  // namespace

RenderOptions::RenderOptions()
    : owners(geteuid() == 0), devices(geteuid() == 0 && !inUserNamespace()) {}

std::vector<std::string> RenderReport::notes() const {
  std::vector<std::string> notes;
  const auto note = [&](std::uint64_t count, const std::string& text) {
    if (count > 0) notes.push_back(std::to_string(count) + " " + text);
  };
  note(ownersSkipped,
       "files belong to you and not to their owner in the image; root can do that, or who has "
       "the IDs in /etc/subuid and /etc/subgid");
  note(devicesSkipped, "device nodes were left out; only root can make them");
  note(xattrsSkipped, "extended attributes were left out (" + inQuotes(firstXattrSkipped) +
                          " and the like): not allowed, or not on this file system");
  note(aclsSkipped, "access control lists were left out: they name users without a number");
  return notes;
}

RenderReport renderTree(const std::vector<RenderLayer>& layers, const Path& dest,
                        const RenderOptions& options) {
  return withContext("rendering into " + dest.string(), [&] {
    const LayeredTree layered(layers);
    return Renderer(layered, dest, options).run();
  });
}

}  // namespace actool::cas
