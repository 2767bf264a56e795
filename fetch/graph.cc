#include "fetch/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "core/base/error.h"
#include "core/base/strings.h"

namespace actool::fetch {
namespace {

struct Node {
  Request request;
  int depth = 0;
  std::string neededBy;  // the label of the image that asked first; empty for a root
  std::vector<std::size_t> needs;
  std::optional<record::Image> image;
  std::exception_ptr error;
};

class Graph {
 public:
  Graph(const GraphWork& work, const GraphLimits& limits) : work_(work), limits_(limits) {}

  std::vector<Outcome> run(const std::vector<Request>& requests) {
    std::vector<std::size_t> roots;
    roots.reserve(requests.size());
    for (const Request& request : requests)
      roots.push_back(nodeFor(request, 0, {}));
    {
      std::vector<std::jthread> threads;
      for (unsigned worker = 0; worker < limits_.workers; ++worker)
        threads.emplace_back([this, worker] { loop(worker); });
    }
    std::vector<Outcome> outcomes;
    outcomes.reserve(roots.size());
    for (const std::size_t root : roots)
      outcomes.push_back(outcomeOf(root));
    return outcomes;
  }

 private:
  // The caller holds the lock, or no thread has started yet. Deques keep nodes in place.
  std::size_t nodeFor(const Request& request, int depth, const std::string& neededBy) {
    const std::string key = request.key();
    if (const auto known = byKey_.find(key); known != byKey_.end()) return known->second;
    if (nodes_.size() >= limits_.images) {
      throw Error(fmt::format("more than {} images would have to be fetched", limits_.images),
                  "fetch them in several runs");
    }
    const std::size_t index = nodes_.size();
    nodes_.push_back({request, depth, neededBy, {}, std::nullopt, nullptr});
    byKey_.emplace(key, index);
    queue_.push_back(index);
    return index;
  }

  void loop(unsigned worker) {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [&] { return !queue_.empty() || active_ == 0; });
      if (queue_.empty()) return;
      const std::size_t index = queue_.front();
      queue_.pop_front();
      ++active_;
      process(index, worker, lock);
      --active_;
      changed_.notify_all();
    }
  }

  // Gives the lock back while it fetches.
  void process(std::size_t index, unsigned worker, std::unique_lock<std::mutex>& lock) {
    Node& node = nodes_[index];
    std::optional<record::Image> image;
    std::exception_ptr error;
    lock.unlock();
    try {
      image = work_.fetch(node.request, worker);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    try {
      if (error) std::rethrow_exception(error);
      expand(index, *image, lock);
      node.image = std::move(image);
    } catch (Error& failure) {
      if (!node.neededBy.empty()) {
        failure.addContext(
            fmt::format("{}, which {} depends on", node.request.label(), node.neededBy));
      }
      node.error = std::current_exception();
    } catch (...) {
      node.error = std::current_exception();
    }
  }

  void expand(std::size_t index, const record::Image& image, std::unique_lock<std::mutex>& lock) {
    // Two names of one image: the second stands for the first.
    if (const auto [known, isNew] = byImage_.emplace(image.id, index); !isNew) {
      addEdge(index, known->second);
      return;
    }
    lock.unlock();
    std::vector<Request> dependencies;
    std::exception_ptr error;
    try {
      dependencies = work_.dependencies(image);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error) std::rethrow_exception(error);
    const int depth = nodes_[index].depth + 1;
    if (!dependencies.empty() && depth > limits_.depth) {
      throw Error(fmt::format("dependencies go more than {} images deep", limits_.depth),
                  "its makers have to flatten the image");
    }
    for (const Request& dependency : dependencies)
      addEdge(index, nodeFor(dependency, depth, nodes_[index].request.label()));
  }

  void addEdge(std::size_t from, std::size_t to) {
    std::vector<std::size_t> path;
    std::set<std::size_t> seen;
    if (findPath(to, from, path, seen)) {
      std::string names;
      for (const std::size_t node : path)
        names += nodes_[node].request.label() + " -> ";
      throw Error(
          fmt::format("dependencies go in a circle: {}{}", names, nodes_[to].request.label()),
          "its makers have to break it");
    }
    nodes_[from].needs.push_back(to);
  }

  // A way along the edges, both ends included.
  bool findPath(std::size_t from, std::size_t to, std::vector<std::size_t>& path,
                std::set<std::size_t>& seen) const {
    if (!seen.insert(from).second) return false;
    path.push_back(from);
    if (from == to) return true;
    for (const std::size_t next : nodes_[from].needs) {
      if (findPath(next, to, path, seen)) return true;
    }
    path.pop_back();
    return false;
  }

  std::exception_ptr firstError(std::size_t index, std::set<std::size_t>& seen) const {
    if (!seen.insert(index).second) return nullptr;
    if (nodes_[index].error) return nodes_[index].error;
    for (const std::size_t next : nodes_[index].needs) {
      if (std::exception_ptr error = firstError(next, seen)) return error;
    }
    return nullptr;
  }

  Outcome outcomeOf(std::size_t root) const {
    std::set<std::size_t> seen;
    if (std::exception_ptr error = firstError(root, seen)) return {std::nullopt, error};
    return {nodes_[root].image, nullptr};
  }

  const GraphWork& work_;
  const GraphLimits& limits_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Node> nodes_;
  std::map<std::string, std::size_t> byKey_;
  std::map<schema::ImageId, std::size_t> byImage_;  // who expanded it
  std::deque<std::size_t> queue_;
  std::size_t active_ = 0;
};

}  // namespace

std::vector<Outcome> fetchAll(const std::vector<Request>& requests, const GraphWork& work,
                              const GraphLimits& limits) {
  return Graph(work, limits).run(requests);
}

}  // namespace actool::fetch
