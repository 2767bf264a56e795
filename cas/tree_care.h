// Keeping trees (render_store.h) in order. They are made of the tars and can be made again at any
// time, so what is wrong with the EROFS form of one is mended by taking it away.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <vector>

#include "cas/layout.h"
#include "core/base/namespace_name.h"
#include "core/schema/image_id.h"

namespace actool::cas {

// To be called before there are threads, by what checks or removes trees: in those that an ordinary
// user has rendered there are owners who are nobody but in a user namespace of that user's
// (core/base/own_root.h). Nothing happens for root, and in stores without such trees.
void becomeOwnerOfTrees(const StoreLayout& layout);

// Trees by their names that an image links to, in any namespace; those of images that `leftOut`
// names do not count.
std::set<std::string> linkedTrees(
    const StoreLayout& layout,
    const std::function<bool(const NamespaceName& ns, const schema::ImageId& id)>& leftOut = {});

// Both of the following are called under the store's lock.

// Checks all of them: the metadata as checkErofs() does, the tars by their sizes. Removes those
// that do not pass; a line for each, naming tree and reason. Those of images that were removed with
// their tars are nothing bad, and left to gc.
std::vector<std::string> dropBadMetadata(const StoreLayout& layout);
// Removes those of remaining images that lie over the tars of `images`, which are gone. What only
// a pod lies on is left to it and to gc: the kernel has the files open.
void dropMetadataOver(const StoreReader& reader, const std::vector<schema::ImageId>& images);

// Makes the metadata of the image anew and compares. TrustError when what is in the store is
// anything else. Nothing when there is none, or when its dependencies are not what they were.
void verifyMetadata(const StoreLayout& layout, const schema::ImageId& id);
// Compares the image's rendered tree with the tars of its layers, and these with their image IDs
// where that has not been done yet, and stamps it. TrustError, or nothing, as above.
void verifyRendered(const StoreLayout& layout, const schema::ImageId& id);

}  // namespace actool::cas
