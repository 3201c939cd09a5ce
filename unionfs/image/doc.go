// Package image is the image store: from a name to an image, from an image to
// its layers, from a layer to the folder that holds its files.
//
// # The story
//
// Four kinds of names lead from `alpine:latest` down to files, each one step:
//
//	name        alpine:latest
//	  |           repositories.json
//	image id    sha256 of the image's configuration (JSON)
//	  |           imagedb/content/sha256/<image id>: rootfs.diff_ids
//	diff ids    sha256 of each layer's tar, bottom first
//	  |           chain id = sha256(chain id below + " " + diff id)
//	chain id    a layer together with everything below it
//	  |           layerdb/sha256/<chain id>/cache-id
//	cache id    the driver's own random name: overlay2/<cache id>/diff
//
// All but the last are content addresses: whoever has the content can compute
// the name, so two images that share a base share its layers without having
// agreed on anything, and a changed byte is a changed name.
//
// On disk, exactly as Docker 20.10 has it:
//
//	image/<driver>/repositories.json
//	image/<driver>/imagedb/content/sha256/<image id>      the configuration
//	image/<driver>/imagedb/metadata/sha256/<image id>/    parent, lastUpdated
//	image/<driver>/layerdb/sha256/<chain id>/             diff, parent, cache-id, size, tar-split.json.gz
//	image/<driver>/layerdb/mounts/<container>/            init-id, mount-id, parent
//	image/<driver>/layerdb/tmp/write-set-*/               a layer on its way in
//	image/<driver>/distribution/                          which compressed blob was which layer
//
// # Why tar-split.json.gz
//
// A tar's bytes cannot be told from its unpacked files: the order of entries,
// padding and header details are lost, and with them the diff id. So those parts
// are kept aside, and the files' contents come from the layer when the tar is
// wanted again. The stream is then equal bit by bit.
//
// # What this is not
//
// Nothing here talks to a network: see package registry. And there is no daemon
// that would serialize callers: changes are made under flock(2) on the store's
// folder.
//
// Specifications: Docker Image Specification v1.2, OCI image-spec (config.md,
// layer.md, image-layout.md).
package image
